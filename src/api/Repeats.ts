/**
 * Repeats of an accepted event: dropped as duplicates they leave no row, only a record in the log, so that is looked through a little
 * way behind the accepted one. Senders repeat soon; what comes much later `guardian trace` finds.
 */
import { Effect } from "effect"
import { offset, partition as partitionNumber } from "../domain/Identifiers.ts"
import { scan } from "../operations/trace/LogScan.ts"
import { ApiSources } from "./ApiSources.ts"
import type { Traced } from "./contract/OperationsGroup.ts"
import { TookTooLong, Unavailable } from "./contract/Problems.ts"
import { FreshData } from "./FreshData.ts"

/** Records of the log that are looked through behind an accepted one; for so many accepted ones; repeats of one that are told. */
export const repeatRecordsMax = 200_000
const acceptedMax = 5
const repeatsMax = 100
const within = "5 seconds"

type Row = typeof Traced.Type

export const placeOf = ({ offset, partition }: Pick<Row, "partition" | "offset">): string => `${partition}:${offset}`

/** The duplicates of an id among the records that are processed, as far as they are looked for. Without a log: none. */
export const repeatsOf = Effect.fnUntraced(function*(eventId: string, stored: ReadonlyArray<Row>) {
  const { logRanges, reading } = yield* ApiSources
  if (reading === undefined) return []
  const ranges = (yield* logRanges) ?? []
  const progress = yield* FreshData.use((data) => data.progress)
  const found = new Map<string, Row>()
  const known = new Set(stored.map(placeOf))
  for (const original of stored.filter(({ outcome }) => outcome === "accepted").slice(0, acceptedMax)) {
    const { partition, visitor_id } = original
    const range = ranges[partition]
    const processed = progress.find((each) => each.partition === partition)?.next_offset ?? 0
    if (range === undefined || visitor_id === null) continue
    const from = Math.max(original.offset + 1, range.start)
    const to = Math.min(processed, range.end, original.offset + 1 + repeatRecordsMax)
    const records = yield* scan(
      { eventId, visitorId: visitor_id, checkpoints: [] },
      [{ partition: partitionNumber(partition), from: offset(from), to: offset(to) }],
      repeatsMax
    ).pipe(Effect.provideContext(reading))
    for (const record of records) {
      if (record.failure !== undefined || known.has(placeOf(record))) continue
      found.set(placeOf(record), {
        partition,
        offset: record.offset,
        appended_at: new Date(record.appendedAt).toISOString(),
        outcome: "duplicate",
        why: `repeats the record at offset ${original.offset} of the same visitor, which was accepted`,
        visitor_id,
        session_id: null
      })
    }
  }
  return [...found.values()]
}, (effect) =>
  effect.pipe(
    Effect.timeout(within),
    Effect.catchTags({
      TimeoutError: () => Effect.fail(new TookTooLong({ detail: `The log was not looked through in ${within}.` })),
      LogError: unavailable,
      OffsetOutOfRange: unavailable,
      RegistryError: unavailable
    })
  ))

const unavailable = (error: { readonly message: string }) =>
  Effect.andThen(
    Effect.logWarning(`the log could not be looked through: ${error.message}`),
    Effect.fail(new Unavailable({ detail: "The log does not answer. Try again in some seconds." }))
  )
