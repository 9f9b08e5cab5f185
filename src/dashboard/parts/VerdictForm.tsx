/** What persons said of a visitor or session, and saying it. */
import { useState } from "preact/hooks"
import { Problem, tell } from "../Questions.ts"
import type { NewVerdictBody, VerdictRow } from "../Shapes.ts"
import { Time } from "./Time.tsx"

interface VerdictFormProps {
  readonly scope: "visitor" | "session"
  readonly id: string
  readonly standing: ReadonlyArray<VerdictRow>
  /** Asks anew what holds. */
  readonly onRecorded: () => void
}

const words = {
  bot: "Bot",
  human: "Human",
  unknown: "Unknown",
  clear: "Clear what was said"
} as const

export const VerdictForm = ({ id, onRecorded, scope, standing }: VerdictFormProps) => {
  const [outcome, setOutcome] = useState<{ readonly text: string; readonly failed: boolean }>()
  const [busy, setBusy] = useState(false)
  const record = async (form: HTMLFormElement): Promise<void> => {
    const given = new FormData(form)
    const text = (name: string) => String(given.get(name)).trim()
    const body: NewVerdictBody = {
      scope,
      id,
      verdict: text("verdict") as NewVerdictBody["verdict"],
      reason: text("reason"),
      author: text("author")
    }
    setBusy(true)
    try {
      await tell("verdicts", body)
      setOutcome({ text: "Recorded. The figures of its days follow within seconds.", failed: false })
      form.reset()
      onRecorded()
    } catch (error) {
      setOutcome({ text: error instanceof Problem ? error.message : String(error), failed: true })
    }
    setBusy(false)
  }
  return (
    <>
      {standing.map((each) => (
        <p key={`${each.scope} ${each.id}`} class="standing">
          <strong>{words[each.verdict]}</strong>, says {each.author} of this {each.scope} since{" "}
          <Time at={each.set_at} />: {each.reason}
        </p>
      ))}
      {standing.length === 0 && <p class="note">Nobody has said anything; rules and user agents decide.</p>}
      <form
        class="verdict-form"
        aria-label={`Verdict on this ${scope}`}
        onSubmit={(event) => {
          event.preventDefault()
          void record(event.currentTarget)
        }}
      >
        <label class="field">
          <span>Verdict</span>
          <select name="verdict">
            {Object.entries(words).map(([value, word]) => <option key={value} value={value}>{word}</option>)}
          </select>
        </label>
        <label class="field grow">
          <span>Reason</span>
          <input name="reason" required maxLength={1_000} autocomplete="off" />
        </label>
        <label class="field">
          <span>Your name</span>
          <input name="author" required maxLength={128} autocomplete="name" />
        </label>
        <button type="submit" disabled={busy}>Record</button>
      </form>
      <p class={outcome?.failed ? "state failed" : "note"} role="status">{outcome?.text}</p>
    </>
  )
}
