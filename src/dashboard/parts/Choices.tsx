/** Choices that stand in the URL: links where there are few, fields where there are many. */
import { useEffect, useRef } from "preact/hooks"
import { shiftedDay, spokenDay } from "../Format.ts"
import { reporting } from "../Reporting.ts"
import { go, hrefWith, place } from "../Route.ts"

interface SwitchProps {
  readonly label: string
  readonly parameter: string
  /** Value -> word; the first is what holds when nothing is chosen. */
  readonly choices: Readonly<Record<string, string>>
  /** Choices that make no sense after this one. */
  readonly clears?: ReadonlyArray<string>
}

/** One of a few, as links: each is a place that can be kept. */
export const Switch = ({ choices, clears = [], label, parameter }: SwitchProps) => {
  const [fallback] = Object.keys(choices)
  const chosen = place.value.parameters.get(parameter) ?? fallback
  const cleared = Object.fromEntries(clears.map((name) => [name, undefined]))
  return (
    <nav class="switch" aria-label={label}>
      {Object.entries(choices).map(([value, word]) => (
        <a
          key={value}
          href={hrefWith({ ...cleared, [parameter]: value === fallback ? undefined : value })}
          aria-current={value === chosen ? "true" : undefined}
        >
          {word}
        </a>
      ))}
    </nav>
  )
}

export const SegmentSwitch = () => (
  <Switch label="Whose sessions" parameter="segment" choices={{ all: "All", clean: "Clean", flagged: "Flagged" }} />
)

export const segment = (): string => {
  const given = place.value.parameters.get("segment")
  return given === "clean" || given === "flagged" ? given : "all"
}

interface FieldProps {
  readonly label: string
  readonly parameter: string
  readonly type: "text" | "number" | "date"
  readonly clears?: ReadonlyArray<string>
  readonly fallback?: string | undefined
  readonly min?: string | undefined
  readonly max?: string | undefined
}

/** A choice that is typed; it holds when it is left, or with Enter. */
export const Field = ({ clears = [], fallback, label, max, min, parameter, type }: FieldProps) => {
  const given = place.value.parameters.get(parameter) ?? fallback ?? ""
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    input.current!.value = given
  }, [given])
  const choose = () => {
    const { validity, value } = input.current!
    if (!validity.valid || value === given) return
    go(hrefWith({ ...Object.fromEntries(clears.map((name) => [name, undefined])), [parameter]: value.trim() }))
  }
  return (
    <label class="field">
      <span>{label}</span>
      <input
        ref={input}
        // The types of attributes differ by type of field; these three know min and max, or ignore them.
        type={type as "date"}
        min={min}
        max={max}
        step={type === "number" ? "any" : undefined}
        autocomplete="off"
        onChange={choose}
        onKeyDown={({ key }) => key === "Enter" && choose()}
      />
    </label>
  )
}

/** The day that a page is about: the one in the URL, else the newest. */
export const DayChoice = ({ day }: { readonly day: string }) => {
  const { firstDay, lastDay } = reporting.value
  const before = shiftedDay(day, -1)
  const after = shiftedDay(day, 1)
  return (
    <div class="day-choice">
      <a class="step" href={hrefWith({ date: before })} aria-label={`Day before, ${spokenDay(before)}`}>‹</a>
      <Field label="Day" parameter="date" type="date" fallback={day} min={firstDay} max={lastDay} />
      <a class="step" href={hrefWith({ date: after })} aria-label={`Day after, ${spokenDay(after)}`}>›</a>
      {lastDay !== undefined && day !== lastDay && <a href={hrefWith({ date: undefined })}>newest</a>}
    </div>
  )
}

/** To the older rows of a list, and back to its beginning. */
export const Pager = ({ next }: { readonly next: string | null }) => {
  const paged = place.value.parameters.has("cursor")
  if (!paged && next === null) return null
  return (
    <nav class="pager" aria-label="Pages of the list">
      {paged && <a href={hrefWith({ cursor: undefined })}>« newest</a>}
      {next === null ? <span>the end</span> : <a href={hrefWith({ cursor: next })}>older ›</a>}
    </nav>
  )
}
