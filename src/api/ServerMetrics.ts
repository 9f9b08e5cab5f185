/** `/metrics`: what Prometheus reads. Figures of progress are taken when it asks, those of requests as they happen. */
import { Effect, Metric } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { ApiSources } from "./ApiSources.ts"
import type { CollectorFigures, PipelineFigures } from "./ApiSources.ts"
import { FreshData, freshness } from "./FreshData.ts"
import { processMetrics } from "./ProcessMetrics.ts"
import { outcomesOf, partitionProgress } from "./Progress.ts"
import { block } from "./PrometheusText.ts"

export const requests = Metric.counter("guardian_api_requests_total", {
  description: "Requests answered, by kind of route, method and status",
  incremental: true
})
export const requestSeconds = Metric.histogram("guardian_api_request_seconds", {
  description: "From request to answer, s",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})

const progress = Effect.gen(function*() {
  const partitions = yield* partitionProgress
  const outcomes = outcomesOf(yield* FreshData.use((data) => data.progress))
  const { age_seconds } = yield* freshness
  const { group, topic } = (yield* ApiSources).logNames ?? { group: "guardian", topic: "events" }
  const perPartition = (of: (each: (typeof partitions)[number]) => number | null) =>
    partitions.flatMap((each) => {
      const value = of(each)
      return value === null ? [] : [{ labels: { consumergroup: group, topic, partition: each.partition }, value }]
    })
  return [
    block("kafka_consumergroup_lag", "gauge", "Records that wait in the log", perPartition(({ lag }) => lag)),
    block(
      "kafka_consumergroup_current_offset",
      "gauge",
      "Everything before this offset is in the warehouse",
      perPartition(({ next_offset }) => next_offset)
    ),
    block(
      "kafka_topic_partition_current_offset",
      "gauge",
      "The offset that the next record of the log gets",
      partitions.flatMap(({ log_end, partition }) =>
        log_end === null ? [] : [{ labels: { topic, partition }, value: log_end }]
      )
    ),
    block(
      "guardian_records_total",
      "counter",
      "Records processed, by outcome",
      (["accepted", "duplicate", "late", "rejected", "dead_lettered"] as const).map((outcome) => ({
        labels: { outcome },
        value: outcomes[outcome]
      }))
    ),
    block(
      "guardian_event_age_seconds",
      "gauge",
      "How long ago the event-time watermark is",
      age_seconds === null ? [] : [{ labels: {}, value: age_seconds }]
    )
  ].join("")
})

const own = ({ flushes, flushMs, flushMsTotal, idsInMemory, state, visitorsInMemory }: PipelineFigures): string => {
  const sorted = [...flushMs].sort((a, b) => a - b)
  const quantile = (q: number) => (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0) / 1_000
  return [
    block("guardian_pipeline_running", "gauge", "1: the pipeline of this process runs", [
      { labels: {}, value: state === "running" ? 1 : 0 }
    ]),
    block(
      "guardian_flush_seconds",
      "summary",
      "From cut to last acknowledgement, s; quantiles of the newest 100 flushes",
      sorted.length === 0 ? [] : [
        ...[0.5, 0.95, 0.99].map((q) => ({ labels: { quantile: q }, value: quantile(q) })),
        { suffix: "_sum", labels: {}, value: flushMsTotal / 1_000 },
        { suffix: "_count", labels: {}, value: flushes }
      ]
    ),
    block("guardian_flushes_total", "counter", "Flushes that were acknowledged", [{ labels: {}, value: flushes }]),
    block("guardian_visitors_in_memory", "gauge", "Visitors the pipeline holds", [{
      labels: {},
      value: visitorsInMemory
    }]),
    block("guardian_ids_in_memory", "gauge", "Event ids the pipeline holds", [{ labels: {}, value: idsInMemory }])
  ].join("")
}

const collected = ({ bytes, bytesInFlight, formats, recordsInFlight, statuses }: CollectorFigures): string => {
  const each = [...formats]
  return [
    block(
      "guardian_collector_responses_total",
      "counter",
      "Requests answered by the collector, by status",
      [...statuses].map(([status, value]) => ({ labels: { status }, value }))
    ),
    block(
      "guardian_collector_requests_total",
      "counter",
      "Requests that were read, by wire format",
      each.map(([format, { requests }]) => ({ labels: { format }, value: requests }))
    ),
    block(
      "guardian_collector_events_total",
      "counter",
      "Events that the log has durably, by wire format and receipt",
      each.flatMap(([format, { accepted, invalid, tooLarge }]) =>
        ([["accepted", accepted], ["invalid", invalid], ["too_large", tooLarge]] as const)
          .map(([receipt, value]) => ({ labels: { format, receipt }, value }))
      )
    ),
    block("guardian_collector_received_bytes_total", "counter", "Bytes of bodies, inflated", [{
      labels: {},
      value: bytes
    }]),
    block("guardian_collector_in_flight_bytes", "gauge", "Bytes of bodies that wait for an answer", [{
      labels: {},
      value: bytesInFlight()
    }]),
    block("guardian_collector_in_flight_records", "gauge", "Records that wait for the log", [{
      labels: {},
      value: recordsInFlight()
    }])
  ].join("")
}

/** What a process without an API says of itself, in the same format. */
export const figuresText = (
  { collector, pipeline }: {
    readonly collector: CollectorFigures | undefined
    readonly pipeline: PipelineFigures | undefined
  }
): string =>
  `${pipeline === undefined ? "" : own(pipeline)}${
    collector === undefined ? "" : collected(collector)
  }${processMetrics()}`

export const metricsType = "text/plain; version=0.0.4; charset=utf-8"

/** Without an answer of the warehouse there are still the figures of this process, and `guardian_warehouse_up 0`. */
const text = Effect.gen(function*() {
  const { collector, pipeline } = yield* ApiSources.use((sources) =>
    Effect.sync(() => ({ collector: sources.collector?.(), pipeline: sources.pipeline?.() }))
  )
  const reached = yield* Effect.option(progress)
  const up = block("guardian_warehouse_up", "gauge", "1: the warehouse answers", [
    { labels: {}, value: reached._tag === "Some" ? 1 : 0 }
  ])
  const stored = reached._tag === "Some" ? reached.value : ""
  return `${up}${stored}${figuresText({ collector, pipeline })}${yield* PrometheusMetrics.format()}`
})

export const metricsLayer = HttpRouter.add(
  "GET",
  "/metrics",
  Effect.map(text, (body) => HttpServerResponse.text(body, { contentType: metricsType }))
)
