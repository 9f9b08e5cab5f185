/** What the database shows, looked at again and again. */
import { Clock, Effect } from "effect"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { Ledger } from "./Ledger.ts"
import { lagAt } from "./Recovery.ts"
import type { Sight } from "./Recovery.ts"

/** Adds to the sights for ever. A checkpoint is written after all that it covers; a database that is away shows nothing. */
export const watchCheckpoints = (sights: Array<Sight>, partitions: number, every: string & `${number} millis`) =>
  Effect.gen(function*() {
    const warehouse = yield* Warehouse
    const rows = yield* warehouse.query("SELECT partition, max(offset) AS next FROM checkpoints GROUP BY partition")
    const next = Array.from({ length: partitions }, () => 0)
    for (const row of rows) next[Number(row["partition"])] = Number(row["next"])
    sights.push({ at: yield* Clock.currentTimeMillis, next })
  }).pipe(Effect.ignore, Effect.andThen(Effect.sleep(every)), Effect.forever)

/** Whether the last look found all that is below these offsets. */
export const showsUpTo = (sights: ReadonlyArray<Sight>, ends: ReadonlyArray<number>): boolean => {
  const last = sights.at(-1)
  return last !== undefined && ends.every((end, partition) => last.next[partition]! >= end)
}

/** Whether for so long, up to the last look, no more than a second of traffic waited. */
export const isSteady = (
  ledger: Ledger,
  sights: ReadonlyArray<Sight>,
  { forMs, recordsPerSecond }: { readonly forMs: number; readonly recordsPerSecond: number }
): boolean => {
  const from = (sights.at(-1)?.at ?? 0) - forMs
  const before = sights.findLastIndex(({ at }) => at <= from)
  return before >= 0 && sights.slice(before).every((sight) => lagAt(ledger, sight) <= recordsPerSecond)
}
