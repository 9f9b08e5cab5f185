/**
 * `POST /collect`: one event, an array, NDJSON, or an envelope `{"sent_at": ..., "events": [...]}`; told apart by looking. Also
 * `sent_at` as a query parameter, for the forms that have no place for it.
 */
import { CollectFault } from "../CollectFault.ts"
import { readEvent, timeOf } from "../EventReading.ts"
import type { ClockPair } from "../EventReading.ts"
import type { JsonObject } from "../JsonText.ts"
import { elementTexts, isObject, memberArrayStart, parseJson, textOf } from "../JsonText.ts"
import type { Arrival, Item, ItemReceipt, Submission, WireFormat } from "../Submission.ts"
import { json, refused, tooMany } from "../Submission.ts"

export const native: WireFormat = {
  name: "native",
  paths: ["/collect"],
  methods: ["POST"],
  read: (arrival) => {
    const text = textOf(arrival.body)
    if (text instanceof CollectFault) return refused(text, arrival.body)
    const clocks = clocksOf(arrival.query.get("sent_at") ?? undefined, arrival)
    if (clocks instanceof CollectFault) return refused(clocks, arrival.body)
    const whole = parseJson(text)
    if (!(whole instanceof CollectFault)) return readWhole(whole.value, text, clocks, arrival)
    const lines = text.split("\n").filter((line) => line.trim() !== "")
    return lines.length > 1 && lines.some(isJsonObject) ?
      readLines(lines, clocks, arrival) :
      refused(whole, arrival.body)
  },
  answer: (receipts) => {
    const count = (status: ItemReceipt["status"]) => receipts.filter((one) => one.status === status).length
    const accepted = count("accepted")
    const tooLarge = count("too_large")
    const status = accepted === receipts.length ? 200 : accepted > 0 ? 202 : tooLarge === receipts.length ? 413 : 400
    return json({ accepted, invalid: count("invalid"), too_large: tooLarge, receipts }, status)
  }
}

const clocksOf = (sentAt: unknown, { receivedAt }: Arrival): ClockPair | undefined | CollectFault => {
  if (sentAt === undefined) return undefined
  const ms = timeOf(sentAt)
  return ms === undefined ? new CollectFault("invalid_event", "sent_at is no time") : { sentAt: ms, receivedAt }
}

const readWhole = (value: unknown, text: string, clocks: ClockPair | undefined, arrival: Arrival): Submission => {
  if (Array.isArray(value)) return readArray(value, text, 0, clocks, arrival)
  if (!isEnvelope(value)) return { items: [readOne(value, text, clocks, arrival)] }
  const own = clocksOf(value["sent_at"], arrival)
  if (own instanceof CollectFault) return refused(own, arrival.body)
  return {
    ...readArray(value.events, text, memberArrayStart(text, "events"), own ?? clocks, arrival),
    writeKey: typeof value["write_key"] === "string" ? value["write_key"] : undefined
  }
}

/** A body of lines has at least one that stands for itself; else it is one broken text. */
const isJsonObject = (line: string): boolean => {
  if (!line.trimStart().startsWith("{")) return false
  const parsed = parseJson(line)
  return !(parsed instanceof CollectFault) && isObject(parsed.value)
}

const isEnvelope = (value: unknown): value is JsonObject & { readonly events: ReadonlyArray<unknown> } =>
  isObject(value) && Array.isArray(value["events"])

const readArray = (
  values: ReadonlyArray<unknown>,
  text: string,
  from: number,
  clocks: ClockPair | undefined,
  arrival: Arrival
): Submission => {
  if (values.length > arrival.eventsMax) return tooMany(values.length, arrival)
  let texts: ReadonlyArray<string> | undefined
  const textAt = (index: number) => (texts ??= elementTexts(text, text.indexOf("[", from)))[index]!
  const mayBeLarge = arrival.body.length > arrival.eventBytesMax
  return {
    items: values.map((value, index): Item => {
      if (mayBeLarge) return readOne(value, textAt(index), clocks, arrival)
      const event = readEvent(value, clocks)
      return event instanceof CollectFault ? { fault: event, bytes: Buffer.from(textAt(index)) } : { event }
    })
  }
}

const readLines = (
  lines: ReadonlyArray<string>,
  clocks: ClockPair | undefined,
  arrival: Arrival
): Submission => {
  if (lines.length > arrival.eventsMax) return tooMany(lines.length, arrival)
  return {
    items: lines.map((line): Item => {
      const parsed = parseJson(line)
      return parsed instanceof CollectFault ?
        { fault: parsed, bytes: Buffer.from(line) } :
        readOne(parsed.value, line, clocks, arrival)
    })
  }
}

const readOne = (value: unknown, text: string, clocks: ClockPair | undefined, { eventBytesMax }: Arrival): Item => {
  const bytes = Buffer.byteLength(text)
  const event = bytes > eventBytesMax ?
    new CollectFault("record_too_large", `the event has ${bytes} bytes; at most ${eventBytesMax} are taken`) :
    readEvent(value, clocks)
  return event instanceof CollectFault ? { fault: event, bytes: Buffer.from(text) } : { event }
}
