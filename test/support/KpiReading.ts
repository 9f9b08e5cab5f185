/** The KPIs of a database in the shape of the oracle's. */
import { Effect } from "effect"
import type { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.ts"
import type { Kpis } from "./KpiOracle.ts"

type Row = Readonly<Record<string, unknown>>

export const readKpis = Effect.fnUntraced(
  function*(warehouse: Warehouse["Service"]): Effect.fn.Return<Kpis, WarehouseError> {
    const metrics: Record<string, Row> = {}
    for (const row of yield* warehouse.query(metricsSql)) {
      metrics[keyOf(row)] = Object.fromEntries(
        Object.entries(row).filter(([name]) => name !== "metric_date" && name !== "segment").map(([name, value]) => [
          name,
          money.has(name) ? units(value) : name === "revenue_by_currency" ? byCurrency(value) : Number(value)
        ])
      )
    }
    const lists = (rows: ReadonlyArray<Row>, read: (row: Row) => ReadonlyArray<unknown>) => {
      const found: Record<string, Array<ReadonlyArray<unknown>>> = Object.fromEntries(
        Object.keys(metrics).map((key) => [key, []])
      )
      for (const row of rows) (found[keyOf(row)] ??= []).push(read(row))
      return found
    }
    const figures = (row: Row) => [
      Number(row["clicks"]),
      Number(row["purchases"]),
      Number(row["unique_visitors"]),
      units(row["revenue"])
    ]
    return {
      metrics,
      funnel: lists(
        yield* warehouse.query("SELECT * FROM session_funnel"),
        (row) => [row["stage"], Number(row["session_count"])]
      ),
      hours: lists(
        yield* warehouse.query("SELECT *, toUnixTimestamp(hour_start) AS at FROM hourly_traffic ORDER BY hour_start"),
        (row) => [Number(row["at"]) * 1_000, ...figures(row)]
      ),
      items: lists(
        yield* warehouse.query("SELECT * FROM popular_items ORDER BY rank"),
        (row) => [row["item_id"], row["category"], ...figures(row)]
      ),
      categories: lists(
        yield* warehouse.query("SELECT * FROM popular_categories ORDER BY rank"),
        (row) => [row["category"], ...figures(row)]
      )
    }
  }
)

const metricsSql =
  `SELECT metric_date, segment, total_clicks, total_purchases, unique_visitors, unique_items, total_revenue,
  revenue_by_currency, avg_order_value, late_events, late_revenue, late_repeat, amended_events, sessions, conversion_rate, avg_session_duration_sec,
  avg_clicks_per_session, bounce_rate FROM daily_metrics`

const money = new Set(["total_revenue", "avg_order_value", "late_revenue"])

const keyOf = (row: Row): string => `${String(row["metric_date"])} ${String(row["segment"])}`

/** "12.3456" as ten-thousandths. */
const units = (value: unknown): bigint => {
  const [whole = "0", decimals = ""] = String(value).split(".")
  return BigInt(whole + decimals.padEnd(4, "0"))
}

const byCurrency = (value: unknown): Readonly<Record<string, bigint>> =>
  Object.fromEntries(
    Object.entries(value as Record<string, unknown>).sort(([a], [b]) => a < b ? -1 : 1).map(([code, amount]) => [
      code,
      units(amount)
    ])
  )
