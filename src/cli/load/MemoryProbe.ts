/** How much memory the serving process has, as it says itself: a look every now and then. */
import { Clock, Effect } from "effect"
import type { MemorySample } from "../../operations/load/Step.ts"
import { InstallationError } from "../Installation.ts"

const lookEvery = "15 seconds"
const answeredWithin = "10 seconds"
const residentPattern = /^process_resident_memory_bytes (\d+)$/m

/**
 * Goes on until it is interrupted.
 * @param url its /metrics
 */
export const probeMemory = Effect.fnUntraced(function*(url: string, samples: Array<MemorySample>) {
  const began = yield* Clock.currentTimeMillis
  const look = Effect.gen(function*() {
    const text = yield* metricsAt(url)
    const resident = residentPattern.exec(text)?.[1]
    if (resident === undefined) return yield* new InstallationError({ message: `${url} says nothing of memory` })
    samples.push({ afterMs: (yield* Clock.currentTimeMillis) - began, residentBytes: Number(resident) })
    yield* Effect.sleep(lookEvery)
  })
  return yield* Effect.forever(look)
})

const metricsAt = (url: string): Effect.Effect<string, InstallationError> =>
  Effect.tryPromise({
    try: (signal) => fetch(url, { signal }).then((answer) => answer.text()),
    catch: (cause) =>
      new InstallationError({ message: `${url}: ${cause instanceof Error ? cause.message : String(cause)}` })
  }).pipe(Effect.timeoutOrElse({
    duration: answeredWithin,
    orElse: () => Effect.fail(new InstallationError({ message: `${url}: no answer within ${answeredWithin}` }))
  }))
