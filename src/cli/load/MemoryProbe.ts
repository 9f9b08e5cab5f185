/** How much memory the serving process has, as it says itself: a look every now and then. */
import { Clock, Effect } from "effect"
import type { MemorySample } from "../../operations/load/Memory.ts"

const lookEvery = "15 seconds"
const answeredWithin = "10 seconds"
const residentPattern = /^process_resident_memory_bytes (\d+)$/m

/**
 * Goes on until it is interrupted. A look that a busy process does not answer gives no sample.
 * @param url its /metrics
 */
export const probeMemory = Effect.fnUntraced(function*(url: string, samples: Array<MemorySample>) {
  const began = yield* Clock.currentTimeMillis
  const look = Effect.gen(function*() {
    const text = yield* Effect.tryPromise((signal) => fetch(url, { signal }).then((answer) => answer.text()))
    const resident = residentPattern.exec(text)?.[1]
    const now = yield* Clock.currentTimeMillis
    if (resident !== undefined) samples.push({ afterMs: now - began, residentBytes: Number(resident) })
  }).pipe(Effect.timeout(answeredWithin), Effect.ignore)
  return yield* Effect.forever(Effect.andThen(look, Effect.sleep(lookEvery)))
})
