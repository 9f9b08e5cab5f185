/** Figures of days, as the KPI views keep them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { periodMax } from "./DocumentedLimits.ts"
import { Answer, Count, Day, Money, Page, Segment, segment, Time, wholeBetween } from "./Fields.ts"
import { BadParameters, dataProblems, NotFound } from "./Problems.ts"
import { asRowFormats } from "./RowFormats.ts"

export const DailyMetrics = Schema.Struct({
  metric_date: Day,
  segment: Segment,
  total_clicks: Count,
  total_purchases: Count,
  unique_visitors: Count,
  unique_items: Count,
  total_revenue: Money,
  revenue_by_currency: Schema.Record(Schema.String, Schema.String),
  avg_order_value: Money,
  sessions: Count,
  conversion_rate: Schema.Finite,
  avg_session_duration_sec: Schema.Finite,
  avg_clicks_per_session: Schema.Finite,
  bounce_rate: Schema.Finite,
  late_events: Count,
  late_repeat: Count,
  late_revenue: Money,
  amended_events: Count.annotate({ description: "Late events that amendments have folded in" }),
  status: Schema.Literals(["provisional", "settled", "final"]),
  open_sessions: Count,
  verdicts: Count,
  reopened_at: Schema.NullOr(Time).annotate({ description: "When a person last changed the day while it was final" }),
  reopened_by: Schema.String.annotate({ description: "Who that was; empty: nobody" }),
  time_zone: Schema.String,
  refreshed_at: Time
}).annotate({ identifier: "DailyMetrics" })

export const HourlyTraffic = Schema.Struct({
  metric_date: Day,
  segment: Segment,
  hour_start: Time,
  local_hour: Count,
  clicks: Count,
  purchases: Count,
  unique_visitors: Count,
  revenue: Money
}).annotate({ identifier: "HourlyTraffic" })

export const FunnelStage = Schema.Struct({
  metric_date: Day,
  segment: Segment,
  stage: Schema.Literals(["VIEW", "MULTI_VIEW", "ADD_TO_CART", "PURCHASE"]),
  session_count: Count,
  percentage: Schema.Finite,
  drop_rate: Schema.Finite
}).annotate({ identifier: "FunnelStage" })

/** Sums and rates over several days. Unique visitors of days cannot be added, so they are not here. */
export const PeriodFigures = Schema.Struct({
  from: Day,
  to: Day,
  days_with_data: Count,
  total_clicks: Count,
  total_purchases: Count,
  total_revenue: Money,
  avg_order_value: Money,
  sessions: Count,
  conversion_rate: Schema.Finite,
  avg_session_duration_sec: Schema.Finite,
  bounce_rate: Schema.Finite,
  late_events: Count
}).annotate({ identifier: "PeriodFigures" })

export const Summary = Schema.Struct({ current: PeriodFigures, previous: PeriodFigures }).annotate({
  identifier: "Summary"
})

const ofDay = { params: { date: Day }, query: { segment }, error: [NotFound, ...dataProblems] } as const

export class MetricsGroup extends HttpApiGroup.make("metrics").add(
  HttpApiEndpoint.get("daily", "/metrics/daily", {
    query: { from: Schema.optionalKey(Day), to: Schema.optionalKey(Day), segment },
    success: Page(DailyMetrics),
    error: [BadParameters, ...dataProblems]
  }).annotateMerge(asRowFormats).annotateMerge(OpenApi.annotations({
    summary: "Figures by day",
    description:
      "Newest last, at most 366 days. Without `to`: up to the newest day; without `from`: the 30 days that end there."
  })),
  HttpApiEndpoint.get("day", "/metrics/daily/:date", { ...ofDay, success: Answer(DailyMetrics) }).annotateMerge(
    OpenApi.annotations({ summary: "Figures of one day", description: "A final day has an ETag." })
  ),
  HttpApiEndpoint.get("hourly", "/metrics/hourly/:date", { ...ofDay, success: Page(HourlyTraffic) })
    .annotateMerge(asRowFormats).annotateMerge(
      OpenApi.annotations({ summary: "Hours of one day; those without events are left out" })
    ),
  HttpApiEndpoint.get("funnel", "/metrics/funnel/:date", { ...ofDay, success: Page(FunnelStage) })
    .annotateMerge(asRowFormats).annotateMerge(
      OpenApi.annotations({ summary: "How far the sessions of one day came" })
    ),
  HttpApiEndpoint.get("summary", "/metrics/summary", {
    query: {
      days: wholeBetween(1, periodMax.summaryDays, 7, "Days of a period; the newest ends on the newest day with data"),
      segment
    },
    success: Answer(Summary),
    error: [NotFound, ...dataProblems]
  }).annotateMerge(OpenApi.annotations({ summary: "A period and the one before it" }))
).annotateMerge(OpenApi.annotations({ title: "Metrics", description: "Figures of days" })) {}
