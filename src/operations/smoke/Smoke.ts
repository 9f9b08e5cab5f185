/**
 * Whether a running installation works from end to end: one marked event goes in at the collector and must come out of the API, accepted,
 * in a session, and taken in by the KPIs, which leave it out of every figure (`SmokeVisitor.ts`). Asks over HTTP only, as senders and
 * readers do, so it runs from anywhere.
 */
import { Clock, Data, Effect, Redacted } from "effect"
import { smokeVisitorPrefix } from "./SmokeVisitor.ts"

export interface SmokePlace {
  /** Addresses without a slash at the end, e.g. http://127.0.0.1:8081 */
  readonly collector: string
  readonly api: string
  readonly writeKey: Redacted.Redacted | undefined
  readonly readKey: Redacted.Redacted | undefined
}

export interface SmokeOptions {
  /** Told apart from all others; the event and its visitor are named by it. */
  readonly id: string
  /** All steps together, ms. */
  readonly timeoutMs: number
  readonly onStep: (step: SmokeStep) => Effect.Effect<void>
}

export type SmokeStepName = typeof steps[number]
const steps = ["api", "collector", "accepted", "session", "kpis"] as const

export interface SmokeStep {
  readonly step: SmokeStepName
  readonly ok: boolean
  readonly tookMs: number
  /** What was seen, or what is wrong. */
  readonly detail: string
  /** What to do about it; absent when it is well. */
  readonly advice?: string
}

export interface SmokeReport {
  readonly ok: boolean
  readonly eventId: string
  readonly visitorId: string
  readonly tookMs: number
  /** Up to the one that failed. */
  readonly steps: ReadonlyArray<SmokeStep>
}

/** A step found what is wrong. */
class SmokeFault extends Data.TaggedError("SmokeFault")<{ readonly detail: string; readonly advice: string }> {}

const fault = (detail: string, advice: string) => Effect.fail(new SmokeFault({ detail, advice }))

/** Between two looks, ms. */
const lookEveryMs = 100
/** How long one question may take, ms. */
const questionMs = 10_000

/** Runs all steps, or those before the first that fails. Never fails itself: the report says it. */
export const smoke = Effect.fnUntraced(function*(place: SmokePlace, options: SmokeOptions) {
  const startedAt = yield* Clock.currentTimeMillis
  const run = new SmokeRun(place, options.id)
  const done: Array<SmokeStep> = []
  for (const step of steps) {
    const beganAt = yield* Clock.currentTimeMillis
    const left = Math.max(0, startedAt + options.timeoutMs - beganAt)
    const outcome = yield* run.step(step).pipe(
      Effect.map((detail) => ({ ok: true, detail })),
      Effect.timeoutOrElse({ duration: left, orElse: () => Effect.fail(run.timedOut(step, options.timeoutMs)) }),
      Effect.catch(({ advice, detail }) => Effect.succeed({ ok: false, detail, advice }))
    )
    const tookMs = (yield* Clock.currentTimeMillis) - beganAt
    const taken: SmokeStep = { step, tookMs, ...outcome }
    done.push(taken)
    yield* options.onStep(taken)
    if (!taken.ok) break
  }
  const { eventId, visitorId } = run
  const tookMs = (yield* Clock.currentTimeMillis) - startedAt
  return { ok: done.every(({ ok }) => ok), eventId, visitorId, tookMs, steps: done } satisfies SmokeReport
})

class SmokeRun {
  readonly eventId: string
  readonly visitorId: string
  readonly #place: SmokePlace
  /** What the last look saw, for who waited in vain. */
  #seen = ""
  #sessionId = ""
  #stored = { partition: 0, offset: 0 }
  #startedAt = ""

  constructor(place: SmokePlace, id: string) {
    this.eventId = `guardian-smoke-${id}`
    this.visitorId = `${smokeVisitorPrefix}${id}`
    this.#place = place
  }

  step(step: SmokeStepName): Effect.Effect<string, SmokeFault> {
    switch (step) {
      case "api":
        return this.#ready()
      case "collector":
        return this.#send()
      case "accepted":
        return this.#accepted()
      case "session":
        return this.#session()
      case "kpis":
        return this.#kpis()
    }
  }

  timedOut(step: SmokeStepName, timeoutMs: number): SmokeFault {
    return new SmokeFault({
      detail: `not within ${timeoutMs / 1000} s, all steps together${this.#seen === "" ? "" : `: ${this.#seen}`}`,
      advice: timeoutAdvice[step]
    })
  }

  #ready() {
    return Effect.gen({ self: this }, function*() {
      const { body, status } = yield* this.#ask("/readyz")
      if (status !== 200) {
        const missing = Array.isArray(body["missing"]) ? body["missing"].join(", ") : `status ${status}`
        return yield* fault(`not ready: ${missing}`, `Start what is missing; ${this.#place.api}/readyz says more.`)
      }
      // Read access is looked at before anything is sent.
      yield* this.#data("/api/v1/stats")
      return `ready at ${this.#place.api}`
    })
  }

  #send() {
    return Effect.gen({ self: this }, function*() {
      const { collector, writeKey } = this.#place
      const now = yield* Clock.currentTimeMillis
      // With sent_at the collector's clock counts, not ours.
      const event = { event_id: this.eventId, visitor_id: this.visitorId, event_type: "view", event_ts: now }
      const { body, status } = yield* request(`${collector}/collect`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(writeKey !== undefined && { authorization: `Bearer ${Redacted.value(writeKey)}` })
        },
        body: JSON.stringify({ sent_at: now, events: [event] })
      }).pipe(
        Effect.mapError((detail) =>
          new SmokeFault({
            detail,
            advice:
              "Is the collector running there (guardian serve --role collector)? --collector names another address."
          })
        )
      )
      if (status === 401 || status === 403) {
        return yield* fault(
          `refused with ${status}: ${String(body["detail"] ?? "")}`,
          "Set GUARDIAN_SMOKE_WRITE_KEY to a write key that holds (guardian keys list)."
        )
      }
      const [receipt] = rowsOf(body["receipts"])
      if (status !== 200 || receipt?.["status"] !== "accepted") {
        return yield* fault(
          `answered ${status}: ${String(body["detail"] ?? receipt?.["detail"] ?? "")}`,
          status === 429 || status === 503 ?
            "The log is away or slower than its senders: look at the brokers, then at the collector's log." :
            "Does a Guardian collector listen there? --collector names another address."
        )
      }
      this.#stored = { partition: Number(receipt["partition"]), offset: Number(receipt["offset"]) }
      return `partition ${String(receipt["partition"])}, offset ${String(receipt["offset"])}: durable in the log`
    })
  }

  #accepted() {
    const look = Effect.gen({ self: this }, function*() {
      const { body, status } = yield* this.#ask(`/api/v1/events/${this.eventId}/trace`)
      if (status === 404) {
        this.#seen = yield* this.#lag()
        return undefined
      }
      const [found] = rowsOf((yield* this.#checked(status, body))["data"])
      if (found === undefined) return undefined
      if (found["outcome"] === "accepted") return found
      return yield* fault(`${String(found["outcome"])}: ${String(found["why"])}`, outcomeAdvice)
    })
    return Effect.map(until(look), (found) => {
      this.#sessionId = String(found["session_id"])
      this.#seen = ""
      return `accepted by the pipeline, session ${this.#sessionId}`
    })
  }

  #session() {
    const look = Effect.gen({ self: this }, function*() {
      const { body, status } = yield* this.#ask(`/api/v1/sessions/${this.#sessionId}`)
      if (status === 404) {
        this.#seen = `there is no session ${this.#sessionId} yet`
        return undefined
      }
      return (yield* this.#checked(status, body))["data"] as Fields
    })
    return Effect.flatMap(until(look), (answered) => {
      const session = (answered["session"] ?? answered) as Fields
      const { events, started_at, visitor_id } = session
      if (visitor_id !== this.visitorId || Number(events) !== 1) {
        return fault(
          `session ${this.#sessionId} has ${String(events)} events of visitor ${String(visitor_id)}, not our one`,
          "This must not be: run guardian audit, and report what it says."
        )
      }
      this.#startedAt = String(started_at)
      this.#seen = ""
      return Effect.succeed("it is there, with our one event")
    })
  }

  /** Taken in means: the checkpoint is past the event, and from then on its day was computed anew, or nothing waits to be. */
  #kpis() {
    return Effect.gen({ self: this }, function*() {
      const { data } = yield* this.#data("/api/v1/stats")
      const date = dateIn(String((data as Fields)["time_zone"]), this.#startedAt)
      let first: string | undefined
      const look = Effect.gen({ self: this }, function*() {
        const progress = (yield* this.#data("/api/v1/pipeline"))["data"] as Fields
        const own = rowsOf(progress["partitions"]).find(({ partition }) => partition === this.#stored.partition)
        if (Number(own?.["next_offset"] ?? 0) <= this.#stored.offset) {
          this.#seen = "the checkpoint is not past the event yet"
          return undefined
        }
        const { body, status } = yield* this.#ask(`/api/v1/metrics/daily/${date}`)
        // A day on which nothing else happened has no figures.
        const refreshed = status === 404 ?
          "" :
          String(((yield* this.#checked(status, body))["data"] as Fields)["refreshed_at"])
        first ??= refreshed
        if (refreshed !== first) return `the figures of ${date} were computed anew at ${refreshed}`
        const waiting = Object.entries(progress["kpi_backlog"] as Fields).map(([stage, count]) =>
          `${String(count)} ${stage}`
        )
        if (waiting.length === 0) return "nothing waits to be taken in"
        this.#seen = `waiting to be taken in: ${waiting.join(", ")}`
        return undefined
      })
      return `${yield* until(look)}; no figure counts this visitor`
    })
  }

  /** In words, how far the pipeline is behind; empty when that cannot be asked. */
  #lag(): Effect.Effect<string> {
    return this.#data("/api/v1/pipeline").pipe(
      Effect.map(({ data }) => {
        const lag = (data as Fields)["lag"]
        return lag === null || lag === undefined ?
          "the event is not processed yet" :
          `the pipeline is ${String(lag)} records behind`
      }),
      Effect.orElseSucceed(() => "the event is not processed yet")
    )
  }

  #data(path: string): Effect.Effect<Fields, SmokeFault> {
    return Effect.flatMap(this.#ask(path), ({ body, status }) => this.#checked(status, body))
  }

  #checked(status: number, body: Fields): Effect.Effect<Fields, SmokeFault> {
    if (status === 200) return Effect.succeed(body)
    return status === 401 || status === 403 ?
      fault(`the API refused with ${status}`, "Set GUARDIAN_SMOKE_READ_KEY to a key of GUARDIAN_API_READ_KEYS.") :
      fault(`the API answered ${status}: ${String(body["detail"] ?? body["title"] ?? "")}`, "Look at the API's log.")
  }

  #ask(path: string): Effect.Effect<Answer, SmokeFault> {
    const { api, readKey } = this.#place
    return request(`${api}${path}`, {
      headers: readKey === undefined ? {} : { authorization: `Bearer ${Redacted.value(readKey)}` }
    }).pipe(
      Effect.mapError((detail) =>
        new SmokeFault({
          detail,
          advice: "Is the API running there (guardian serve --role api)? --api names another address."
        })
      )
    )
  }
}

const timeoutAdvice: Readonly<Record<SmokeStepName, string>> = {
  api: "The API takes its connection and does not answer: look at its log.",
  collector: "The log does not take the event: look at the brokers, then at the collector's log.",
  accepted:
    "Is a pipeline running on this log and this warehouse (guardian serve --role pipeline)? guardian lag and its log say more.",
  session: "The pipeline wrote the event and not its session: run guardian audit, and report what it says.",
  kpis: "The views that compute KPIs stand still or are far behind: kpi_backlog in /api/v1/pipeline says what waits."
}

const outcomeAdvice =
  "The event was made now and sent once. late: a sender's clock is ahead and moved the watermark; rejected: the clocks of " +
  "collector and brokers differ by minutes; dead-lettered: another schema is in the registry than the collector's."

type Fields = Readonly<Record<string, unknown>>

interface Answer {
  readonly status: number
  readonly body: Fields
}

/** The answer's JSON, empty when it has none; or why nobody answered. */
const request = (url: string, init: RequestInit): Effect.Effect<Answer, string> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(questionMs)]) })
      const text = await response.text()
      const body: unknown = URL.canParse(url) && isJson(text) ? JSON.parse(text) : {}
      return { status: response.status, body: typeof body === "object" && body !== null ? body as Fields : {} }
    },
    catch: (error) => {
      const { cause, message } = error as Error
      return `${new URL(url).origin} does not answer: ${
        cause instanceof Error ? cause.message || String(cause) : message
      }`
    }
  })

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const rowsOf = (data: unknown): ReadonlyArray<Fields> => Array.isArray(data) ? data as ReadonlyArray<Fields> : []

/** Looks again until there is something; the caller sets the limit. */
const until = <A>(look: Effect.Effect<A | undefined, SmokeFault>): Effect.Effect<A, SmokeFault> =>
  Effect.gen(function*() {
    while (true) {
      const found = yield* look
      if (found !== undefined) return found
      yield* Effect.sleep(lookEveryMs)
    }
  })

/** The day of a time in a zone, as 2026-03-01. */
const dateIn = (timeZone: string, time: string): string =>
  new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }).format(
    new Date(time)
  )
