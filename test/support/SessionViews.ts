/** visitor_sessions and listed_sessions say what sessions says. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"

/** By every visitor and by every id that there is, living or not. */
export const sameSessions = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]) {
  const all = yield* warehouse.query("SELECT * FROM sessions ORDER BY session_id")
  const [known] = yield* warehouse.query(
    `SELECT groupUniqArray(session_id) AS ids, groupUniqArray(visitor_id) AS visitors FROM (
      SELECT session_id, visitor_id FROM sessions_raw UNION ALL SELECT session_id, visitor_id FROM amended_sessions
    )`
  )
  const { ids, visitors } = known as { readonly ids: ReadonlyArray<string>; readonly visitors: ReadonlyArray<string> }
  assert.deepStrictEqual(
    yield* warehouse.query("SELECT * FROM listed_sessions(ids = {ids:Array(String)}) ORDER BY session_id", { ids }),
    all
  )
  for (const visitor of visitors) {
    assert.deepStrictEqual(
      yield* warehouse.query("SELECT * FROM visitor_sessions(visitor_id = {visitor:String}) ORDER BY session_id", {
        visitor
      }),
      all.filter((row) => row["visitor_id"] === visitor)
    )
  }
  return all
})
