/** What became of an import: whether anything of it counts, and which of its event types no KPI knows. */
import { Effect, Layer } from "effect"
import type { ImportSummary } from "../operations/import/Import.ts"
import { waitedOut } from "../pipeline/WaitingOut.ts"
import { Warehouse } from "../warehouse/Warehouse.ts"
import { migrated } from "./commands/migrate.ts"
import type { ImportEntry } from "./ImportHistory.ts"
import { clientLayer, warehouseLayer } from "./Installation.ts"

/**
 * How many records of these imports were accepted as events, and how many rejected. All of them must be processed. One that was not ended is taken to reach up to
 * `ends`: rather too many than too few.
 */
export const outcomesOf = Effect.fnUntraced(
  function*(dataDirectory: string, entries: ReadonlyArray<ImportEntry>, ends: ReadonlyArray<number>) {
    const ranges = entries.flatMap(({ endedAt = ends, startedAt }) =>
      startedAt.map((from, partition) =>
        `(partition = ${partition} AND offset >= ${from} AND offset < ${endedAt[partition] ?? from})`
      )
    )
    const count = (table: string) => `(SELECT count() FROM ${table} FINAL WHERE ${ranges.join(" OR ")})`
    return yield* Effect.gen(function*() {
      yield* migrated
      const [row] = yield* (yield* Warehouse).query(
        `SELECT ${count("events_raw")} AS accepted, ${count("rejected_records")} AS rejected`
      )
      return { accepted: Number(row!["accepted"]), rejected: Number(row!["rejected"]) }
    }).pipe(waitedOut, Effect.provide(clientLayer("writer").pipe(Layer.provideMerge(warehouseLayer(dataDirectory)))))
  }
)

/** What KPIs count; other types are events of sessions, and no more. */
const countedTypes = ["view", "click", "add_to_cart", "purchase"]

/** What a type of another name probably means. */
const meanings: ReadonlyArray<readonly [string, RegExp]> = [
  ["purchase", /purchas|buy|order|transaction|checkout_complete|paid/i],
  ["add_to_cart", /cart|basket/i],
  ["click", /click/i],
  ["view", /view|visit|impression|^pv$|page/i]
]

/** Types that the message names; the rest is a number. */
const typesNamedMax = 10

/** What to say of event types that no KPI counts; undefined when there is nothing to say. */
export const uncountedTypes = ({ eventTypes }: ImportSummary, column: string | undefined): string | undefined => {
  const others = Object.entries(eventTypes).filter(([type]) => !countedTypes.includes(type)).sort(([, a], [, b]) =>
    b - a
  )
  if (others.length === 0) return undefined
  const named = others.slice(0, typesNamedMax).map(([type, count]) => `${type} ${count.toLocaleString("en")}`)
  const more = others.length > typesNamedMax ? `, and ${others.length - typesNamedMax} more` : ""
  const guessed = others.flatMap(([type]) => {
    const meant = meanings.find(([, pattern]) => pattern.test(type))?.[0]
    return meant === undefined ? [] : [`${type}>${meant}`]
  })
  const example = guessed.length > 0 ? guessed.slice(0, 2) : ["TYPE>view", "OTHER>purchase"]
  return `event types that count in sessions but in no clicks, carts or purchases: ${
    named.join(", ")
  }${more}. If they mean ` +
    `${countedTypes.join(", ")}, translate them in another --data-dir, as in ` +
    `--map '...,event_type=${column ?? "COLUMN"}:{${example.join(",")}}'; what is not listed stays as it is.`
}
