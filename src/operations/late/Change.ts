/**
 * What an amendment or its reversal makes different, for the visitors of one bucket: worked out from the events that count before and
 * after it, written as new versions of events and sessions. Nothing of it counts until the change has its row in `amendments`.
 */
import { Effect } from "effect"
import { formatAmount } from "../../domain/Money.ts"
import type { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { RegistryError } from "../../log/SchemaRegistry.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { AcceptedSession, FoldedSession, LateRecord, SessionFigures } from "./FoldedSessions.ts"
import { foldedSessions } from "./FoldedSessions.ts"
import type { LatePlace } from "./LateEvents.ts"
import { lateRecords, reachedSessions, standingRecords, standingSessions } from "./Surroundings.ts"
import type { StandingSession } from "./Surroundings.ts"

/** What a bucket is asked to do. `visitors` is a SELECT of ids. */
export type Request =
  /** Folds the late events of a SELECT in. */
  | { readonly action: "amend"; readonly visitors: string; readonly late: string; readonly amendmentId: string }
  /** Takes out what the amendment holds. */
  | { readonly action: "revert"; readonly visitors: string; readonly amendmentId: string }

export interface Difference {
  /** Late events that count after the change and did not before, or the other way round. */
  readonly moved: ReadonlyArray<LateRecord>
  /** Late events whose session can still grow: they wait. */
  readonly waiting: ReadonlyArray<LateRecord>
  /** Of `moved`, and events that only go to another session. */
  readonly events: ReadonlyArray<
    { readonly record: LateRecord; readonly sessionId: string; readonly standing: boolean }
  >
  readonly sessions: ReadonlyArray<SessionChange>
}

/** One session id before and after; absent: there is, or was, no amended session of this id. */
export interface SessionChange {
  readonly before: StandingSession | undefined
  readonly after: FoldedSession | undefined
  /** Sessions of the pipeline that count before or after instead of it. */
  readonly accepted: ReadonlyArray<AcceptedSession>
}

/** Reads, and writes nothing. */
export const differenceOf = Effect.fnUntraced(function*(
  place: LatePlace,
  request: Request
): Effect.fn.Return<Difference, WarehouseError | RegistryError, Warehouse | SchemaRegistry> {
  const { visitors } = request
  const standing = yield* standingRecords(visitors)
  const fresh = request.action === "amend" ? yield* lateRecords(request.late, request.amendmentId) : []
  const accepted = yield* reachedSessions(place, visitors, [...standing, ...fresh])
  const kept = request.action === "revert" ?
    standing.filter(({ amendmentId }) => amendmentId !== request.amendmentId) :
    standing
  const closed = new Set(
    fresh.length === 0 ?
      [] :
      foldedSessions(accepted, [...kept, ...fresh], place.settings).filter((session) => isClosed(session, place))
        .flatMap(({ lateRecords }) => lateRecords)
  )
  const folded = fresh.filter((record) => closed.has(record))
  const after = foldedSessions(accepted, [...kept, ...folded], place.settings)
  const before = yield* standingSessions(visitors)
  const sessionBefore = sessionsOf(foldedSessions(accepted, standing, place.settings))
  const sessionAfter = sessionsOf(after)
  const removed = standing.filter((record) => !kept.includes(record))
  return {
    moved: [...folded, ...removed],
    waiting: fresh.filter((record) => !closed.has(record)),
    events: [
      ...removed.map((record) => ({ record, sessionId: sessionBefore.get(record) ?? "", standing: false })),
      ...[...sessionAfter].filter(([record, sessionId]) => sessionBefore.get(record) !== sessionId)
        .map(([record, sessionId]) => ({ record, sessionId, standing: true }))
    ],
    sessions: changesOf(before, after, accepted)
  }
})

/** Nothing that is not late yet can reach it. So neither it nor what it is made of changes any more, but by a person. */
const isClosed = ({ endedAt, partition }: FoldedSession, { decidedMs, settings }: LatePlace): boolean =>
  endedAt + settings.gapMs < (decidedMs.get(partition) ?? -Infinity)

const sessionsOf = (sessions: ReadonlyArray<FoldedSession>): ReadonlyMap<LateRecord, string> =>
  new Map(sessions.flatMap(({ lateRecords, sessionId }) => lateRecords.map((record) => [record, sessionId] as const)))

const changesOf = (
  before: ReadonlyArray<StandingSession>,
  after: ReadonlyArray<FoldedSession>,
  accepted: ReadonlyArray<AcceptedSession>
): ReadonlyArray<SessionChange> => {
  const known = new Map(accepted.map((session) => [session.sessionId, session]))
  const then = new Map(before.map((session) => [session.sessionId, session]))
  const now = new Map(after.map((session) => [session.sessionId, session]))
  const changes: Array<SessionChange> = []
  for (const id of new Set([...then.keys(), ...now.keys()])) {
    const [was, is] = [then.get(id), now.get(id)]
    if (was !== undefined && is !== undefined && contentOf(was) === contentOf(is)) continue
    const ids = new Set([...was?.replaces ?? [], ...is?.replaces.map(({ sessionId }) => sessionId) ?? []])
    changes.push({ before: was, after: is, accepted: [...ids].flatMap((each) => known.get(each) ?? []) })
  }
  return changes
}

/** All that is stored of an amended session, as text to compare. */
const contentOf = (session: StandingSession | FoldedSession): string =>
  JSON.stringify(
    [
      ...figureNames.map((name) => session[name]),
      [...session.revenueByCurrency],
      "lateEvents" in session ? session.lateEvents : session.lateRecords.length,
      session.replaces.map((each) => typeof each === "string" ? each : each.sessionId)
    ],
    (_, value) => typeof value === "bigint" ? String(value) : value
  )

const figureNames = [
  "sessionId",
  "visitorId",
  "startedAt",
  "endedAt",
  "events",
  "clicks",
  "carts",
  "purchases",
  "uniqueItems",
  "revenue",
  "entryUrl",
  "exitUrl",
  "firstReferrer",
  "userAgent",
  "partition"
] as const satisfies ReadonlyArray<keyof SessionFigures>

/** Which change writes, and its place among all. */
export interface ChangeStamp {
  readonly changeId: string
  readonly version: number
}

/** New versions of the events and sessions that are different. Not counted yet. */
export const writeDifference = Effect.fnUntraced(function*(
  { events, sessions }: Difference,
  stamp: ChangeStamp
): Effect.fn.Return<void, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const marked = { change_id: stamp.changeId, version: stamp.version }
  const insert = (table: string, rows: ReadonlyArray<object>) =>
    rows.length === 0 ? Effect.void : warehouse.command(
      `INSERT INTO ${table} ${insertSettings} FORMAT JSONEachRow\n${
        rows.map((row) => JSON.stringify({ ...row, ...marked })).join("\n")
      }`
    )
  yield* insert("amended_events", events.map(eventRow))
  yield* insert("amended_sessions", sessions.map(sessionRow))
})

export const insertSettings = "SETTINGS async_insert = 0, insert_deduplicate = 0, max_insert_threads = 1"

const eventRow = ({ record, sessionId, standing }: Difference["events"][number]) => {
  const { event } = record
  return {
    event_id: event.eventId,
    visitor_id: event.visitorId,
    event_ts: timeText(event.eventTs),
    event_type: event.eventType,
    item_id: event.itemId,
    category: event.category,
    price: formatAmount(event.price),
    currency: event.currency,
    quantity: event.quantity,
    url: event.url,
    referrer: event.referrer,
    user_agent: event.userAgent,
    properties: event.properties,
    truncated: event.truncated,
    appended_at: timeText(record.appendedAt),
    partition: record.partition,
    offset: record.offset,
    session_id: sessionId,
    amendment_id: record.amendmentId,
    standing
  }
}

const sessionRow = ({ after, before }: SessionChange) => {
  const session = (after ?? before)!
  return {
    session_id: session.sessionId,
    visitor_id: session.visitorId,
    started_at: timeText(session.startedAt),
    ended_at: timeText(session.endedAt),
    events: session.events,
    clicks: session.clicks,
    carts: session.carts,
    purchases: session.purchases,
    unique_items: session.uniqueItems,
    revenue: formatAmount(session.revenue),
    revenue_by_currency: Object.fromEntries(
      [...session.revenueByCurrency].map(([currency, amount]) => [currency, formatAmount(amount)])
    ),
    entry_url: session.entryUrl,
    exit_url: session.exitUrl,
    first_referrer: session.firstReferrer,
    user_agent: session.userAgent,
    partition: session.partition,
    late_events: after?.lateRecords.length ?? 0,
    replaces: after?.replaces.map(({ sessionId }) => sessionId) ?? [],
    standing: after !== undefined
  }
}

/** As ClickHouse reads it, UTC. */
const timeText = (ms: number): string => new Date(ms).toISOString().replace("T", " ").slice(0, 23)
