/** What the people who run it ask. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Anomaly } from "./AnomaliesGroup.ts"
import { Answer, Count, cursor, Freshness, limit, Name, Page, Time } from "./Fields.ts"
import { BadParameters, dataProblems, NotFound } from "./Problems.ts"
import { asRowFormats } from "./RowFormats.ts"

export const Outcomes = Schema.Struct({
  received: Count,
  accepted: Count,
  duplicate: Count,
  late: Count,
  rejected: Count,
  dead_lettered: Count
}).annotate({ identifier: "Outcomes" })

export const Stats = Schema.Struct({
  outcomes: Outcomes,
  findings: Count,
  time_zone: Schema.String,
  currency: Schema.String,
  first_day: Schema.NullOr(Schema.String),
  last_day: Schema.NullOr(Schema.String)
}).annotate({ identifier: "Stats" })

export const PartitionProgress = Schema.Struct({
  partition: Count,
  next_offset: Count,
  log_end: Schema.NullOr(Count).annotate({ description: "null: the log is not at hand" }),
  lag: Schema.NullOr(Count),
  watermark: Schema.NullOr(Time),
  outcomes: Outcomes
}).annotate({ identifier: "PartitionProgress" })

export const PipelineState = Schema.Struct({
  partitions: Schema.Array(PartitionProgress),
  lag: Schema.NullOr(Count),
  kpi_backlog: Schema.Record(Schema.String, Count).annotate({
    description: "What the KPIs have yet to take in; empty: they are up to date"
  })
}).annotate({ identifier: "PipelineState" })

export const RefusedRecord = Schema.Struct({
  appended_at: Time,
  partition: Count,
  offset: Count,
  reason: Schema.String,
  detail: Schema.String,
  value_base64: Schema.String.annotate({ description: "The first 4,096 bytes of the record" }),
  value_bytes: Count
}).annotate({ identifier: "RefusedRecord" })

export const LateEvent = Schema.Struct({
  appended_at: Time,
  partition: Count,
  offset: Count,
  event_id: Schema.String,
  visitor_id: Schema.String,
  event_ts: Time,
  event_type: Schema.String,
  watermark: Time
}).annotate({ identifier: "LateEvent" })

export const AuditCheck = Schema.Struct({
  audit_id: Schema.String,
  started_at: Time,
  finished_at: Time,
  scope: Schema.String,
  check_name: Schema.String,
  promise: Schema.String,
  examined: Count,
  differences: Count,
  unchecked: Schema.String.annotate({ description: "What it could not look at, and why; empty: it looked at all" })
}).annotate({ identifier: "AuditCheck" })

export const PipelineRun = Schema.Struct({
  run_id: Schema.String,
  started_at: Schema.NullOr(Time).annotate({ description: "null: nothing but its checkpoints is known of it" }),
  state: Schema.NullOr(Schema.Literals(["running", "stopped", "failed"])).annotate({
    description: "A run that was killed stays running"
  }),
  changed_at: Schema.NullOr(Time).annotate({ description: "Since when it is in this state" }),
  detail: Schema.String.annotate({ description: "Why it stopped or failed, if there is a reason" }),
  host: Schema.String,
  process_id: Schema.NullOr(Count),
  first_checkpoint_at: Schema.NullOr(Time).annotate({ description: "null: it wrote none, so it changed nothing" }),
  last_checkpoint_at: Schema.NullOr(Time),
  checkpoints: Count,
  partitions: Count.annotate({ description: "Of which it wrote checkpoints" }),
  core_version: Count
}).annotate({ identifier: "PipelineRun" })

export const Traced = Schema.Struct({
  partition: Count,
  offset: Count,
  appended_at: Time,
  outcome: Schema.Literals(["accepted", "duplicate", "late", "rejected", "dead-lettered"]),
  why: Schema.String,
  visitor_id: Schema.NullOr(Schema.String),
  session_id: Schema.NullOr(Schema.String)
}).annotate({ identifier: "Traced" })

export const LiveState = Schema.Struct({
  at: Time,
  outcomes: Outcomes,
  partitions: Schema.Array(PartitionProgress),
  lag: Schema.NullOr(Count),
  newest_findings: Schema.Array(Anomaly),
  freshness: Freshness
}).annotate({ identifier: "LiveState" })

const refused = { query: { limit, cursor }, error: [BadParameters, ...dataProblems] } as const

export class OperationsGroup extends HttpApiGroup.make("operations").add(
  HttpApiEndpoint.get("trace", "/events/:event_id/trace", {
    params: { event_id: Name },
    success: Page(Traced),
    error: [NotFound, ...dataProblems]
  }).annotateMerge(OpenApi.annotations({
    summary: "What became of an event",
    description:
      "Every stored record with this id, dead letters that mention it, and the duplicates among the 200,000 records of the log that " +
      "follow an accepted one. guardian trace looks through all of the log."
  })),
  HttpApiEndpoint.get("stats", "/stats", { success: Answer(Stats), error: dataProblems }).annotateMerge(
    OpenApi.annotations({ summary: "Records by outcome, and what there is" })
  ),
  HttpApiEndpoint.get("pipeline", "/pipeline", { success: Answer(PipelineState), error: dataProblems }).annotateMerge(
    OpenApi.annotations({ summary: "Progress and lag by partition" })
  ),
  HttpApiEndpoint.get("deadLetters", "/dead-letters", { ...refused, success: Page(RefusedRecord) })
    .annotateMerge(asRowFormats).annotateMerge(
      OpenApi.annotations({ summary: "Records that are no event, newest first" })
    ),
  HttpApiEndpoint.get("rejected", "/rejected-records", { ...refused, success: Page(RefusedRecord) })
    .annotateMerge(asRowFormats).annotateMerge(
      OpenApi.annotations({ summary: "Events whose time cannot be, newest first" })
    ),
  HttpApiEndpoint.get("late", "/late-events", { ...refused, success: Page(LateEvent) })
    .annotateMerge(asRowFormats).annotateMerge(
      OpenApi.annotations({ summary: "Events that came too late, newest first" })
    ),
  HttpApiEndpoint.get("audits", "/audits", { query: { limit }, success: Page(AuditCheck), error: dataProblems })
    .annotateMerge(OpenApi.annotations({ summary: "Checks of the newest audits" })),
  HttpApiEndpoint.get("runs", "/runs", { query: { limit }, success: Page(PipelineRun), error: dataProblems })
    .annotateMerge(asRowFormats).annotateMerge(
      OpenApi.annotations({ summary: "Runs of the pipeline with the checkpoints they wrote, newest first" })
    ),
  HttpApiEndpoint.get("live", "/live", { success: HttpApiSchema.StreamSse({ data: LiveState }), error: dataProblems })
    .annotateMerge(OpenApi.annotations({
      summary: "Counts, findings and lag each second, as server-sent events",
      description: "Each message is a LiveState. It ends when the client goes; a client comes back after an end."
    }))
).annotateMerge(OpenApi.annotations({ title: "Operations", description: "What the people who run it ask" })) {}
