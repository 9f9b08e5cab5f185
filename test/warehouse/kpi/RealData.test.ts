/**
 * Public files with prices or several days, when they stand beside the repository (`../shared/data`): the KPIs equal a recomputation
 * from the files themselves, and the audit finds nothing.
 */
import { assert, layer } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"
import type { ClickEvent } from "../../../src/domain/ClickEvent.ts"
import { EventLog } from "../../../src/log/EventLog.ts"
import { partitionOf } from "../../../src/log/Partitioner.ts"
import { audit } from "../../../src/operations/audit/Audit.ts"
import { crawlerList } from "../../../src/warehouse/CrawlerList.ts"
import { importAll } from "../../operations/import/ImportHarness.ts"
import type { HeldEvent } from "../../support/KpiOracle.ts"
import { kpis } from "../../support/KpiOracle.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const data = fileURLToPath(new URL("../../../../shared/data/", import.meta.url))
const files = {
  snowplow: `${data}snowplow_ecommerce_events/source/snowplow_ecommerce_events.csv.gz`,
  shop: `${data}retentioneering_simple_shop/simple-onlineshop.csv`,
  yoochoose: `${data}yoochoose_100k/yoochoose-clicks-100k_test.txt.gz`,
  wikimedia: `${data}wikimedia_reader_sessions/session_dataset.csv.gz`,
  accessLog: `${data}apache_logs_elastic/apache_logs.gz`,
  acunetix: `${data}apache_scans_ocatak/acunetix.txt.gz`,
  netsparker: `${data}apache_scans_ocatak/netsparker.txt.gz`,
  w3af: `${data}apache_scans_ocatak/w3af.txt.gz`,
  wikiticker: `${data}wikiticker_isrobot/wikiticker-2015-09-12-sampled.json.gz`,
  otto: `${data}otto_sample/train.jsonl`,
  snowplowWeb: `${data}snowplow_web_events/source/snowplow_web_events.csv.gz`
}
const minute = 60_000
const partitions = 3
const patterns = new RegExp(crawlerList.patterns.join("|"))

for (const path of Object.values(files)) if (!existsSync(path)) console.log(`skipped: ${path} is not there`)

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("KPIs of real files", (it) => {
  const real = (
    paths: ReadonlyArray<string>,
    title: string,
    zone: { readonly timeZone: string; readonly currency: string },
    read: Effect.Effect<ReadonlyArray<ClickEvent>>,
    figures: (all: (name: string) => number) => void
  ) => {
    it.effect.skipIf(!paths.every((path) => existsSync(path)))(title, () =>
      Effect.gen(function*() {
        const { currency, timeZone } = zone
        const events = yield* read
        const place = yield* kpiPlace({ timeZone, partitions, settings: { reportingCurrency: currency } })
        for (let i = 0; i < events.length; i += 5_000) yield* place.append(events.slice(i, i + 5_000))
        yield* place.drain()
        const found = yield* place.settled
        const { flagged, held } = sessionsOf(events)
        assert.deepStrictEqual(
          found,
          kpis({ events: held, late: [], timeZone, currency, flagged, flaggedVisitors: new Set() })
        )
        figures((name) =>
          Object.entries(found.metrics).reduce(
            (sum, [key, row]) => key.endsWith(" all") ? sum + Number(row[name]) : sum,
            0
          )
        )
        const report = yield* audit({ auditId: "real", scope: "all" }).pipe(
          place.inWarehouse,
          Effect.provideService(EventLog, place.log),
          place.withRegistry
        )
        assert.deepStrictEqual(report.checks.filter(({ differences }) => differences > 0), [])
        assert.isAbove(report.checks.find(({ name }) => name === "kpis")!.examined, 0)
      }), 300_000)
  }

  /** A file as the command imports it. */
  const imported = (paths: ReadonlyArray<string>, map?: string) =>
    Effect.map(
      importAll({ files: paths, ...(map !== undefined && { map }) }).pipe(Effect.orDie),
      ({ events }) => events
    )

  real(
    [files.snowplow],
    "Snowplow's demo shop: 15 transactions in euros, to the cent",
    { timeZone: "Europe/Athens", currency: "EUR" },
    Effect.sync(snowplow),
    (all) => {
      assert.strictEqual(all("total_purchases"), 15)
      assert.isAbove(all("total_revenue"), 0)
    }
  )
  real(
    [files.shop],
    "Retentioneering's shop: half a year of 32,283 events in 6,454 sessions",
    { timeZone: "Europe/Moscow", currency: "USD" },
    imported(
      [files.shop],
      "visitor_id=client_id,event_ts=timestamp:%Y-%m-%d %H:%M:%S.%f," +
        "event_type=event:{catalog>view,product1>click,product2>click,cart>add_to_cart,payment_done>purchase}"
    ),
    (all) => {
      assert.strictEqual(all("sessions"), 6_454)
      assert.strictEqual(all("total_purchases"), 706)
    }
  )
  real(
    [files.yoochoose],
    "Yoochoose's clicks: half a year, by item",
    { timeZone: "Asia/Kolkata", currency: "USD" },
    imported([files.yoochoose]),
    (all) => assert.strictEqual(all("total_clicks"), 13_568)
  )
  real(
    [files.wikimedia],
    "Wikimedia's readers: 22,224 sessions of 10,000 people",
    { timeZone: "America/New_York", currency: "USD" },
    imported([files.wikimedia], "visitor_id=uuid,event_ts=timestamp:epoch_s,event_type=const:view,url=url"),
    (all) => assert.strictEqual(all("sessions"), 22_224)
  )
  real(
    [files.accessLog],
    "an access log of four days, crawlers among the visitors",
    { timeZone: "Pacific/Auckland", currency: "USD" },
    imported([files.accessLog]),
    (all) => assert.strictEqual(all("total_clicks"), 9_977)
  )
  real(
    [files.acunetix, files.netsparker, files.w3af],
    "three scanners at work over midnight",
    { timeZone: "Europe/Istanbul", currency: "TRY" },
    imported([files.acunetix, files.netsparker, files.w3af]),
    (all) => assert.strictEqual(all("sessions"), 7)
  )
  real(
    [files.wikiticker],
    "Wikipedia's edits, some of which carry another date",
    { timeZone: "UTC", currency: "USD" },
    imported([files.wikiticker], "visitor_id=user,event_ts=time:rfc3339,event_type=const:view,item_id=page"),
    (all) => assert.isAbove(all("total_clicks"), 38_000)
  )
  real(
    [files.otto],
    "OTTO's shop: clicks, carts and orders of four weeks",
    { timeZone: "Europe/Berlin", currency: "EUR" },
    imported(
      [files.otto],
      "visitor_id=session,event_ts=events[].ts:epoch_ms,item_id=events[].aid," +
        "event_type=events[].type:{clicks>click,carts>add_to_cart,orders>purchase}"
    ),
    (all) => assert.isAbove(all("total_purchases"), 0)
  )
  real(
    [files.snowplowWeb],
    "Snowplow's own site: events sent twice",
    { timeZone: "Australia/Melbourne", currency: "AUD" },
    imported([files.snowplowWeb]),
    (all) => assert.isAbove(all("sessions"), 0)
  )
})

/** The transaction's revenue as one purchase; of other actions the first product. */
const snowplow = (): ReadonlyArray<ClickEvent> => {
  const rows = parse(gunzipSync(readFileSync(files.snowplow)), { columns: true }) as ReadonlyArray<
    Record<string, string>
  >
  const first = (row: Record<string, string>, column: string): Record<string, string> => {
    const parsed = JSON.parse(row[column] || "[]") as ReadonlyArray<Record<string, string>> | Record<string, string>
    return (Array.isArray(parsed) ? parsed[0] : parsed) ?? {}
  }
  const context = "contexts_com_snowplowanalytics_snowplow_ecommerce"
  return rows.map((row) => {
    const action = first(
      row,
      "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1_0_0"
    )["type"] ?? ""
    const product = first(row, `${context}_product_1_0_0`)
    const transaction = first(row, `${context}_transaction_1_0_0`)
    const isPurchase = action === "transaction"
    return click(row["domain_userid"] || row["network_userid"]!, Date.parse(row["derived_tstamp"]!), {
      eventId: row["event_id"] as never,
      eventType: isPurchase ? "purchase" : action === "add_to_cart" ? "add_to_cart" : "view",
      itemId: product["id"] ?? "",
      category: product["category"] ?? "",
      price: isPurchase ? Math.round(Number(transaction["revenue"]) * 10_000) : 0,
      currency: isPurchase ? transaction["currency"]! : "",
      userAgent: row["useragent"]!
    })
  }).sort((a, b) => a.eventTs - b.eventTs)
}

/** Events in time order as sessions: repeats within ten minutes left out, and who clicks like a bot or says that it is one. */
const sessionsOf = (events: ReadonlyArray<ClickEvent>) => {
  const watermarks = new Map<number, number>()
  const seen = new Map<string, number>()
  const last = new Map<string, HeldEvent>()
  const held: Array<HeldEvent> = []
  const flagged = new Set<string>()
  for (const event of events) {
    const { eventId, eventTs, visitorId } = event
    const partition = partitionOf(visitorId, partitions)
    const watermark = watermarks.get(partition) ?? -Infinity
    watermarks.set(partition, Math.max(watermark, eventTs))
    const id = `${visitorId}\n${eventId}`
    if (seen.has(id) && seen.get(id)! >= watermark - 10 * minute) continue
    seen.set(id, eventTs)
    const before = last.get(visitorId)
    const goesOn = before !== undefined && eventTs - before.event.eventTs <= 30 * minute
    const sessionId = goesOn ? before.sessionId : `${visitorId} ${eventTs} ${eventId}`
    if (!goesOn && event.userAgent !== "" && patterns.test(event.userAgent)) flagged.add(sessionId)
    const here = { event, sessionId }
    last.set(visitorId, here)
    held.push(here)
  }
  const clicks = held.filter(({ event }) => event.eventType === "view" || event.eventType === "click")
  for (const [length, slide, itemsShare] of [[10_000, 10_000, 2], [60_000, 30_000, 0.1]] as const) {
    const windows = new Map<string, Array<HeldEvent>>()
    for (const each of clicks) {
      for (let i = 0; i < length / slide; i++) {
        const key = `${each.event.visitorId} ${Math.floor(each.event.eventTs / slide) - i}`
        const window = windows.get(key)
        if (window === undefined) windows.set(key, [each])
        else window.push(each)
      }
    }
    for (const window of windows.values()) {
      const items = new Set(window.map(({ event }) => event.itemId).filter((item) => item !== ""))
      if (window.length > 50 && items.size / window.length < itemsShare) {
        for (const { sessionId } of window) flagged.add(sessionId)
      }
    }
  }
  return { held, flagged }
}
