/**
 * Log batches into decoded batches. A record is a dead letter when its bytes do not decode, its schema is unknown, its fields
 * break the event schema, it is too large, or whoever appended it says so (a bad line of an import). The registry being away is
 * no dead letter: the caller waits.
 */
import { Effect } from "effect"
import type { ClickEvent } from "../domain/ClickEvent.ts"
import { recordBytesMax, violation } from "../domain/ClickEvent.ts"
import type { EpochMillis, Offset } from "../domain/Identifiers.ts"
import type { DecodeFailure } from "../domain/Outcome.ts"
import type { LogBatch } from "../log/EventLog.ts"
import type { RegistryError } from "../log/SchemaRegistry.ts"
import type { EventDecoder } from "../log/WireFormat.ts"
import { DecodeFailure as WireFailure } from "../log/WireFormat.ts"
import type { DecodedBatch } from "../sessionizer/DecodedBatch.ts"

/** Headers of a record that its sender already knows to be a dead letter. */
export const deadLetterHeader = "guardian-dead-letter"
export const detailHeader = "guardian-detail"

export const decodeBatch = (decoder: EventDecoder, batch: LogBatch): Effect.Effect<DecodedBatch, RegistryError> =>
  Effect.map(decoder.decodeBatch(batch), (decoded) => {
    const offsets: Array<Offset> = []
    const appendedAt: Array<EpochMillis> = []
    const events: Array<ClickEvent | DecodeFailure> = []
    for (let i = 0; i < batch.count; i++) {
      offsets.push(batch.offset(i))
      appendedAt.push(batch.appendedAt(i))
      events.push(judge(batch, i, decoded[i]!))
    }
    return { partition: batch.partition, offsets, appendedAt, events, source: batch }
  })

const judge = (batch: LogBatch, index: number, decoded: ClickEvent | WireFailure): ClickEvent | DecodeFailure => {
  if (decoded instanceof WireFailure) {
    const headers = batch.headers(index)
    const declared = headers?.[deadLetterHeader]
    if (declared !== undefined) return { reason: declared, detail: headers![detailHeader] ?? "" }
    return { reason: decoded.reason, detail: decoded.message }
  }
  const length = batch.value(index).length
  if (length > recordBytesMax) {
    return { reason: "record_too_large", detail: `${length} bytes; at most ${recordBytesMax} are taken` }
  }
  const broken = violation(decoded)
  return broken === undefined ? decoded : { reason: "invalid", detail: broken }
}
