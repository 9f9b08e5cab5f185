/**
 * Late events folded into their day by a person, and taken out again. Each is a change with who, when and why; its row in
 * `amendments` is written last and makes it count, so a change that died before is as if it had never begun.
 */
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { amountOf, formatAmount } from "../../domain/Money.ts"
import type { RegistryError, SchemaRegistry } from "../../log/SchemaRegistry.ts"
import { sqlText } from "../../warehouse/SqlText.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { isNoSmokeSql } from "../smoke/SmokeVisitor.ts"
import type { ChangeStamp, Difference, Request, SessionChange } from "./Change.ts"
import { differenceOf, insertSettings, writeDifference } from "./Change.ts"
import type { LateRecord } from "./FoldedSessions.ts"
import type { LatePlace } from "./LateEvents.ts"
import { duringSql, LateRefused, readPlace, repeatsSql, spanOf } from "./LateEvents.ts"

export interface AmendmentAccount {
  readonly reason: string
  readonly author: string
}

/** What a change did, or would do. */
export interface AmendmentReport {
  readonly amendmentId: string
  readonly action: "amend" | "revert"
  readonly day: string
  /** Of the day when it was made; "final": the change reopened it. */
  readonly status: string
  readonly events: number
  /** Of their purchases in the reporting currency. */
  readonly revenue: string
  /** Late events that must wait, since their session can still grow. */
  readonly waiting: number
  /** 0: nothing was different, so nothing was written. */
  readonly version: number
}

type Failure = LateRefused | WarehouseError | RegistryError
type Needs = Warehouse | SchemaRegistry

/** Folds in the late events of a day of the reporting zone that no amendment holds yet. Nothing to fold in: nothing is written. */
export const amendDay = Effect.fnUntraced(function*(
  day: string,
  account: AmendmentAccount
): Effect.fn.Return<AmendmentReport, Failure, Needs> {
  const place = yield* existingPlace
  const amendmentId = randomUUID().slice(0, 8)
  return yield* change(
    place,
    { day, action: "amend", amendmentId, account },
    yield* amendRequests(place, day, amendmentId)
  )
})

/** Takes out all that an amendment folded in. Its late events may be folded in again. */
export const revertAmendment = Effect.fnUntraced(function*(
  amendmentId: string,
  account: AmendmentAccount
): Effect.fn.Return<AmendmentReport, Failure, Needs> {
  const place = yield* existingPlace
  const found = (yield* amendments).find((each) => each.amendmentId === amendmentId && each.action === "amend")
  if (found === undefined) {
    return yield* new LateRefused({
      message: `There is no amendment ${amendmentId}. guardian late amendments lists them.`
    })
  }
  const { day } = found
  return yield* change(place, { day, action: "revert", amendmentId, account }, yield* revertRequests(amendmentId))
})

/** A change of the history. */
export interface GivenAmendment extends AmendmentAccount {
  readonly amendmentId: string
  readonly action: "amend" | "revert"
  readonly day: string
  readonly status: string
  readonly events: number
  readonly revenue: string
  /** By partition: the first and the last record. */
  readonly offsets: Readonly<Record<string, readonly [first: number, last: number]>>
  /** ISO 8601. */
  readonly madeAt: string
  readonly version: number
  /** An amendment that was not reverted. */
  readonly holds: boolean
}

/** All that there were, newest first. */
export const amendments: Effect.Effect<ReadonlyArray<GivenAmendment>, WarehouseError, Warehouse> = Effect.gen(
  function*() {
    const rows = yield* (yield* Warehouse).query(
      `SELECT amendment_id, action, toString(day) AS day, status, toString(events) AS events, toString(revenue) AS revenue,
         mapApply((k, v) -> (toString(k), [toString(v.1), toString(v.2)]), offsets) AS offsets, reason, author,
         toString(toUnixTimestamp64Milli(made_at)) AS made_ms, toString(version) AS version,
         action = 'amend' AND amendment_id NOT IN (SELECT amendment_id FROM amendments WHERE action = 'revert') AS holds
       FROM amendments FINAL ORDER BY amendments.version DESC, change_id`
    )
    return rows.map((row) => ({
      amendmentId: String(row["amendment_id"]),
      action: row["action"] as "amend" | "revert",
      day: String(row["day"]),
      status: String(row["status"]),
      events: Number(row["events"]),
      revenue: String(row["revenue"]),
      offsets: Object.fromEntries(
        Object.entries(row["offsets"] as Record<string, readonly [string, string]>).map((
          [partition, [first, last]]
        ) => [
          partition,
          [Number(first), Number(last)] as const
        ])
      ),
      reason: String(row["reason"]),
      author: String(row["author"]),
      madeAt: new Date(Number(row["made_ms"])).toISOString(),
      version: Number(row["version"]),
      holds: Number(row["holds"]) === 1
    }))
  }
)

/** Refused where nothing was processed yet. */
export const existingPlace: Effect.Effect<LatePlace, LateRefused | WarehouseError, Warehouse> = Effect.flatMap(
  readPlace,
  (place) =>
    place === undefined ?
      Effect.fail(new LateRefused({ message: "Nothing was processed yet, so nothing came too late." })) :
      Effect.succeed(place)
)

/** Late events that are worked on together: some kB each in our memory. */
const bucketEventsMax = 20_000

/** The late events of the day that count in nothing yet, by buckets of visitors: all of a visitor's are in one. */
export const amendRequests = Effect.fnUntraced(function*(
  place: LatePlace,
  day: string,
  amendmentId: string
): Effect.fn.Return<ReadonlyArray<Request>, Failure, Warehouse> {
  const during = duringSql(yield* spanOf(place, day))
  const ofDay = `SELECT * FROM late_events FINAL WHERE ${isNoSmokeSql} AND ${during} AND ${place.below}`
  const open = `SELECT * FROM (${ofDay})
    WHERE (partition, offset) NOT IN (SELECT partition, offset FROM standing_amended_events)
      AND (partition, offset) NOT IN (${repeatsSql(ofDay)})`
  return yield* bucketsOf(open, (late) => ({
    action: "amend",
    late,
    visitors: `SELECT visitor_id FROM (${late})`,
    amendmentId
  }))
})

const revertRequests = (amendmentId: string) =>
  bucketsOf(
    `SELECT * FROM standing_amended_events WHERE amendment_id = ${sqlText(amendmentId)}`,
    (held) => ({ action: "revert", visitors: `SELECT visitor_id FROM (${held})`, amendmentId })
  )

const bucketsOf = Effect.fnUntraced(function*(
  rows: string,
  requestOf: (rows: string) => Request
): Effect.fn.Return<ReadonlyArray<Request>, WarehouseError, Warehouse> {
  const [counted] = yield* (yield* Warehouse).query(`SELECT toString(count()) AS events FROM (${rows})`)
  const buckets = Math.ceil(Number(counted!["events"]) / bucketEventsMax)
  return Array.from(
    { length: buckets },
    (_, bucket) => requestOf(`SELECT * FROM (${rows}) WHERE cityHash64(visitor_id) % ${buckets} = ${bucket}`)
  )
})

interface Intent {
  readonly day: string
  readonly action: "amend" | "revert"
  readonly amendmentId: string
  readonly account: AmendmentAccount
}

const quarterMs = 900_000

/** What the row of a change says about all of its buckets. */
class Tally {
  events = 0
  waiting = 0
  revenue = 0n
  readonly offsets = new Map<number, readonly [first: number, last: number]>()
  readonly eventQuarters = new Set<number>()
  readonly sessionQuarters = new Set<number>()
  readonly #currency: string

  constructor(reportingCurrency: string) {
    this.#currency = reportingCurrency
  }

  add({ events, moved, sessions, waiting }: Difference): void {
    this.events += moved.length
    this.waiting += waiting.length
    for (const record of moved) this.#addRecord(record)
    for (const { record } of events) this.eventQuarters.add(quarterOf(record.event.eventTs))
    for (const session of sessions) for (const start of startsOf(session)) this.sessionQuarters.add(quarterOf(start))
  }

  #addRecord({ event: { currency, eventType, price, quantity }, offset, partition }: LateRecord): void {
    if (eventType === "purchase" && (currency === "" || currency === this.#currency)) {
      this.revenue += amountOf(price, quantity)
    }
    const [first, last] = this.offsets.get(partition) ?? [offset, offset]
    this.offsets.set(partition, [Math.min(first, offset), Math.max(last, offset)])
  }
}

/** The quarter of an hour that an instant lies in, epoch seconds. */
export const quarterOf = (ms: number): number => Math.floor(ms / quarterMs) * (quarterMs / 1_000)

/** Where a session starts that counts before the change or after it. */
const startsOf = ({ accepted, after, before }: SessionChange): ReadonlyArray<number> =>
  [before, after, ...accepted].flatMap((session) => session === undefined ? [] : [session.startedAt])

const change = Effect.fnUntraced(function*(
  place: LatePlace,
  intent: Intent,
  requests: ReadonlyArray<Request>
): Effect.fn.Return<AmendmentReport, Failure, Needs> {
  const warehouse = yield* Warehouse
  yield* witness
  const [newest] = yield* warehouse.query("SELECT toString(max(version)) AS version FROM amendments")
  const before = Number(newest!["version"])
  const now = yield* Clock.currentTimeMillis
  const stamp: ChangeStamp = { changeId: randomUUID(), version: Math.max(now, before + 1) }
  const tally = new Tally(place.settings.reportingCurrency)
  for (const request of requests) {
    const difference = yield* differenceOf(place, request)
    yield* writeDifference(difference, stamp)
    tally.add(difference)
  }
  const { action, amendmentId, day } = intent
  const [metrics] = yield* warehouse.query(
    "SELECT status FROM daily_metrics WHERE metric_date = {day:Date} AND segment = 'all'",
    { day }
  )
  const report: AmendmentReport = {
    amendmentId,
    action,
    day,
    status: String(metrics?.["status"] ?? "provisional"),
    events: tally.events,
    revenue: formatAmount(tally.revenue),
    waiting: tally.waiting,
    version: tally.events === 0 ? 0 : stamp.version
  }
  if (tally.events > 0) yield* commit(place, intent, report, { stamp, before, now, tally })
  return report
})

const commit = Effect.fnUntraced(function*(
  { timeZone }: LatePlace,
  { account, action, amendmentId, day }: Intent,
  { events, revenue, status }: AmendmentReport,
  { before, now, stamp, tally }: {
    readonly stamp: ChangeStamp
    readonly before: number
    readonly now: number
    readonly tally: Tally
  }
): Effect.fn.Return<void, LateRefused | WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const quarters = (of: ReadonlySet<number>) => `[${[...of].sort((a, b) => a - b).join(", ")}]::Array(DateTime('UTC'))`
  const offsets = [...tally.offsets].flatMap(([partition, [first, last]]) => [partition, `(${first}, ${last})`]).join(
    ", "
  )
  yield* warehouse.command(
    `INSERT INTO amendments (amendment_id, change_id, version, action, day, time_zone, status, events, revenue, offsets, reason,
       author, made_at, event_quarters, session_quarters) ${insertSettings}
     SELECT ${sqlText(amendmentId)}, ${sqlText(stamp.changeId)}, ${stamp.version}, ${sqlText(action)}, toDate(${
      sqlText(day)
    }),
       ${sqlText(timeZone)}, ${sqlText(status)}, ${events}, toDecimal128(${sqlText(revenue)}, 4), map(${offsets}),
       ${sqlText(account.reason)}, ${sqlText(account.author)}, fromUnixTimestamp64Milli(toInt64(${now}), 'UTC'),
       ${quarters(tally.eventQuarters)}, ${quarters(tally.sessionQuarters)}
     WHERE (SELECT max(version) FROM amendments) = ${before}`
  )
  const [landed] = yield* warehouse.query(
    "SELECT count() AS rows FROM amendments WHERE change_id = {id:String}",
    { id: stamp.changeId }
  )
  if (Number(landed!["rows"]) === 0) {
    return yield* new LateRefused({
      message: "Somebody else amended or reverted at the same time, so this was left undone. Run it again."
    })
  }
  yield* witness
})

/** Notes the changes that count in another table, for the audit: also one that died before it could do so itself. */
const witness: Effect.Effect<void, WarehouseError, Warehouse> = Effect.flatMap(
  Warehouse,
  (warehouse) =>
    warehouse.command(
      `INSERT INTO counted_changes (change_id, amendment_id, action, version) ${insertSettings}
       SELECT change_id, amendment_id, action, version FROM amendments
       WHERE change_id NOT IN (SELECT change_id FROM counted_changes)`
    )
)
