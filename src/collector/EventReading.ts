/**
 * From what a sender or a format wrote to an event: the domain's Schema judges, then the clock is corrected. Plain functions: they
 * run once per event.
 */
import { Result, Schema } from "effect"
import type { ClickEvent } from "../domain/ClickEvent.ts"
import { EventJson, eventTsMax, fromJson, propertiesMax } from "../domain/ClickEvent.ts"
import type { EpochMillis } from "../domain/Identifiers.ts"
import { CollectFault } from "./CollectFault.ts"

/** Properties that keep the sender's own times when its clock was corrected. */
export const clientTimeProperty = "client_event_ts"
export const clientSentProperty = "client_sent_at"

const decode = Schema.decodeUnknownResult(EventJson, { onExcessProperty: "error" })

/** The sender's clock at the time of sending, and ours at the time of receiving. */
export interface ClockPair {
  readonly sentAt: number
  readonly receivedAt: EpochMillis
}

/** The event of a JSON value, or why there is none. */
export const readEvent = (value: unknown, clocks?: ClockPair): ClickEvent | CollectFault => {
  const decoded = decode(value)
  if (Result.isFailure(decoded)) return new CollectFault("invalid_event", oneLine(decoded.failure.message))
  const event = fromJson(decoded.success)
  return clocks === undefined ? event : corrected(event, clocks)
}

/**
 * Segment's rule: what lay between event and sending on the sender's clock lay before our receiving. The id was derived from the
 * sender's time, so that a second attempt, which is received later, is the same event.
 */
const corrected = (event: ClickEvent, { receivedAt, sentAt }: ClockPair): ClickEvent | CollectFault => {
  const eventTs = Math.round(receivedAt - (sentAt - event.eventTs))
  if (!(Math.abs(eventTs) <= eventTsMax)) {
    return new CollectFault("invalid_event", "event_ts corrected by sent_at is no time")
  }
  if (Object.keys(event.properties).length > propertiesMax - 2) {
    return new CollectFault("invalid_event", `with sent_at at most ${propertiesMax - 2} properties are taken`)
  }
  return {
    ...event,
    eventTs: eventTs as EpochMillis,
    properties: {
      ...event.properties,
      [clientTimeProperty]: new Date(event.eventTs).toISOString(),
      [clientSentProperty]: new Date(sentAt).toISOString()
    }
  }
}

/** Epoch ms or a text that is a time; undefined for anything else. */
export const timeOf = (value: unknown): number | undefined => {
  const ms = typeof value === "number" ? value : typeof value === "string" ? textTime(value) : Number.NaN
  return Math.abs(ms) <= eventTsMax ? Math.round(ms) : undefined
}

const textTime = (text: string): number => /^-?\d{1,16}$/.test(text) ? Number(text) : Date.parse(text)

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim()
