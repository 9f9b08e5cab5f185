/**
 * The collector: HTTP in, the event log out. It answers when the log has everything durably, with one receipt per event. What is no
 * event goes into the log as a dead letter with the bytes as they came. A refused request (4xx without receipts, 429, 503) left
 * nothing behind that was promised: its sender still holds it, and ids make sending it again harmless.
 *
 * One Effect per request; events of a request are plain loops.
 */
import { Clock, Effect } from "effect"
import type { Scope } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomUUID } from "node:crypto"
import { recordBytesMax } from "../domain/ClickEvent.ts"
import { epochMillis } from "../domain/Identifiers.ts"
import type { NewRecord, Receipt } from "../log/EventLog.ts"
import { EventLog } from "../log/EventLog.ts"
import { encodeEvent } from "../log/WireFormat.ts"
import { CollectFault } from "./CollectFault.ts"
import { CollectorCounters } from "./CollectorCounters.ts"
import type { CollectorSettings } from "./CollectorSettings.ts"
import { corsHeaders, isAllowed, keyAllows, preflightHeaders } from "./Cors.ts"
import { formatAt } from "./Formats.ts"
import { Intake } from "./Intake.ts"
import type { Lease } from "./Intake.ts"
import { RateLimit } from "./RateLimit.ts"
import { Refusal } from "./Refusal.ts"
import { readBody } from "./RequestBody.ts"
import type { Answer, Arrival, Item, ItemReceipt, Submission, WireFormat } from "./Submission.ts"
import { refused } from "./Submission.ts"
import type { WriteKey } from "./WriteKeys.ts"
import { findKey, presentedKey } from "./WriteKeys.ts"

export interface CollectorOptions {
  readonly settings: CollectorSettings
  /** Of our own schema, in the registry. */
  readonly schemaId: number
  /** The write keys as they are now. */
  readonly keys: () => ReadonlyArray<WriteKey>
  /** Events per second of keys that have no rate of their own. */
  readonly eventsPerSecond: number
  /** Runs once, before the first event goes into the log. */
  readonly onFirstEvent: Effect.Effect<void>
}

/** Serves until the scope ends; gives the counters. */
export const serve = (
  options: CollectorOptions
): Effect.Effect<CollectorCounters, never, EventLog | HttpServer.HttpServer | Scope.Scope> =>
  Effect.gen(function*() {
    const log = yield* EventLog
    const onFirstEvent = yield* Effect.cached(options.onFirstEvent)
    const collector = new Collector({ ...options, onFirstEvent }, log)
    yield* HttpServer.serveEffect(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => collector.handle(request))
    )
    return collector.counters
  })

/** What a request may do. */
interface Sender {
  readonly origin: string | undefined
  readonly key: WriteKey | undefined
}

class Collector {
  readonly counters: CollectorCounters
  readonly #options: CollectorOptions
  readonly #intake: Intake
  readonly #rates = new RateLimit()

  constructor(options: CollectorOptions, log: EventLog["Service"]) {
    this.#options = options
    const intake = new Intake(log, options.settings.limits)
    this.#intake = intake
    this.counters = new CollectorCounters({
      bytesInFlight: () => intake.bytesInFlight,
      recordsInFlight: () => intake.recordsInFlight
    })
  }

  handle(request: HttpServerRequest.HttpServerRequest): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    const { headers } = request
    const origin = headers["origin"]
    const mark = request.url.indexOf("?")
    const path = mark < 0 ? request.url : request.url.slice(0, mark)
    const format = formatAt(path)
    const allowed = isAllowed(origin, this.#options.settings.origins)
    const cors = origin === undefined || !allowed ? {} : corsHeaders(origin)
    if (request.method === "OPTIONS" && origin !== undefined && allowed && format !== undefined) {
      this.counters.answered(204)
      return Effect.succeed(HttpServerResponse.empty({
        status: 204,
        headers: preflightHeaders(origin, headers["access-control-request-headers"])
      }))
    }
    const answer = Effect.suspend(() => {
      if (!allowed) return Effect.fail(originRefused)
      if (format === undefined) return Effect.fail(unknownPath)
      if (!(format.methods as ReadonlyArray<string>).includes(request.method)) return Effect.fail(wrongMethod(format))
      const query = new URLSearchParams(mark < 0 ? "" : request.url.slice(mark + 1))
      return this.#collect(request, format, { path, query, origin })
    })
    return Effect.match(answer, {
      onSuccess: (answer) => this.#respond(answer, cors),
      onFailure: (refusal) => this.#respond(refusal.answer(), { ...cors, ...refusal.headers })
    })
  }

  #respond(answer: Answer, headers: Readonly<Record<string, string>>): HttpServerResponse.HttpServerResponse {
    this.counters.answered(answer.status)
    const { body, contentType, status } = answer
    return typeof body === "string" ?
      HttpServerResponse.text(body, { status, headers, contentType }) :
      HttpServerResponse.uint8Array(body, { status, headers, contentType })
  }

  #collect(
    request: HttpServerRequest.HttpServerRequest,
    format: WireFormat,
    { origin, path, query }: {
      readonly path: string
      readonly query: URLSearchParams
      readonly origin: string | undefined
    }
  ): Effect.Effect<Answer, Refusal> {
    return Effect.suspend(() => {
      const lease = this.#intake.lease()
      return Effect.ensuring(
        Effect.gen({ self: this }, function*() {
          const { headers } = request
          const { keysRead, keysRequired } = this.#options.settings
          const isRead = keysRequired || (keysRead && this.#options.keys().length > 0)
          const presented = isRead ? presentedKey(headers, query) : undefined
          const receivedAt = epochMillis(yield* Clock.currentTimeMillis)
          let sender = presented === undefined ? undefined : yield* this.#admit(presented, origin, receivedAt)
          if (this.#intake.isFull(receivedAt)) return yield* Effect.fail(Refusal.full)
          const body = request.method === "GET" ? noBody : yield* this.#body(request, lease)
          const submission = Buffer.isBuffer(body) ?
            format.read(this.#arrival(request, path, query, body, receivedAt)) :
            refused(body.fault, body.bytes)
          if (sender === undefined && isRead) {
            if (submission.writeKey !== undefined) sender = yield* this.#admit(submission.writeKey, origin, receivedAt)
            else if (keysRequired) return yield* Effect.fail(keyMissing)
          }
          return yield* this.#store(format, submission, sender, receivedAt)
        }),
        Effect.sync(() => lease.end())
      )
    })
  }

  #body(request: HttpServerRequest.HttpServerRequest, lease: Lease) {
    return Effect.tap(readBody(request, lease, this.#options.settings.limits), (body) =>
      Effect.sync(() => {
        if (Buffer.isBuffer(body)) this.counters.bytes += body.length
      }))
  }

  #admit(presented: string, origin: string | undefined, nowMs: number): Effect.Effect<Sender, Refusal> {
    return Effect.suspend(() => {
      const key = findKey(this.#options.keys(), presented)
      if (key === undefined) return Effect.fail(keyUnknown)
      if (!keyAllows(key, origin)) return Effect.fail(originRefused)
      const refusal = this.#rates.check(key.name, this.#rate(key), nowMs)
      return refusal === undefined ? Effect.succeed({ origin, key }) : Effect.fail(refusal)
    })
  }

  #rate(key: WriteKey): number {
    return key.events_per_second ?? this.#options.eventsPerSecond
  }

  #arrival(
    request: HttpServerRequest.HttpServerRequest,
    path: string,
    query: URLSearchParams,
    body: Buffer,
    receivedAt: Arrival["receivedAt"]
  ): Arrival {
    const { limits, proxies, visitorSecret } = this.#options.settings
    const forwarded = proxies === 0 ? [] : (request.headers["x-forwarded-for"] ?? "").split(",")
    const peer = request.remoteAddress._tag === "Some" ? request.remoteAddress.value : ""
    return {
      path,
      query,
      headers: request.headers,
      body,
      receivedAt,
      requestId: randomUUID(),
      address: forwarded.at(-proxies)?.trim() || peer,
      visitorSecret,
      eventBytesMax: limits.eventBytesMax,
      eventsMax: limits.eventsPerRequestMax
    }
  }

  #store(
    format: WireFormat,
    { items }: Submission,
    sender: Sender | undefined,
    receivedAt: number
  ): Effect.Effect<Answer, Refusal> {
    return Effect.gen({ self: this }, function*() {
      const counts = this.counters.format(format.name)
      counts.requests++
      if (items.length === 0) return format.answer([])
      const key = sender?.key
      if (key !== undefined) this.#rates.spend(key.name, this.#rate(key), receivedAt, items.length)
      const stored = items.map((item) => this.#storedItem(item))
      if (stored.some(({ event }) => event !== undefined)) yield* this.#options.onFirstEvent
      const receipts = yield* this.#intake.append(
        stored.map((item, index) => this.#record(item, index, format, key, receivedAt))
      )
      for (const { fault } of stored) {
        if (fault === undefined) counts.accepted++
        else if (fault.reason === "record_too_large") counts.tooLarge++
        else counts.invalid++
      }
      return format.answer(stored.map((item, index) => receiptOf(item, receipts[index]!)))
    })
  }

  /** The item with its value for the log, which has a limit of its own. */
  #storedItem(item: Item): StoredItem {
    if (item.fault !== undefined) return item
    const value = encodeEvent(this.#options.schemaId, item.event)
    if (value.length <= recordBytesMax) return { event: item.event, value }
    const fault = new CollectFault("record_too_large", `the event takes ${value.length} bytes in the log`)
    return { fault, bytes: value }
  }

  #record(
    item: StoredItem,
    index: number,
    format: WireFormat,
    key: WriteKey | undefined,
    receivedAt: number
  ): NewRecord {
    if (item.event !== undefined) return { key: item.event.visitorId, value: item.value }
    const { bytes, fault } = item
    return {
      key: `collect:${receivedAt}:${index}`,
      value: bytes.subarray(0, deadLetterBytesMax),
      headers: {
        "guardian-dead-letter": fault.reason,
        "guardian-detail": fault.detail,
        "guardian-format": format.name,
        ...(key !== undefined && { "guardian-write-key": key.name }),
        ...(bytes.length > deadLetterBytesMax && { "guardian-length": String(bytes.length) })
      }
    }
  }
}

type StoredItem =
  | { readonly event: NonNullable<Item["event"]>; readonly value: Uint8Array; readonly fault?: undefined }
  | { readonly fault: CollectFault; readonly bytes: Buffer; readonly event?: undefined }

const receiptOf = (item: StoredItem, { offset, partition }: Receipt): ItemReceipt =>
  item.event !== undefined ?
    { status: "accepted", event_id: item.event.eventId, partition, offset } :
    {
      status: item.fault.reason === "record_too_large" ? "too_large" : "invalid",
      reason: item.fault.reason,
      detail: item.fault.detail,
      partition,
      offset
    }

/** Of a dead letter's bytes so many are kept: with its headers it stays below a broker's usual limit for records. */
const deadLetterBytesMax = recordBytesMax - 16 * 1024

const noBody = Buffer.alloc(0)

const unknownPath = new Refusal(404, "Not found", "Nothing is collected at this path; events go to POST /collect.")
const originRefused = new Refusal(403, "Origin not allowed", "Pages of this origin may not send here.")
const keyMissing = new Refusal(401, "Write key missing", "Send a write key: Authorization: Bearer KEY.", {
  "www-authenticate": "Bearer"
})
const keyUnknown = new Refusal(401, "Write key unknown", "This write key is not known, or was revoked.", {
  "www-authenticate": "Bearer"
})
const wrongMethod = ({ methods }: WireFormat) =>
  new Refusal(405, "Method not allowed", `This path takes ${methods.join(" and ")}.`, {
    "allow": [...methods, "OPTIONS"].join(", ")
  })
