/** What a request is to a wire format, and what a format makes of it. */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { EpochMillis } from "../domain/Identifiers.ts"
import { CollectFault } from "./CollectFault.ts"

/** A request, as far as formats look at it. */
export interface Arrival {
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Inflated; empty for GET. */
  readonly body: Buffer
  readonly receivedAt: EpochMillis
  /** Of this request alone: for senders that name nothing. */
  readonly requestId: string
  /** The sender's address; "" when it is not known. */
  readonly address: string
  readonly visitorSecret: string
  readonly eventBytesMax: number
  readonly eventsMax: number
}

/** One thing that was sent: an event, or why it is none, with the bytes as they came. */
export type Item =
  | { readonly event: ClickEvent; readonly fault?: undefined }
  | { readonly fault: CollectFault; readonly bytes: Buffer; readonly event?: undefined }

export interface Submission {
  readonly items: ReadonlyArray<Item>
  /** A write key that came in the body. */
  readonly writeKey?: string | undefined
}

/** The whole request is one dead letter. */
export const refused = (fault: CollectFault, bytes: Buffer): Submission => ({ items: [{ fault, bytes }] })

/** Counted before anything is made of it: a few bytes can be millions of elements. */
export const tooMany = (count: number, { body, eventsMax }: Arrival): Submission =>
  refused(new CollectFault("record_too_large", `${count} events in one request; at most ${eventsMax} are taken`), body)

/** What became of an item, and where it is. */
export interface ItemReceipt {
  readonly status: "accepted" | "invalid" | "too_large"
  readonly event_id?: string
  readonly reason?: string
  readonly detail?: string
  readonly partition: number
  readonly offset: number
}

/** What is answered, once all of it is in the log. */
export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string | Uint8Array
}

/** A way to send events: paths, a pure reading of the request, and the answer that its senders understand. */
export interface WireFormat {
  readonly name: string
  /** Without a slash at the end. */
  readonly paths: ReadonlyArray<string>
  readonly methods: ReadonlyArray<"POST" | "GET">
  read(arrival: Arrival): Submission
  answer(receipts: ReadonlyArray<ItemReceipt>): Answer
}

export const json = (value: unknown, status = 200): Answer => ({
  status,
  contentType: "application/json",
  body: JSON.stringify(value)
})
