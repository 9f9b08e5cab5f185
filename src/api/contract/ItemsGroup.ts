/** What is looked at and bought. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { periodMax } from "./DocumentedLimits.ts"
import { Count, Day, limit, Money, Page, Segment, segment, wholeBetween } from "./Fields.ts"
import { dataProblems, NotFound } from "./Problems.ts"
import { asRowFormats } from "./RowFormats.ts"

const figures = {
  clicks: Count,
  purchases: Count,
  unique_visitors: Count,
  revenue: Money,
  click_to_purchase_ratio: Schema.Finite
}

export const PopularItem = Schema.Struct({
  metric_date: Day,
  segment: Segment,
  rank: Count,
  item_id: Schema.String,
  category: Schema.String,
  ...figures
}).annotate({ identifier: "PopularItem" })

export const PopularCategory = Schema.Struct({
  metric_date: Day,
  segment: Segment,
  rank: Count,
  category: Schema.String,
  ...figures
}).annotate({ identifier: "PopularCategory" })

export const TrendingItem = Schema.Struct({
  item_id: Schema.String,
  category: Schema.String,
  clicks: Count,
  previous_clicks: Count,
  purchases: Count,
  revenue: Money,
  growth: Schema.Finite.annotate({ description: "(clicks + 1) / (previous_clicks + 1)" })
}).annotate({ identifier: "TrendingItem" })

const ofDay = { params: { date: Day }, query: { segment, limit }, error: [NotFound, ...dataProblems] } as const

export class ItemsGroup extends HttpApiGroup.make("items").add(
  HttpApiEndpoint.get("popular", "/items/popular/:date", { ...ofDay, success: Page(PopularItem) })
    .annotateMerge(asRowFormats).annotateMerge(OpenApi.annotations({ summary: "Items of one day by rank" })),
  HttpApiEndpoint.get("categories", "/items/categories/:date", { ...ofDay, success: Page(PopularCategory) })
    .annotateMerge(asRowFormats).annotateMerge(OpenApi.annotations({ summary: "Categories of one day by rank" })),
  HttpApiEndpoint.get("trending", "/items/trending", {
    query: {
      days: wholeBetween(1, periodMax.trendingDays, 1, "Days of each of the two periods that are compared"),
      segment,
      limit
    },
    success: Page(TrendingItem),
    error: dataProblems
  }).annotateMerge(asRowFormats).annotateMerge(OpenApi.annotations({
    summary: "Items whose clicks grew most",
    description:
      "The newest days with data against those before; of each day the thousand items that popular_items ranks."
  }))
).annotateMerge(OpenApi.annotations({ title: "Items", description: "What is looked at and bought" })) {}
