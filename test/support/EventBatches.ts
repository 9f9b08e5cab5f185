/** Batches as the pipeline gets them, made of events: encoded and decoded as on their way through the log. */
import { Effect } from "effect"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import type { EventBatch } from "../../src/domain/EventBatch.ts"
import type { EpochMillis, Offset, Partition } from "../../src/domain/Identifiers.ts"
import type { EncodedBatch } from "../../src/log/WireFormat.ts"
import { encodeEvent, EventDecoder } from "../../src/log/WireFormat.ts"
import { judged } from "../../src/pipeline/Decoding.ts"

const schemaId = 1
const decoder = new EventDecoder(() => Effect.succeed(avroSchema))
await Effect.runPromise(decoder.learn(schemaId))

export interface WrittenRecord {
  readonly offset: number
  readonly appendedAt: number
  readonly value: Uint8Array
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export const encoded = (event: ClickEvent): Buffer => encodeEvent(schemaId, event)

/** What a log would hand out for these records. */
export const storedBatch = (partition: number, records: ReadonlyArray<WrittenRecord>): EncodedBatch => {
  const ends: Array<number> = []
  let end = 0
  for (const { value } of records) ends.push(end += value.length)
  const bytes = Buffer.concat(records.map(({ value }) => value))
  const valueStart = (index: number): number => ends[index - 1] ?? 0
  return {
    partition: partition as Partition,
    count: records.length,
    bytes,
    offset: (index) => records[index]!.offset as Offset,
    appendedAt: (index) => records[index]!.appendedAt as EpochMillis,
    valueStart,
    valueEnd: (index) => ends[index]!,
    value: (index) => bytes.subarray(valueStart(index), ends[index]),
    key: () => Buffer.alloc(0),
    headers: (index) => records[index]!.headers
  }
}

export const decodedBatch = (partition: number, records: ReadonlyArray<WrittenRecord>): EventBatch => {
  const stored = storedBatch(partition, records)
  return judged(stored, decoder.decodeKnown(stored))
}
