/** What the server tells each second, for as long as the tab is looked at. */
import { signal } from "@preact/signals"
import { key, wanted } from "./Access.ts"
import { request } from "./Questions.ts"
import type { Live } from "./Shapes.ts"

/** A moment of the charts. null: nothing was heard then. */
export interface Moment {
  /** Epoch seconds by the server's clock. */
  readonly at: number
  readonly perSecond: number | null
  readonly lag: number | null
  readonly behind: number | null
}

export const live = signal<Live | undefined>(undefined)
export const connection = signal<"connecting" | "open" | "lost">("connecting")
export const moments = signal<ReadonlyArray<Moment>>([])

/** Moments that are kept: five minutes. */
const momentsMax = 300
/** The rate is a mean over these, since a flush takes in half a second at once. */
const rateOverMoments = 5
/** A shorter time says nothing: counts are looked up once a second. */
const rateSecondsMin = 1.5
/** Without a word for so long the connection counts as lost, ms; a word comes each second. */
const silenceMs = 5_000
const retryMs = 2_000

/** Listens from now on, again after each loss. */
export const listen = (): void => {
  let ended = new AbortController()
  const loop = async (stop: AbortController): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await hear(stop.signal)
      } catch { /* The state says it; what matters is to try again. */ }
      if (stop.signal.aborted) return
      connection.value = "lost"
      if (wanted.peek() !== "read") await new Promise((resolve) => setTimeout(resolve, retryMs))
      else return
    }
  }
  const restart = (): void => {
    ended.abort()
    ended = new AbortController()
    if (!document.hidden) void loop(ended)
  }
  document.addEventListener("visibilitychange", restart)
  key.subscribe(restart)
}

/** One connection, to its end. By fetch, since an EventSource could not send a key. */
const hear = async (stop: AbortSignal): Promise<void> => {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), silenceMs)
  try {
    const response = await request("live", { signal: AbortSignal.any([stop, silence.signal]) })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    for (let rest = "";;) {
      const { done, value } = await reader.read()
      if (done) return
      const parts = (rest + value).split("\n\n")
      rest = parts.pop()!
      for (const part of parts) {
        const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n")
        if (data === "") continue
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), silenceMs)
        take(JSON.parse(data) as Live)
      }
    }
  } finally {
    clearTimeout(timer)
  }
}

const take = (state: Live): void => {
  const at = Date.parse(state.at) / 1_000
  const before = moments.peek()
  const last = before.at(-1)
  const gap = last !== undefined && at - last.at > silenceMs / 1_000
  if (gap) received.length = 0
  received.push([at, state.outcomes.received])
  if (received.length > rateOverMoments + 1) received.shift()
  const [since, countThen] = received[0]!
  const moment: Moment = {
    at,
    perSecond: at - since >= rateSecondsMin ? Math.max(0, (state.outcomes.received - countThen) / (at - since)) : null,
    lag: state.lag,
    behind: state.freshness.age_seconds
  }
  const silent: ReadonlyArray<Moment> = gap ? [{ at: last.at + 1, perSecond: null, lag: null, behind: null }] : []
  moments.value = [...before, ...silent, moment].slice(-momentsMax)
  live.value = state
  connection.value = "open"
}

/** Time and count of the last moments. */
const received: Array<readonly [at: number, count: number]> = []
