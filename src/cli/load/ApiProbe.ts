/** How long an event takes from the answer to its POST until the query API shows it: one event of a visitor of its own each second. */
import { Clock, Effect } from "effect"
import { get } from "node:http"
import type { NewRecord, Receipt } from "../../log/EventLog.ts"
import { InstallationError } from "../Installation.ts"

export interface ApiProbeOptions<E> {
  readonly collect: (records: ReadonlyArray<NewRecord>) => Effect.Effect<ReadonlyArray<Receipt>, E>
  /** Where the API is. */
  readonly api: string
}

const probeEveryMs = 1_000
const askEveryMs = 50
const shownWithin = "1 minute"

/** Goes on until it is interrupted; hands over the ms that each event took. */
export const probeApi = <E>(
  { api, collect }: ApiProbeOptions<E>,
  shownAfter: (ms: number) => void
): Effect.Effect<never, E | InstallationError> =>
  Effect.gen(function*() {
    for (let number = 0;; number++) {
      const began = yield* Clock.currentTimeMillis
      const visitor = `guardian-load-${number}`
      const event = {
        event_id: visitor,
        visitor_id: visitor,
        event_ts: new Date(began).toISOString(),
        event_type: "view"
      }
      yield* collect([{ key: visitor, value: Buffer.from(JSON.stringify(event)) }])
      const answered = yield* Clock.currentTimeMillis
      yield* Effect.repeat(Effect.andThen(Effect.sleep(askEveryMs), isShown(`${api}/api/v1/visitors/${visitor}`)), {
        until: (shown) => shown
      }).pipe(
        Effect.timeoutOrElse({
          duration: shownWithin,
          orElse: () =>
            Effect.fail(new InstallationError({ message: `the API did not show an event within ${shownWithin}` }))
        })
      )
      const now = yield* Clock.currentTimeMillis
      shownAfter(now - answered)
      yield* Effect.sleep(Math.max(0, began + probeEveryMs - now))
    }
  })

const isShown = (url: string): Effect.Effect<boolean, InstallationError> =>
  Effect.callback((resume) => {
    const asked = get(url, (answer) => {
      answer.resume().once("end", () =>
        resume(
          answer.statusCode === 200 || answer.statusCode === 404 ?
            Effect.succeed(answer.statusCode === 200) :
            Effect.fail(new InstallationError({ message: `the API answered ${answer.statusCode} to ${url}` }))
        ))
    })
    asked.once("error", (cause) => resume(Effect.fail(new InstallationError({ message: `the API: ${cause.message}` }))))
    return Effect.sync(() => asked.destroy())
  })
