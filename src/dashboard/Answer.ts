/** A question that a part of a page stands on: asked when it appears, again when it changes, and at intervals. */
import { useEffect, useState } from "preact/hooks"
import { key } from "./Access.ts"
import { ask, Problem } from "./Questions.ts"

export interface Answer<A> {
  /** The newest answer; it stays when asking again fails. */
  readonly body: A | undefined
  /** When the server gave it. */
  readonly at: string | undefined
  /** Why there is none, or none newer. */
  readonly problem: Problem | undefined
  readonly again: () => void
}

/** How soon a failed question is asked again, ms. */
const retryMs = 3_000

/** @param everyMs asks again after it; 0: only after a failure. `path` undefined: nothing is asked (yet). */
export const useAnswer = <A>(path: string | undefined, everyMs = 0): Answer<A> => {
  const [state, setState] = useState<Omit<Answer<A>, "again"> & { readonly path: string | undefined }>({
    path,
    body: undefined,
    at: undefined,
    problem: undefined
  })
  const [asked, setAsked] = useState(0)
  const withKey = key.value
  useEffect(() => {
    if (path === undefined) return
    const ended = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const later = (ms: number) => {
      if (ms > 0 && !ended.signal.aborted) timer = setTimeout(once, ms)
    }
    const once = async (): Promise<void> => {
      // Nobody looks: the server need not work.
      if (document.hidden) return later(1_000)
      try {
        const { at, body } = await ask<A>(path, ended.signal)
        if (ended.signal.aborted) return
        setState({ path, body, at, problem: undefined })
        later(everyMs)
      } catch (error) {
        if (ended.signal.aborted) return
        const problem = error instanceof Problem ? error : new Problem(String(error))
        setState((before) => ({
          ...(before.path === path ? before : { path, body: undefined, at: undefined }),
          problem
        }))
        const final = problem.status !== undefined && problem.status < 500
        later(final ? everyMs : Math.max(everyMs, retryMs))
      }
    }
    void once()
    return () => {
      ended.abort()
      clearTimeout(timer)
    }
  }, [path, everyMs, asked, withKey])
  const fits = state.path === path
  return {
    body: fits ? state.body : undefined,
    at: fits ? state.at : undefined,
    problem: fits ? state.problem : undefined,
    again: () => setAsked((times) => times + 1)
  }
}
