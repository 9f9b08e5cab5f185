/**
 * Session windows as other engines' own tests expect them, when the files stand beside the repository (`../shared/data`). Those
 * whose meaning differs from ours are left out, with the reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { dawn, second, Story } from "./Story.ts"

const folder = join(import.meta.dirname, "../../../shared/data/session_window_vectors")
const isThere = existsSync(folder)
if (!isThere) console.log(`skipped the vectors of other engines: ${folder} is not there`)

interface Vector {
  readonly id: string
  readonly gap_s: number
  /** [user, time, ..] in order of arrival */
  readonly events: ReadonlyArray<readonly [user: number, time: number | string, ...rest: ReadonlyArray<unknown>]>
  readonly expected?: ReadonlyArray<Readonly<Record<string, number | string>>>
}

const read = (file: string): string => isThere ? readFileSync(join(folder, file), "utf8") : ""
const lines = (file: string) => read(file).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))
const vectors = (isThere ? JSON.parse(read("derived_vectors.json")) : []) as ReadonlyArray<Vector>

const leftOut: Readonly<Record<string, string>> = {
  "ksqldb out of order - explicit grace period":
    "a session that is past the grace period is closed there; ours grows as long as an event in time reaches it",
  "proton session #0": "an event exactly the gap later opens a new session there"
}

type Window = readonly [user: string, start: number, end: number, events: number]

/** What the core makes of events: [user, epoch ms]. */
const sessionsOf = (
  events: ReadonlyArray<readonly [user: number, ms: number]>,
  gapMs: number,
  latenessMs = gapMs
): ReadonlyArray<Window> => {
  const story = new Story({ gapMs, latenessMs })
  const outcomes = story.tell(...events.map(([user, ms]) => ({ visitor: `${user}`, at: ms - dawn })))
  assert.deepStrictEqual([...new Set(outcomes)], ["accepted"])
  return sorted(
    story.sessions.map((session) => [session.visitorId, session.startedAt, session.endedAt, session.events] as const)
  )
}

const sorted = (windows: ReadonlyArray<Window>) =>
  windows.toSorted((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1])

/** These vectors begin in 1970; the year 2000 is the earliest that we take. */
const shifted = (ms: number) => dawn + ms
const utc = (text: unknown) => Date.parse(`${String(text).replace(" ", "T")}Z`)

const vector = (id: string, check: (each: Vector) => void) =>
  it.skipIf(!isThere)(id, () => {
    const found = vectors.find((each) => each.id === id)
    if (found === undefined) throw new Error(`no vector ${id}`)
    check(found)
  })

describe("the vectors of other engines", () => {
  vector("byconity_10008", ({ events, expected, gap_s }) => {
    console.log("left out of byconity_10008: users 2 and 3, where a new referrer type or midnight splits a session")
    const mine = events.filter(([user]) => user === 1).map(([user, at]) => [user, Number(at) * second] as const)
    assert.deepStrictEqual(
      sessionsOf(mine, gap_s * second).map(([user, start, end, count]) => [user, (end - start) / second, count]),
      expected!.filter(({ user }) => user === 1).map(({ duration, events: count }) => ["1", duration, count]) as never
    )
  })

  vector("risingwave_session", ({ events, expected, gap_s }) => {
    assert.deepStrictEqual(
      sessionsOf(events.map(([user, at]) => [user, utc(at)] as const), gap_s * second),
      sorted(expected!.map((row) => [`${row["user"]}`, utc(row["start"]), utc(row["end"]), Number(row["events"])]))
    )
  })

  vector("ksqldb out of order - no grace period", ({ events, expected, gap_s }) => {
    const gap = gap_s * second
    const grace = 86_400 * second
    assert.deepStrictEqual(
      sessionsOf(events.map(([user, at]) => [user, shifted(Number(at))] as const), gap, gap + grace)
        .map(([user, start, end]) => [user, start, end]),
      sorted(expected!.map((row) => [`${row["user"]}`, shifted(Number(row["start"])), shifted(Number(row["end"])), 0]))
        .map(([user, start, end]) => [user, start, end])
    )
  })

  it.skipIf(!isThere)("arroyo: 100 events, 20 s gap, by user and all together", () => {
    const gap = 20 * second
    const input = lines("arroyo_input_impulse.json") as ReadonlyArray<{ timestamp: string; counter: number }>
    const windows = (file: string) =>
      sorted(
        lines(file).map((row) => [`${row.user_id ?? 0}`, utc(row.start), utc(row.end) - gap, row.rows ?? 100] as const)
      )
    const byUser = input.map(({ counter, timestamp }) =>
      [counter % 10 === 0 ? 0 : counter, Date.parse(timestamp)] as const
    )
    assert.deepStrictEqual(sessionsOf(byUser, gap), windows("arroyo_expected_session_window_20s.json"))
    assert.deepStrictEqual(
      sessionsOf(input.map(({ timestamp }) => [0, Date.parse(timestamp)] as const), gap),
      windows("arroyo_expected_global_session_window_20s.json")
    )
  })

  it.skipIf(!isThere)("are all used, or left out for a reason", () => {
    const used = new Set(["byconity_10008", "risingwave_session", "ksqldb out of order - no grace period"])
    for (const { id } of vectors) {
      if (used.has(id)) continue
      assert.isDefined(leftOut[id], id)
      console.log(`left out: ${id}: ${leftOut[id]}`)
    }
  })
})
