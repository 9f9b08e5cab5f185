/**
 * A week of a small shop, written down by hand, so that every answer about it can be worked out on paper: four visitors, a bot,
 * a late event, a repeated one, a rejected one and one that does not decode. Times are UTC; 2026-03-02 is a Monday.
 */
import { Effect, Schema } from "effect"
import type { Scope } from "effect"
import { paths } from "../../src/cli/Installation.ts"
import { avroSchema, EventJson, fromJson } from "../../src/domain/ClickEvent.ts"
import type { EpochMillis } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import type { NewRecord } from "../../src/log/EventLog.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { encodeEvent, eventSubject } from "../../src/log/WireFormat.ts"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { openRegistry } from "../support/MessyLog.ts"
import { runPipeline } from "../support/PipelineRun.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

interface Told {
  /** Append time, when it is not two seconds after the event. */
  readonly appended?: string
  readonly event: Readonly<Record<string, unknown>>
}

let events = 0

const at = (time: string): number => Date.parse(`2026-03-${time.replace(" ", "T")}Z`)

const tell = (visitor: string, time: string, type: string, details: Readonly<Record<string, unknown>> = {}): Told => ({
  event: { event_id: `e${++events}`, visitor_id: visitor, event_ts: at(time), event_type: type, ...details }
})

const shop = (path: string): { readonly url: string } => ({ url: `https://shop.example${path}?from=test` })
const mug = { item_id: "mug", category: "kitchen" }
const spoon = { item_id: "spoon", category: "kitchen" }
const book = { item_id: "book", category: "books" }
const search = { referrer: "https://search.example/?q=mug" }
const news = { referrer: "https://news.example/a" }

const story: ReadonlyArray<Told> = [
  // Ada buys two things in one session, and only looks a week later.
  tell("ada", "02 10:00:00", "view", { ...shop("/"), ...search }),
  tell("ada", "02 10:01:00", "view", { ...shop("/mug"), ...mug }),
  tell("ada", "02 10:02:00", "add_to_cart", { ...shop("/cart"), ...mug, price: "8", quantity: 1 }),
  tell("ada", "02 10:05:00", "purchase", { ...shop("/thanks"), ...mug, price: "8", quantity: 2 }),
  tell("ada", "02 10:05:00.500", "purchase", {
    ...shop("/thanks"),
    ...spoon,
    price: "1.5",
    quantity: 4,
    currency: "USD"
  }),
  // Bob bounces, leaves a book in the cart, and buys it around midnight, in euros.
  tell("bob", "02 10:30:00", "view", { ...shop("/mug"), ...mug }),
  // Cy looks around twice before buying.
  tell("cy", "03 08:00:00", "view", { ...shop("/"), ...search }),
  tell("cy", "03 08:20:00", "view", { ...shop("/mug"), ...mug }),
  tell("cy", "03 08:25:00", "click", { ...shop("/book"), ...book }),
  // A bot: 60 clicks in 6 s on one item.
  ...Array.from(
    { length: 60 },
    (_, i) => tell("bot", `03 12:00:0${Math.floor(i / 10)}.${i % 10}00`, "view", { ...shop("/mug"), ...mug })
  ),
  // Dee's purchase of the morning arrives when noon is past. A repetition of what Cy did at eight is late as well.
  {
    ...tell("dee", "03 07:00:00", "purchase", { ...shop("/thanks"), ...mug, price: "8", quantity: 1 }),
    appended: "03 12:00:10"
  },
  {
    event: { event_id: "e7", visitor_id: "cy", event_ts: at("03 08:00:00"), event_type: "view" },
    appended: "03 12:00:11"
  },
  // The bot's last click once more: a duplicate.
  {
    event: { event_id: "e69", visitor_id: "bot", event_ts: at("03 12:00:05.900"), event_type: "view" },
    appended: "03 12:00:12"
  },
  // An event of tomorrow.
  { ...tell("cy", "04 12:00:00", "view"), appended: "03 12:00:13" },
  tell("bob", "03 20:00:00", "view", { ...shop("/book"), ...book, ...news }),
  tell("bob", "03 20:10:00", "add_to_cart", { ...shop("/cart"), ...book, price: "20", quantity: 1 }),
  tell("bob", "03 23:50:00", "view", { ...shop("/book"), ...book }),
  tell("bob", "04 00:10:00", "purchase", { ...shop("/thanks"), ...book, price: "20", quantity: 1, currency: "EUR" }),
  tell("ada", "09 09:00:00", "view", { ...shop("/"), ...news }),
  tell("ada", "09 09:10:00", "view", { ...shop("/book"), ...book }),
  tell("cy", "10 08:00:00", "purchase", { ...shop("/thanks"), ...mug, price: "8", quantity: 1 }),
  tell("cy", "10 08:00:00.001", "purchase", { ...shop("/thanks"), ...spoon, price: "1.5", quantity: 1 })
]

/** Puts the story through log and pipeline into a migrated database. */
export const tellStory = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]): Effect.fn.Return<
  void,
  unknown,
  Scope.Scope
> {
  const directory = yield* temporaryDirectory
  let now = 0
  const registry = yield* openRegistry(directory)
  const log = yield* SqliteEventLog.make({
    directory: paths(directory).log,
    partitions: 1,
    now: () => now as EpochMillis
  })
  const schemaId = yield* registry.register(eventSubject, avroSchema)
  const append = (record: NewRecord, appended: number) => {
    now = appended
    return log.append([record])
  }
  for (const { appended, event } of story) {
    const decoded = fromJson(Schema.decodeUnknownSync(EventJson)(event))
    yield* append(
      { key: decoded.visitorId, value: encodeEvent(schemaId, decoded) },
      appended === undefined ? decoded.eventTs + 2_000 : at(appended)
    )
  }
  yield* append({ key: "eve", value: Buffer.from("no event") }, at("10 09:00:00"))
  yield* runPipeline({ log, registry, warehouse, settings: defaultCoreSettings })
})
