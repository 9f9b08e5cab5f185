import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { GuardianApi } from "../contract/GuardianApi.ts"
import type { PopularCategory, PopularItem, TrendingItem } from "../contract/ItemsGroup.ts"
import { answerRows } from "../RowAnswer.ts"
import { finalDay, newestDay } from "./MetricsHandlers.ts"

const ofDay = "WHERE metric_date = {date:Date} AND segment = {segment:String} ORDER BY rank LIMIT {limit:UInt32}"
const figures = "clicks, purchases, unique_visitors, revenue, click_to_purchase_ratio"
const itemsSql = `SELECT metric_date, segment, rank, item_id, category, ${figures} FROM popular_items ${ofDay}`
const categoriesSql = `SELECT metric_date, segment, rank, category, ${figures} FROM popular_categories ${ofDay}`

const trendingSql = `
SELECT item_id, argMax(p.category, p.metric_date) AS category, sumIf(p.clicks, is_current) AS clicks,
  sumIf(p.clicks, NOT is_current) AS previous_clicks, sumIf(p.purchases, is_current) AS purchases,
  sumIf(p.revenue, is_current) AS revenue, (clicks + 1) / (previous_clicks + 1) AS growth
FROM (
  SELECT *, metric_date > {newest:Date} - {days:UInt16} AS is_current FROM popular_items
  WHERE segment = {segment:String} AND metric_date > {newest:Date} - 2 * {days:UInt16} AND metric_date <= {newest:Date}
) AS p
GROUP BY item_id HAVING clicks > 0 ORDER BY growth DESC, clicks DESC, item_id LIMIT {limit:UInt32}`

export const ItemsHandlers = HttpApiBuilder.group(GuardianApi, "items", (handlers) =>
  handlers.handleAll({
    popular: Effect.fnUntraced(function*({ params, query }) {
      const finalAs = yield* finalDay(params.date, query.segment)
      return yield* answerRows<typeof PopularItem.Type>({ sql: itemsSql, parameters: { ...params, ...query }, finalAs })
    }),
    categories: Effect.fnUntraced(function*({ params, query }) {
      const finalAs = yield* finalDay(params.date, query.segment)
      return yield* answerRows<typeof PopularCategory.Type>({
        sql: categoriesSql,
        parameters: { ...params, ...query },
        finalAs
      })
    }),
    trending: Effect.fnUntraced(function*({ query }) {
      const newest = (yield* newestDay) ?? "2000-01-01"
      return yield* answerRows<typeof TrendingItem.Type>({ sql: trendingSql, parameters: { ...query, newest } })
    })
  }))
