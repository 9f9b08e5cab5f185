/**
 * Tells the database how to report: time zone, currency, and the list of crawlers. KPIs follow by content: every row says what it
 * was computed with.
 */
import { Effect } from "effect"
import type { CoreSettings, ReportingSettings } from "../domain/Settings.ts"
import { crawlerList } from "./CrawlerList.ts"
import type { CrawlerList } from "./CrawlerList.ts"
import { sqlText } from "./SqlText.ts"
import { Warehouse, WarehouseError } from "./Warehouse.ts"

/** Writes what differs from what the database has. One process does it at a time: the one that owns the pipeline. */
export const applyReporting = Effect.fnUntraced(function*(
  { timeZone }: ReportingSettings,
  { reportingCurrency }: Pick<CoreSettings, "reportingCurrency">,
  crawlers: CrawlerList = crawlerList
): Effect.fn.Return<void, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [known] = yield* warehouse.query("SELECT 1 FROM system.time_zones WHERE time_zone = {zone:String}", {
    zone: timeZone
  })
  if (known === undefined) {
    return yield* new WarehouseError({
      message:
        `the warehouse does not know the time zone ${timeZone}: write it as in the IANA list, e.g. Europe/Berlin`,
      code: 0,
      retryable: false
    })
  }
  yield* setting("time_zone", timeZone)
  yield* setting("currency", reportingCurrency)
  yield* addList(crawlers)
})

const insertSettings = "SETTINGS async_insert = 0, insert_deduplicate = 0"

const setting = Effect.fnUntraced(function*(name: string, value: string) {
  const warehouse = yield* Warehouse
  const [row] = yield* warehouse.query(
    "SELECT argMax(r.value, r.version) AS value, max(r.version) AS version FROM reporting_settings AS r WHERE name = {name:String}",
    { name }
  )
  if (row!["value"] === value) return
  yield* warehouse.command(
    `INSERT INTO reporting_settings (name, value, version) ${insertSettings} ` +
      `VALUES (${sqlText(name)}, ${sqlText(value)}, ${Number(row!["version"]) + 1})`
  )
})

/**
 * A new list judges sessions that open a day of event time from now or later, so that no figure of the past changes. The first one
 * judges all.
 */
const addList = Effect.fnUntraced(function*({ patterns, source }: CrawlerList) {
  const warehouse = yield* Warehouse
  const [row] = yield* warehouse.query(
    "SELECT argMax(l.source, l.list) AS source, max(l.list) AS list FROM crawler_lists AS l"
  )
  if (row!["source"] === source) return
  const list = Number(row!["list"]) + 1
  const since = list === 1 ?
    "toDateTime64(0, 3, 'UTC')" :
    "(SELECT fromUnixTimestamp64Milli(greatest(max(watermark_ms), 0), 'UTC') + INTERVAL 1 DAY FROM checkpoints)"
  yield* warehouse.command(
    `INSERT INTO crawler_lists (list, since, source, patterns) ${insertSettings} ` +
      `SELECT ${list}, ${since}, ${sqlText(source)}, [${patterns.map(sqlText).join(", ")}]`
  )
})
