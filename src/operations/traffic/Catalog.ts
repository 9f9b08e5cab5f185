/**
 * What the simulated shop sells, and how popular it is: item k is asked for in proportion to 1 / k (Zipf's law with exponent
 * 1). All strings are made once, so that events share them.
 */
import type { Price } from "../../domain/Money.ts"
import type { Random } from "./Random.ts"

/** Items of the shop. The most popular comes first. */
export interface Catalog {
  readonly ids: ReadonlyArray<string>
  readonly categories: ReadonlyArray<string>
  readonly prices: ReadonlyArray<Price>
  readonly urls: ReadonlyArray<string>
  /** Equally likely entries, each an item: drawing one is a draw by popularity. */
  readonly popularity: Uint16Array
}

/** Items of the shop, at most 65,536. */
export const itemsCount = 5_000

/** Entries of the popularity table; the least popular item still has two. */
const popularityEntries = 131_072

const categories = [
  "books",
  "cameras",
  "coffee",
  "garden",
  "headphones",
  "kitchen",
  "lamps",
  "laptops",
  "monitors",
  "music",
  "outdoor",
  "phones",
  "shoes",
  "tablets",
  "tools",
  "toys"
]

/** The same shop for the same stream of random numbers. */
export const makeCatalog = (random: Random): Catalog => {
  const catalog = {
    ids: [] as Array<string>,
    categories: [] as Array<string>,
    prices: [] as Array<Price>,
    urls: [] as Array<string>
  }
  for (let item = 0; item < itemsCount; item++) {
    const id = `item-${String(item + 1).padStart(5, "0")}`
    const category = categories[random.below(categories.length)]!
    catalog.ids.push(id)
    catalog.categories.push(category)
    catalog.prices.push(drawPrice(random))
    catalog.urls.push(`https://shop.example/${category}/${id}`)
  }
  return { ...catalog, popularity: popularityTable() }
}

/** Between 1.99 and 999.99, cheap ones more often, in ten-thousandths. */
const drawPrice = (random: Random): Price => {
  const skewed = random.fraction() * random.fraction()
  return (Math.floor(1 + skewed * 998) * 10_000 + 9_900) as Price
}

const popularityTable = (): Uint16Array => {
  let total = 0
  for (let item = 1; item <= itemsCount; item++) total += 1 / item
  const table = new Uint16Array(popularityEntries)
  let sum = 0
  let at = 0
  for (let item = 1; item <= itemsCount; item++) {
    sum += 1 / item
    const until = item === itemsCount ? popularityEntries : Math.round((sum / total) * popularityEntries)
    table.fill(item - 1, at, until)
    at = until
  }
  return table
}

/** Pages that are no item's. */
export const homeUrl = "https://shop.example/"

/** Where visitors come from; "" is a typed address. */
export const referrers = [
  "",
  "",
  "",
  "https://www.google.com/",
  "https://www.google.com/",
  "https://www.bing.com/",
  "https://duckduckgo.com/",
  "https://www.instagram.com/",
  "https://news.example/reviews/best-of-the-year",
  "https://mail.example/newsletter?utm_source=newsletter&utm_campaign=spring"
]

/** What visitors browse with. */
export const userAgents = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"
]

/** What the bots say they are: an ordinary browser, since a bot that says so needs no rule. */
export const botUserAgent = userAgents[6]!
