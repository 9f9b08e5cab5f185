/** Every page of the dashboard, with the choices it can have, over the data that a server holds. */
import type { Server } from "./Server.ts"

/** Name of a picture -> query. */
export const placesOf = async (server: Server): Promise<ReadonlyMap<string, string>> => {
  const first = async (statement: string) =>
    encodeURIComponent(
      Object.values((await server.sql<Record<string, string>>(`${statement} LIMIT 1`))[0] ?? { none: "none" })[0]!
    )
  const busiest = await first(
    "SELECT toString(metric_date) FROM daily_metrics WHERE segment = 'all' ORDER BY total_clicks DESC"
  )
  const start = await first("SELECT toString(max(metric_date) - 60) FROM daily_metrics")
  const bought = await first("SELECT session_id FROM sessions ORDER BY purchases DESC, session_id")
  const flagged = await first(
    "SELECT session_id FROM sessions WHERE session_id IN (SELECT session_id FROM anomalies) OR purchases > 0 ORDER BY clicks DESC, session_id"
  )
  const visitor = await first("SELECT visitor_id FROM sessions GROUP BY visitor_id ORDER BY count() DESC, visitor_id")
  const event = await first(`SELECT event_id FROM events WHERE session_id = '${bought}' ORDER BY event_ts`)
  return new Map([
    ["live", ""],
    ["day", "?page=day"],
    ["day-busiest", `?page=day&date=${busiest}`],
    ["day-flagged", `?page=day&date=${busiest}&segment=flagged`],
    ["range", "?page=range"],
    ["range-sessions", `?page=range&from=${start}&to=${busiest}&metric=sessions&segment=clean`],
    ["findings", "?page=sessions"],
    ["findings-chosen", "?page=sessions&type=BOT_LIKE&min_score=1&hours=168"],
    ["sessions", "?page=sessions&view=sessions"],
    ["sessions-buyers", "?page=sessions&view=sessions&min_purchases=1&flagged=false"],
    ["session", `?page=session&id=${bought}`],
    ["session-flagged", `?page=session&id=${flagged}`],
    ["visitor", `?page=visitor&id=${visitor}`],
    ["items", `?page=items&date=${busiest}&days=7`],
    ["trace-empty", "?page=trace"],
    ["trace", `?page=trace&id=${event}`],
    ["operations", "?page=operations"],
    ["operations-dead", "?page=operations&view=dead"],
    ["operations-rejected", "?page=operations&view=rejected"],
    ["operations-late", "?page=operations&view=late"],
    ["operations-audits", "?page=operations&view=audits"],
    ["operations-runs", "?page=operations&view=runs"],
    ["operations-verdicts", "?page=operations&view=verdicts"]
  ])
}
