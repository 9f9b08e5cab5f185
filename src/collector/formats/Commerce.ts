/**
 * E-commerce names that SDKs agree on (Segment's "E-Commerce Events" specification, which RudderStack and PostHog share) as our event
 * types and fields.
 */
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject } from "../JsonText.ts"

const types: Readonly<Record<string, string>> = {
  "product viewed": "view",
  "product list viewed": "view",
  "product clicked": "click",
  "product added": "add_to_cart",
  "order completed": "purchase"
}

export const commerceType = (name: string): string =>
  types[name.trim().toLowerCase().replaceAll("_", " ")] ?? eventTypeOf(name)

/**
 * An order is one event, so that purchases count orders: its price is the order's revenue, unless it is one product with a price
 * of its own. The products stand in the properties.
 */
export const commerceFields = (properties: JsonObject) => {
  const products = properties["products"]
  const only = Array.isArray(products) && products.length === 1 && isObject(products[0]) ? products[0] : {}
  const of = (name: string) => properties[name] ?? only[name]
  const amount = properties["revenue"] ?? properties["total"] ?? properties["value"]
  return {
    item: of("product_id") ?? of("sku") ?? of("item_id"),
    category: of("category"),
    price: amount ?? of("price"),
    quantity: amount === undefined ? of("quantity") : 1,
    currency: of("currency")
  }
}
