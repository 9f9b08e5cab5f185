/** Sessions, their events and their visitors. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Anomaly } from "./AnomaliesGroup.ts"
import { Answer, Count, cursor, limit, Money, Name, Page, SessionId, Time } from "./Fields.ts"
import { BadParameters, dataProblems, NotFound } from "./Problems.ts"
import { asRowFormats } from "./RowFormats.ts"

const uint32 = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 32 - 1 }))

export const Session = Schema.Struct({
  session_id: Schema.String,
  visitor_id: Schema.String,
  started_at: Time,
  ended_at: Time,
  duration_sec: Schema.Finite,
  events: Count,
  clicks: Count,
  carts: Count,
  purchases: Count,
  unique_items: Count,
  revenue: Money,
  revenue_by_currency: Schema.Record(Schema.String, Schema.String),
  entry_url: Schema.String,
  exit_url: Schema.String,
  first_referrer: Schema.String,
  user_agent: Schema.String,
  is_open: Schema.Boolean,
  partition: Count
}).annotate({ identifier: "Session" })

export const StandingVerdict = Schema.Struct({
  scope: Schema.Literals(["visitor", "session"]),
  id: Schema.String,
  verdict: Schema.Literals(["bot", "human", "unknown"]),
  reason: Schema.String,
  author: Schema.String,
  set_at: Time
}).annotate({ identifier: "StandingVerdict" })

export const SessionDetail = Schema.Struct({
  session: Session,
  flagged_by: Schema.NullOr(Schema.Literals(["person", "rule", "user_agent"])).annotate({
    description: "The strongest verdict that makes it a bot's; null: it counts as clean"
  }),
  findings: Schema.Array(Anomaly),
  verdicts: Schema.Array(StandingVerdict)
}).annotate({ identifier: "SessionDetail" })

export const SessionEvent = Schema.Struct({
  event_id: Schema.String,
  visitor_id: Schema.String,
  session_id: Schema.String,
  event_ts: Time,
  event_type: Schema.String,
  item_id: Schema.String,
  category: Schema.String,
  price: Schema.String,
  currency: Schema.String,
  quantity: Count,
  url: Schema.String,
  referrer: Schema.String,
  properties: Schema.Record(Schema.String, Schema.String),
  appended_at: Time,
  partition: Count,
  offset: Count
}).annotate({ identifier: "SessionEvent" })

export const Visitor = Schema.Struct({
  visitor_id: Schema.String,
  sessions: Count,
  events: Count,
  clicks: Count,
  purchases: Count,
  revenue: Money,
  first_seen: Time,
  last_seen: Time,
  recent_sessions: Schema.Array(Session),
  findings: Schema.Array(Anomaly),
  verdicts: Schema.Array(StandingVerdict)
}).annotate({ identifier: "Visitor" })

export class SessionsGroup extends HttpApiGroup.make("sessions").add(
  HttpApiEndpoint.get("list", "/sessions", {
    query: {
      limit,
      cursor,
      from: Schema.optionalKey(Schema.String).annotate({
        description: "Opened at or after, RFC 3339 such as 2026-03-02T10:00:00Z"
      }),
      to: Schema.optionalKey(Schema.String).annotate({ description: "Opened before, RFC 3339" }),
      flagged: Schema.optionalKey(Schema.Literals(["true", "false"])),
      min_events: Schema.optionalKey(uint32),
      min_purchases: Schema.optionalKey(uint32)
    },
    success: Page(Session),
    error: [BadParameters, ...dataProblems]
  }).annotateMerge(asRowFormats).annotateMerge(OpenApi.annotations({
    summary: "Sessions, newest first",
    description:
      "In the order of their ids, which begin with the time of the event that opened them: the first of its events to come. Where an " +
      "earlier one came after it, started_at is earlier, by the allowed lateness at most. " +
      "A page may be short, or with filters even empty, while next_cursor says that there is more."
  })),
  HttpApiEndpoint.get("one", "/sessions/:id", {
    params: { id: SessionId },
    success: Answer(SessionDetail),
    error: [NotFound, ...dataProblems]
  }).annotateMerge(OpenApi.annotations({ summary: "A session, why it is flagged, and what was said of it" })),
  HttpApiEndpoint.get("events", "/sessions/:id/events", {
    params: { id: SessionId },
    query: { limit },
    success: Page(SessionEvent),
    error: [NotFound, ...dataProblems]
  }).annotateMerge(asRowFormats).annotateMerge(
    OpenApi.annotations({ summary: "The first events of a session, in order of time" })
  ),
  HttpApiEndpoint.get("visitor", "/visitors/:id", {
    params: { id: Name },
    success: Answer(Visitor),
    error: [NotFound, ...dataProblems]
  }).annotateMerge(OpenApi.annotations({ summary: "A visitor with the newest sessions" }))
).annotateMerge(OpenApi.annotations({ title: "Sessions", description: "Sessions, their events and visitors" })) {}
