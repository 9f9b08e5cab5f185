/** History for benchmarks, made in SQL: sessions and their events, spread evenly over a time. */
import { Effect } from "effect"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"

export const eventsPerSession = 5

type Service = Warehouse["Service"]

/** Ids in time order, as the pipeline makes them. */
const idSql = (time: string, number: string) =>
  `concat(leftPad(lower(hex(toUnixTimestamp64Milli(${time}))), 12, '0'), leftPad(toString(${number}), 20, '0'))`

const touchSql = (from: string, to: string, version: number) =>
  `INSERT INTO touched_days (day, partition, cause, kind, quarter, version)
   SELECT toDate(quarter), 0, 'pipeline', arrayJoin(['events', 'sessions']), quarter, ${version}
   FROM (SELECT toStartOfFifteenMinutes(arrayJoin(range(toUInt32(toUnixTimestamp(${from})), toUInt32(toUnixTimestamp(${to})), 900))::DateTime('UTC')) AS quarter)`

/** Sessions of `eventsPerSession` events a minute apart, spread evenly over a time. */
export const fill = Effect.fnUntraced(
  function*(warehouse: Service, from: number, to: number, sessions: number, name: string, version: number) {
    const started = `fromUnixTimestamp64Milli(toInt64(${from} + intDiv(number * ${to - from}, ${sessions})), 'UTC')`
    const settings = "SETTINGS async_insert = 0, max_insert_threads = 1, max_partitions_per_insert_block = 0"
    yield* warehouse.command(
      `INSERT INTO events_raw (event_id, visitor_id, event_ts, event_type, item_id, category, price, quantity, url, session_id)
       ${settings}
       SELECT concat('${name}-', toString(number), '-', toString(n)), concat('v', toString(cityHash64('${name}', number) % 200000)),
         ${started} + toIntervalMinute(n), if(n = 4 AND number % 20 = 0, 'purchase', 'view'),
         concat('item-', toString(intDiv(cityHash64(number, n) % 1000000, 1 + cityHash64(n, number) % 1000))),
         concat('category-', toString(number % 16)), 9.99, 1, 'https://shop.example/', ${idSql(started, "number")}
       FROM (SELECT number, arrayJoin(range(${eventsPerSession})) AS n FROM numbers(${sessions}))`
    )
    yield* warehouse.command(
      `INSERT INTO sessions_raw (session_id, visitor_id, started_at, ended_at, events, clicks, purchases, revenue, version) ${settings}
       SELECT ${idSql(started, "number")}, concat('v', toString(cityHash64('${name}', number) % 200000)), ${started},
         ${started} + toIntervalMinute(4), ${eventsPerSession}, 4, if(number % 20 = 0, 1, 0), 0, ${version} FROM numbers(${sessions})`
    )
    yield* warehouse.command(
      touchSql(`toDateTime(${Math.floor(from / 1000)})`, `toDateTime(${Math.ceil(to / 1000)})`, version)
    )
  }
)
