/** What any process says of itself; where Prometheus' clients have a name for it, by that name. */
import { block } from "./PrometheusText.ts"

export const processMetrics = (): string => {
  const { system, user } = process.cpuUsage()
  const { arrayBuffers, external, heapTotal, heapUsed, rss } = process.memoryUsage()
  const { active, idle } = performance.eventLoopUtilization()
  const one = (name: string, kind: "counter" | "gauge", help: string, value: number): string =>
    block(name, kind, help, [{ labels: {}, value }])
  return [
    one("process_cpu_seconds_total", "counter", "CPU of all threads, s", (user + system) / 1e6),
    one("process_resident_memory_bytes", "gauge", "Memory that is resident", rss),
    one("process_start_time_seconds", "gauge", "Start, s since 1970", performance.timeOrigin / 1_000),
    one("nodejs_heap_size_used_bytes", "gauge", "Objects of JavaScript", heapUsed),
    one("nodejs_heap_size_total_bytes", "gauge", "Room for them", heapTotal),
    one("nodejs_external_memory_bytes", "gauge", "Memory outside that belongs to objects", external),
    one("nodejs_array_buffers_bytes", "gauge", "Of it typed memory: visitors, sessions, ids, buffers", arrayBuffers),
    one("nodejs_eventloop_active_seconds_total", "counter", "Time the event loop was busy, s", active / 1_000),
    one("nodejs_eventloop_idle_seconds_total", "counter", "Time the event loop waited, s", idle / 1_000)
  ].join("")
}
