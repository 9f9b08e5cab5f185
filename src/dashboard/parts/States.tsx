/** Empty, loading, failed and stale, drawn the same everywhere. */
import type { ComponentChildren } from "preact"
import type { Answer } from "../Answer.ts"
import { clockTime } from "../Format.ts"
import { reporting } from "../Reporting.ts"

interface AnsweredProps<A> {
  readonly answer: Answer<A>
  /** Lines that the loading state keeps free. */
  readonly lines?: number
  readonly children: (body: A) => ComponentChildren
}

/** What an answer shows, whatever state it is in. */
export function Answered<A>({ answer, children, lines = 4 }: AnsweredProps<A>) {
  if (answer.body !== undefined) {
    return (
      <>
        {answer.problem !== undefined && <Stale answer={answer} />}
        {children(answer.body)}
      </>
    )
  }
  return answer.problem === undefined ? <Loading lines={lines} /> : <Failed answer={answer} />
}

export const Loading = ({ lines }: { readonly lines: number }) => (
  <div class="loading" role="status">
    <span class="quiet-word">Loading</span>
    {Array.from({ length: lines }, (_, line) => <i key={line} />)}
  </div>
)

const Failed = ({ answer }: { readonly answer: Answer<unknown> }) => (
  <div class="state failed" role="alert">
    <p>{answer.problem!.message}</p>
    <button type="button" onClick={answer.again}>Try again</button>
  </div>
)

const Stale = ({ answer }: { readonly answer: Answer<unknown> }) => (
  <p class="state stale" role="status">
    Stale: {answer.problem!.message} What follows was answered
    {answer.at === undefined ? " before" : ` at ${clockTime(answer.at, reporting.value.zone)}`}; asked again by itself.
  </p>
)

export const Empty = ({ children }: { readonly children: ComponentChildren }) => <p class="state empty">{children}</p>
