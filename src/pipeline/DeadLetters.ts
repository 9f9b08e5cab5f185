/**
 * Dead letters as records for a log of their own, beside the table: for tools that read topics. They are appended before the
 * checkpoint that covers them, so at least once; a flush that is written again appends them again, under the same id.
 */
import type { Effect } from "effect"
import { isUtf8 } from "node:buffer"
import type { LogError, NewRecord } from "../log/EventLog.ts"
import type { Flush } from "./Processor.ts"

/** Where dead letters go. */
export interface DeadLetterSink {
  /** The log they come from, as its readers call it. */
  readonly source: string
  /** Done when they are durable. */
  append(records: ReadonlyArray<NewRecord>): Effect.Effect<unknown, LogError>
}

/** What a dead letter says of itself, besides the headers that the record had. */
export const deadLetterHeaders = {
  /** source/partition/offset: the same however often it is appended. */
  id: "guardian-id",
  source: "guardian-source",
  partition: "guardian-partition",
  offset: "guardian-offset",
  reason: "guardian-reason",
  detail: "guardian-detail",
  /** When the log took the record, ISO 8601. */
  firstSeen: "guardian-first-seen",
  /** When it was last found to be none, ISO 8601. */
  lastSeen: "guardian-last-seen",
  /** Only when the key is no UTF-8: its bytes in Base64. */
  keyBytes: "guardian-key-base64"
} as const

/** The dead letters of a flush, with their bytes as they came. */
export const deadLettersOf = ({ sources }: Flush, source: string, now: number): ReadonlyArray<NewRecord> =>
  sources.flatMap(({ changes, partition }) =>
    changes.deadLetters.map(({ appendedAt, detail, headers, key, offset, reason, value }) => ({
      key: Buffer.from(key).toString(),
      value,
      headers: {
        ...headers,
        [deadLetterHeaders.id]: `${source}/${partition}/${offset}`,
        [deadLetterHeaders.source]: source,
        [deadLetterHeaders.partition]: String(partition),
        [deadLetterHeaders.offset]: String(offset),
        [deadLetterHeaders.reason]: reason,
        [deadLetterHeaders.detail]: detail,
        [deadLetterHeaders.firstSeen]: new Date(appendedAt).toISOString(),
        [deadLetterHeaders.lastSeen]: new Date(now).toISOString(),
        ...(isUtf8(key) ? {} : { [deadLetterHeaders.keyBytes]: Buffer.from(key).toString("base64") })
      }
    }))
  )
