/**
 * A record with its order number as bytes, in memory and in run files alike, little endian: u32 size of all, f64 order, u32 size of the
 * key, u32 size of the headers, key, headers (JSON, absent when empty), value.
 */
import type { NewRecord } from "../../log/EventLog.ts"

/** Bytes before the key. */
export const entryHead = 20

/** Bytes that an entry starts with and that tell its size. */
export const sizeBytes = 4

/** What an entry is made of, measured. */
export interface EntryParts {
  readonly order: number
  readonly record: NewRecord
  readonly keyBytes: number
  readonly headers: string
  readonly headersBytes: number
  readonly size: number
}

export const measureEntry = (order: number, record: NewRecord): EntryParts => {
  const keyBytes = Buffer.byteLength(record.key)
  const headers = record.headers === undefined ? "" : JSON.stringify(record.headers)
  const headersBytes = headers === "" ? 0 : Buffer.byteLength(headers)
  return {
    order,
    record,
    keyBytes,
    headers,
    headersBytes,
    size: entryHead + keyBytes + headersBytes + record.value.length
  }
}

export const writeEntry = (into: Buffer, at: number, parts: EntryParts): void => {
  into.writeUInt32LE(parts.size, at)
  into.writeDoubleLE(parts.order, at + 4)
  into.writeUInt32LE(parts.keyBytes, at + 12)
  into.writeUInt32LE(parts.headersBytes, at + 16)
  let to = at + entryHead
  into.write(parts.record.key, to, "utf8")
  to += parts.keyBytes
  if (parts.headersBytes > 0) into.write(parts.headers, to, "utf8")
  into.set(parts.record.value, to + parts.headersBytes)
}

export const entryOrder = (bytes: Buffer, at: number): number => bytes.readDoubleLE(at + 4)

/** The record of an entry; its value is a view. */
export const decodeEntry = (entry: Buffer): NewRecord => {
  const keyEnd = entryHead + entry.readUInt32LE(12)
  const headersEnd = keyEnd + entry.readUInt32LE(16)
  const key = entry.toString("utf8", entryHead, keyEnd)
  const value = entry.subarray(headersEnd)
  if (headersEnd === keyEnd) return { key, value }
  const headers = JSON.parse(entry.toString("utf8", keyEnd, headersEnd)) as Record<string, string>
  return { key, value, headers }
}
