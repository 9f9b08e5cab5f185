/** Findings that stand. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { periodMax } from "./DocumentedLimits.ts"
import { Count, cursor, limit, Name, Page, SessionId, Time, wholeBetween } from "./Fields.ts"
import { BadParameters, dataProblems } from "./Problems.ts"
import { asRowFormats } from "./RowFormats.ts"

export const Rule = Schema.Literals(["HIGH_FREQUENCY", "BOT_LIKE"])

export const Anomaly = Schema.Struct({
  finding_id: Schema.String,
  rule: Rule,
  visitor_id: Schema.String,
  session_id: Schema.String,
  window_start: Time,
  window_end: Time,
  clicks: Count,
  unique_items: Count,
  score: Schema.Finite,
  found_at_offset: Count,
  appended_at: Time
}).annotate({ identifier: "Anomaly" })

export const AnomalyType = Schema.Struct({
  rule: Rule,
  findings: Count,
  visitors: Count,
  score_max: Schema.Finite,
  newest: Time
})
  .annotate({ identifier: "AnomalyType" })

export const AnomalyHour = Schema.Struct({ hour_start: Time, rule: Rule, findings: Count }).annotate({
  identifier: "AnomalyHour"
})

export class AnomaliesGroup extends HttpApiGroup.make("anomalies").add(
  HttpApiEndpoint.get("list", "/anomalies", {
    query: {
      limit,
      cursor,
      type: Schema.optionalKey(Rule),
      visitor_id: Schema.optionalKey(Name),
      min_score: Schema.optionalKey(Schema.Finite)
    },
    success: Page(Anomaly),
    error: [BadParameters, ...dataProblems]
  }).annotateMerge(asRowFormats).annotateMerge(OpenApi.annotations({ summary: "Findings, newest window first" })),
  HttpApiEndpoint.get("types", "/anomalies/types", { success: Page(AnomalyType), error: dataProblems }).annotateMerge(
    OpenApi.annotations({ summary: "Findings by rule" })
  ),
  HttpApiEndpoint.get("timeline", "/anomalies/timeline", {
    query: {
      hours: wholeBetween(1, periodMax.timelineHours, 24, "Hours of event time that end with the newest finding")
    },
    success: Page(AnomalyHour),
    error: dataProblems
  }).annotateMerge(OpenApi.annotations({ summary: "Findings by hour and rule; hours without any are left out" })),
  HttpApiEndpoint.get("ofSession", "/anomalies/:session_id", {
    params: { session_id: SessionId },
    success: Page(Anomaly),
    error: dataProblems
  }).annotateMerge(asRowFormats).annotateMerge(
    OpenApi.annotations({ summary: "Findings of one session; empty when there is none" })
  )
).annotateMerge(OpenApi.annotations({ title: "Anomalies", description: "Findings that stand" })) {}
