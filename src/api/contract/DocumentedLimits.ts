/**
 * What the OpenAPI document says of parameters beyond what is derived: query parameters travel as text, and the derived text loses the
 * limits of the numbers and days in it. A test asks the server at both sides of each limit.
 */
import { pageRowsMax } from "./Fields.ts"

/** Limits of `days` and `hours`, by path. */
export const periodMax = { summaryDays: 183, trendingDays: 31, timelineHours: 24 * 31 } as const

const uint32Max = 2 ** 32 - 1
/** Days that ClickHouse's Date holds: 1970-01-01 to 2149-06-06. */
const day = {
  type: "string",
  format: "date",
  pattern:
    "^(?:(?:19[7-9][0-9]|20[0-9]{2}|21[0-3][0-9]|214[0-8])-[0-9]{2}-[0-9]{2}|2149-0[1-5]-[0-9]{2}|2149-06-0[1-6])$"
}
const sessionId = { type: "string", pattern: "^[0-9a-f]{32}$" }
const name = { type: "string", minLength: 1, maxLength: 128 }
const whole = (minimum: number, maximum: number, fallback?: number) => ({
  type: "integer",
  minimum,
  maximum,
  ...(fallback !== undefined && { default: fallback })
})

/** By parameter, or by path and parameter where it means another thing there. */
const limits: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  limit: whole(1, pageRowsMax, 50),
  date: day,
  cursor: { type: "string", pattern: "^[A-Za-z0-9_-]{1,1500}$" },
  min_events: whole(0, uint32Max),
  min_purchases: whole(0, uint32Max),
  "/api/v1/metrics/daily from": day,
  "/api/v1/metrics/daily to": day,
  "/api/v1/sessions from": { type: "string", format: "date-time" },
  "/api/v1/sessions to": { type: "string", format: "date-time" },
  session_id: sessionId,
  "/api/v1/sessions/{id} id": sessionId,
  "/api/v1/sessions/{id}/events id": sessionId,
  "/api/v1/visitors/{id} id": name,
  event_id: name,
  "/api/v1/metrics/summary days": whole(1, periodMax.summaryDays, 7),
  "/api/v1/items/trending days": whole(1, periodMax.trendingDays, 1),
  "/api/v1/anomalies/timeline hours": whole(1, periodMax.timelineHours, 24)
}

interface Parameter {
  readonly name: string
  schema: Record<string, unknown>
}

interface Operation {
  readonly parameters?: ReadonlyArray<Parameter>
  security?: ReadonlyArray<Record<string, ReadonlyArray<string>>>
}

/** Also: a key is not needed where none is configured, and an admin key alone is enough to write. */
export const withLimits = (document: Record<string, unknown>): Record<string, unknown> => {
  const paths = document["paths"] as Readonly<Record<string, Readonly<Record<string, Operation>>>>
  for (const [path, item] of Object.entries(paths)) {
    for (const operation of Object.values(item)) {
      for (const parameter of operation.parameters ?? []) {
        const limit = limits[`${path} ${parameter.name}`] ?? limits[parameter.name]
        const { description, examples } = parameter.schema
        if (limit !== undefined) {
          parameter.schema = {
            ...limit,
            ...(description !== undefined && { description }),
            ...(examples !== undefined && { examples })
          }
        }
      }
      const scheme = operation.security?.some((each) => "adminKey" in each) ? "adminKey" : "readKey"
      operation.security = [{ [scheme]: [] }, {}]
    }
  }
  return document
}
