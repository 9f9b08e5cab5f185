import { useRef } from "preact/hooks"
import { giveKey, key, wanted } from "../Access.ts"

/** Asks for a key; it stays in this tab. */
export const KeyForm = () => {
  const input = useRef<HTMLInputElement>(null)
  const kind = wanted.value
  if (kind === undefined) return null
  return (
    <form
      class="key-form"
      aria-labelledby="key-title"
      onSubmit={(event) => {
        event.preventDefault()
        giveKey(input.current!.value.trim())
      }}
    >
      {kind === "read" ?
        <h1 id="key-title">This server wants a read key</h1> :
        <h2 id="key-title">Writing needs an admin key</h2>}
      <p>
        {key.value !== "" && "The key that was given does not fit. "}
        It is kept in this tab until it is closed, and sent to this server only.
      </p>
      <label class="field">
        <span>{kind === "read" ? "Read key" : "Admin key"}</span>
        <input ref={input} type="password" required autocomplete="off" />
      </label>
      <button type="submit">Use this key</button>
      {kind === "admin" && <button type="button" onClick={() => wanted.value = undefined}>Not now</button>}
    </form>
  )
}
