/** A process that amends or reverts is killed with SIGKILL between any two of its writes and in the midst of each. */
import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { amendments as amendmentsCheck } from "../../../src/operations/audit/checks/Amendments.ts"
import { kpis } from "../../../src/operations/audit/checks/Kpis.ts"
import { amendDay, amendments, revertAmendment } from "../../../src/operations/late/Amendments.ts"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import type { AmendPlace } from "../../support/amendMain.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { eventually } from "../../warehouse/embedded/eventually.ts"
import type { KpiPlace } from "../../warehouse/kpi/KpiPlace.ts"
import { auditOf, differencesOf } from "../audit/AuditedPlace.ts"
import { inPlace, isCrawler, story } from "./LateStory.ts"

const who = { reason: "the till was offline", author: "grace" }
const date = "2026-01-05"

/** Runs it in a process of its own; true: it was killed at that write, false: it came to its end. */
const inProcess = Effect.fnUntraced(function*(place: KpiPlace, ...args: ReadonlyArray<string>) {
  const { password, url, username } = (yield* EmbeddedWarehouse).address("writer")
  const given: AmendPlace = {
    url,
    username,
    password: Redacted.value(password),
    database: place.warehouse.database,
    dataDirectory: place.dataDirectory
  }
  return yield* Effect.callback<boolean>((resume) => {
    let said = ""
    let errors = ""
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("../../support/amendMain.ts", import.meta.url)), ...args],
      { env: { ...process.env, GUARDIAN_TEST_PLACE: JSON.stringify(given), NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" } }
    )
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text
      if (said.includes("here\n")) child.kill("SIGKILL")
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text
    })
    child.once("close", (code, signal) =>
      resume(
        signal === "SIGKILL" ?
          Effect.succeed(true) :
          code === 0 && said.startsWith("done") ?
          Effect.succeed(false) :
          Effect.die(new Error(`code ${code}: ${said} ${errors}`))
      ))
    return Effect.sync(() => child.kill("SIGKILL"))
  })
})

/** What counts, whoever made it and however often. */
const content = Effect.fnUntraced(function*({ warehouse }: KpiPlace) {
  return [
    yield* warehouse.query("SELECT * EXCEPT amendment_id FROM events ORDER BY ALL"),
    yield* warehouse.query("SELECT * EXCEPT version FROM sessions ORDER BY ALL")
  ]
})

/** What a killed process had sent may still be under way. */
const quiet = (place: KpiPlace) =>
  eventually(
    "what was sent has ended",
    Effect.map(
      place.warehouse.query(
        "SELECT count() AS running FROM system.processes WHERE query_kind = 'Insert' AND user != '' AND current_database = currentDatabase()"
      ),
      ([row]) => Number(row!["running"]) === 0
    )
  )

const isAudited = Effect.fnUntraced(function*(place: KpiPlace) {
  const report = yield* auditOf(place, { checks: [amendmentsCheck] })
  assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
})

const standing = (place: KpiPlace) => Effect.map(inPlace(place, amendments), (all) => all.find(({ holds }) => holds))

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 120_000 })("a process that is killed", (it) => {
  it.effect(
    "in an amendment or a reversal leaves all of it or nothing, and running it again gives what an undisturbed one gives",
    () =>
      Effect.gen(function*() {
        const twin = yield* story
        yield* twin.close
        const before = yield* content(twin)
        const { amendmentId } = yield* inPlace(twin, amendDay(date, who))
        const after = yield* content(twin)
        yield* inPlace(twin, revertAmendment(amendmentId, who))
        assert.deepStrictEqual(yield* content(twin), before)

        const place = yield* story
        yield* place.close
        const truth = (isAmended: boolean) =>
          place.truth({ timeZone: "UTC", verdicts: [], isCrawler, isAmended: () => isAmended })
        const landed = { before: 0, during: 0 }
        let kills = 0
        for (const action of ["amend", "revert"] as const) {
          const [from, to] = action === "amend" ? [before, after] : [after, before]
          for (const moment of ["before", "during"] as const) {
            for (let write = 1;; write++) {
              if (action === "revert" && (yield* standing(place)) === undefined) {
                yield* inPlace(place, amendDay(date, who))
              }
              const subject = action === "amend" ? date : (yield* standing(place))!.amendmentId
              const isKilled = yield* inProcess(place, action, subject, String(write), moment)
              yield* quiet(place)
              const left = yield* content(place)
              const isDone = JSON.stringify(left) === JSON.stringify(to)
              if (!isDone) {
                assert.deepStrictEqual(left, from, `${action} killed ${moment} write ${write}`)
              }
              yield* isAudited(place)
              if (isKilled && isDone) landed[moment]++
              if (isKilled) kills++
              // Again, to its end; then back, for the next kill.
              yield* inPlace(place, action === "amend" ? amendDay(date, who) : revertAmendment(subject, who))
              assert.deepStrictEqual(yield* content(place), to, `${action} again after a kill ${moment} write ${write}`)
              yield* isAudited(place)
              if (!isKilled) break
              if (action === "amend") yield* inPlace(place, revertAmendment((yield* standing(place))!.amendmentId, who))
            }
            // The last run was not killed: what it made is taken in by the views.
            assert.deepStrictEqual(yield* place.settled, yield* truth(action === "amend"))
            const report = yield* auditOf(place, { checks: [amendmentsCheck, kpis] })
            assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
            if (action === "amend" && moment === "before") {
              yield* inPlace(place, revertAmendment((yield* standing(place))!.amendmentId, who))
            }
          }
        }
        // Witness of changes before, events, sessions, the row that makes them count, its witness: in both, at both moments.
        assert.strictEqual(kills, 2 * 2 * 5)
        // Killed after the row that counts, it was done.
        assert.strictEqual(landed.before, 2)
      }),
    900_000
  )
})
