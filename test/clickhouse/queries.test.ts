/** The queries for analysts, each run as an analyst against the story of `ShopStory.ts`, with the answers worked out by hand. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { streamAnswer } from "../../src/cli/AnswerStream.ts"
import { parameterValues, parseStatementFile } from "../../src/cli/StatementFile.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { load, migrate, migrationsDirectory } from "../../src/warehouse/Migrations.ts"
import { TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { tellStory } from "./ShopStory.ts"

const directory = join(migrationsDirectory, "queries")

/** Values by hand: the rows, columns apart by " | ". */
type Answer = readonly [given: Readonly<Record<string, string>>, rows: ReadonlyArray<string>]

const answers: Readonly<Record<string, ReadonlyArray<Answer>>> = {
  "01_funnel_by_category": [
    // Cy's second session and Bob's third buy without all steps before it.
    [{}, ["books | 4 | 1 | 0 | 0.25 | 0", "kitchen | 4 | 1 | 1 | 0.25 | 1"]],
    [{ to: "2026-03-02" }, ["kitchen | 2 | 1 | 1 | 0.5 | 1"]]
  ],
  "02_retention_cohorts": [
    [{}, ["2026-03-02 | 0 | 4 | 1", "2026-03-02 | 1 | 2 | 0.5"]],
    [{ weeks: "0" }, ["2026-03-02 | 0 | 4 | 1"]],
    [{ from: "2026-03-09" }, ["2026-03-09 | 0 | 2 | 1"]]
  ],
  "03_path_to_purchase": [
    [{}, ["(none) | 1", "/ > /mug > /cart | 1", "/book | 1"]],
    [{ steps: "1", to: "2026-03-04" }, ["/book | 1", "/cart | 1"]]
  ],
  "04_landing_pages": [
    [{}, [
      "/ | 3 | 0 | 0.3333 | 22",
      "/book | 2 | 0 | 0.5 | 0",
      "/mug | 2 | 0.5 | 0 | 0",
      "/thanks | 1 | 0 | 1 | 9.5"
    ]],
    [{ from: "2026-03-09" }, ["/ | 1 | 0 | 0 | 0", "/thanks | 1 | 0 | 1 | 9.5"]]
  ],
  "05_exit_pages": [
    // Cy's second session is still open at the end of the story.
    [{}, [
      "/book | 4 | 2 | 0 | 0.5",
      "/mug | 4 | 2 | 0 | 0.5",
      "/thanks | 3 | 2 | 2 | 0.6667",
      "/cart | 2 | 1 | 0 | 0.5",
      "/ | 3 | 0 | 0 | 0"
    ]]
  ],
  "06_time_to_first_purchase": [
    [{}, [
      "2: under an hour | 1 | 1 | 5",
      "4: under a week | 1 | 3 | 2260",
      "5: a week or more | 1 | 2 | 10080"
    ]],
    [{ from: "2026-03-10" }, ["1: under 5 minutes | 1 | 1 | 0"]]
  ],
  "07_bot_share_by_hour": [
    [{ from: "2026-03-03", to: "2026-03-03" }, [
      "2026-03-03 08:00:00 | 3 | 0 | 0 | 0",
      "2026-03-03 12:00:00 | 60 | 60 | 1 | 1",
      "2026-03-03 20:00:00 | 2 | 0 | 0 | 0",
      "2026-03-03 23:00:00 | 1 | 0 | 0 | 0"
    ]]
  ],
  "08_items_bought_together": [
    [{}, ["mug | spoon | 2 | 0.6667 | 1.5"]],
    [{ to: "2026-03-04" }, []],
    [{ to: "2026-03-04", sessions_min: "1" }, ["mug | spoon | 1 | 0.5 | 2"]]
  ],
  "09_last_referrer_attribution": [
    [{}, ["search.example | 4 | 2 | 31.5", "news.example | 1 | 1 | 0"]],
    [{ days: "3" }, ["search.example | 2 | 1 | 22", "(direct) | 2 | 1 | 9.5", "news.example | 1 | 1 | 0"]],
    [{ currency: "EUR" }, ["search.example | 4 | 2 | 25.5", "news.example | 1 | 1 | 20"]],
    [{ from: "2026-03-10" }, ["search.example | 2 | 1 | 9.5"]]
  ],
  "10_late_events": [
    [{}, ["2026-03-03 | 2 | 1 | 300.1 | 300.1 | 8"]],
    [{ from: "2026-03-04" }, []]
  ],
  "12_sessions_by_hour": [
    [{}, [
      "1 | 9 | 1 | 600 | 0",
      "1 | 10 | 2 | 150.2 | 0.5",
      "2 | 8 | 2 | 750 | 0.5",
      "2 | 12 | 1 | 5.9 | 0",
      "2 | 20 | 1 | 600 | 0",
      "2 | 23 | 1 | 1200 | 1"
    ]],
    [{ zone: "Europe/Berlin", from: "2026-03-03", to: "2026-03-03" }, [
      "2 | 9 | 1 | 1500 | 0",
      "2 | 13 | 1 | 5.9 | 0",
      "2 | 21 | 1 | 600 | 0",
      "3 | 0 | 1 | 1200 | 1"
    ]]
  ],
  "13_repeat_visitors": [
    [{}, ["1 | 1 | 0.25 | 0 | 0", "2 | 2 | 0.5 | 1 | 31.5", "3 | 1 | 0.25 | 1 | 0"]]
  ],
  "14_revenue_by_currency": [
    [{}, [
      "2026-03-02 | USD | 2 | 1 | 6 | 22 | 16",
      "2026-03-04 | EUR | 1 | 1 | 1 | 20 | 20",
      "2026-03-10 | USD | 2 | 1 | 2 | 9.5 | 8"
    ]],
    [{ from: "2026-03-04", to: "2026-03-04" }, ["2026-03-04 | EUR | 1 | 1 | 1 | 20 | 20"]]
  ],
  "15_session_length": [
    [{}, [
      "0: one event | 1 | 0.125 | 0 | 0 | 1",
      "1: under a minute | 2 | 0.25 | 5.9 | 5.9 | 31",
      "2: under 10 minutes | 1 | 0.125 | 300.5 | 300.5 | 5",
      "3: under half an hour | 4 | 0.5 | 1200 | 1500 | 2.25"
    ]]
  ],
  "16_cart_abandonment": [
    [{}, ["2026-03-02 | 1 | 0 | 0 | 0 | 0", "2026-03-03 | 1 | 1 | 1 | 1 | 20"]]
  ],
  "17_category_affinity": [
    [{}, ["books | kitchen | 3 | 1 | 1", "kitchen | books | 3 | 0.75 | 1"]],
    [{ visitors_min: "4" }, []],
    // On this day Cy looked at both, Bob at books, the bot at mugs.
    [{ from: "2026-03-03", to: "2026-03-03", visitors_min: "1" }, [
      "books | kitchen | 1 | 0.5 | 0.75",
      "kitchen | books | 1 | 0.5 | 0.75"
    ]]
  ],
  "18_new_versus_returning": [
    [{}, [
      "2026-03-02 | new | 2 | 2 | 0.5 | 22",
      "2026-03-03 | new | 2 | 2 | 0 | 0",
      "2026-03-03 | returning | 2 | 1 | 0.5 | 0",
      "2026-03-09 | returning | 1 | 1 | 0 | 0",
      "2026-03-10 | returning | 1 | 1 | 1 | 9.5"
    ]],
    [{ from: "2026-03-09", to: "2026-03-09" }, ["2026-03-09 | returning | 1 | 1 | 0 | 0"]]
  ],
  "19_events_per_minute": [
    [{ from: "2026-03-03", to: "2026-03-03" }, [
      "2026-03-03 23:50:00 | 1 | 1 | 2 | 2 | 0",
      "2026-03-03 20:10:00 | 1 | 1 | 2 | 2 | 0",
      "2026-03-03 20:00:00 | 1 | 1 | 2 | 2 | 0",
      "2026-03-03 12:00:00 | 60 | 1 | 2 | 2 | 0",
      "2026-03-03 08:25:00 | 1 | 1 | 2 | 2 | 0",
      "2026-03-03 08:20:00 | 1 | 1 | 2 | 2 | 0",
      "2026-03-03 08:00:00 | 1 | 1 | 2 | 2 | 0"
    ]]
  ],
  "20_visitor_trace": [
    [{ visitor: "bob" }, [
      "2026-03-02 10:30:00.000 | 1 | 0 | view | mug | /mug |  | 0 |  | []",
      "2026-03-03 20:00:00.000 | 2 | 0 | view | book | /book | news.example | 0 |  | []",
      "2026-03-03 20:10:00.000 | 2 | 600 | add_to_cart | book | /cart |  | 0 |  | []",
      "2026-03-03 23:50:00.000 | 3 | 0 | view | book | /book |  | 0 |  | []",
      "2026-03-04 00:10:00.000 | 3 | 1200 | purchase | book | /thanks |  | 20 | EUR | []"
    ]],
    [
      { visitor: "bot" },
      Array.from(
        { length: 60 },
        (_, i) =>
          `2026-03-03 12:00:0${Math.floor(i / 10)}.${i % 10}00 | 1 | ${
            i === 0 ? 0 : 0.1
          } | view | mug | /mug |  | 0 |  | ` +
          "['BOT_LIKE','HIGH_FREQUENCY']"
      )
    ],
    [{ visitor: "dee" }, []]
  ],
  "21_refused_records": [
    [{}, [
      "dead-lettered | undecodable | 1 | 2026-03-10 09:00:00.000 | 2026-03-10 09:00:00.000 | " +
      "the value does not begin with byte 0 and a schema id",
      "rejected | future | 1 | 2026-03-03 12:00:13.000 | 2026-03-03 12:00:13.000 | " +
      "event_ts is 86387000 ms after the append time"
    ]],
    [{ to: "2026-03-09" }, [
      "rejected | future | 1 | 2026-03-03 12:00:13.000 | 2026-03-03 12:00:13.000 | " +
      "event_ts is 86387000 ms after the append time"
    ]]
  ]
}

const told = Layer.effectDiscard(Effect.gen(function*() {
  const address = (yield* EmbeddedWarehouse).address("writer")
  yield* migrate(address)
  yield* tellStory(yield* make(address))
})).pipe(Layer.provideMerge(TemporaryWarehouse))

const ask = Effect.fnUntraced(function*(name: string, given: Readonly<Record<string, string>>) {
  const file = parseStatementFile(readFileSync(join(directory, name), "utf8"))
  const chunks: Array<Uint8Array> = []
  yield* streamAnswer((yield* EmbeddedWarehouse).address("analyst"), file.statement, {
    format: "TabSeparated",
    parameters: parameterValues(file, given),
    write: async (chunk) => void chunks.push(chunk)
  })
  return Buffer.concat(chunks).toString("utf8").split("\n").slice(0, -1).map((line) => line.replaceAll("\t", " | "))
})

layer(told, { excludeTestServices: true, timeout: 180_000 })("the query", (it) => {
  for (const [name, asked] of Object.entries(answers)) {
    it.effect(`${name} gives the answers of the story`, () =>
      Effect.gen(function*() {
        for (const [given, rows] of asked) {
          assert.deepStrictEqual(yield* ask(`${name}.sql`, given), rows, JSON.stringify(given))
        }
      }))
  }

  it.effect("11_freshness says up to where everything is processed, and how old that is", () =>
    Effect.gen(function*() {
      const [asOfThen] = yield* ask("11_freshness.sql", { at: "2026-03-10T09:00:00.001Z" })
      assert.isTrue(asOfThen!.startsWith("0 | 82 | 77 | 2026-03-10 08:00:00.001 | 3600 | "), asOfThen)
      const [now, ...others] = yield* ask("11_freshness.sql", {})
      assert.deepStrictEqual(others, [])
      const [watermarkAge, checkpointAge] = now!.split(" | ").slice(-2).map(Number)
      assert.isAbove(watermarkAge!, 3_600)
      // The checkpoint was written by this test, a moment ago.
      assert.isAtLeast(checkpointAge!, 0)
      assert.isBelow(checkpointAge!, 3_600)
    }))

  it.effect("files are all tried here, and say what they ask and which parameters they take", () =>
    Effect.sync(() => {
      const names = readdirSync(directory).sort()
      assert.deepStrictEqual(names, [...Object.keys(answers), "11_freshness"].sort().map((name) => `${name}.sql`))
      assert.isAtLeast(names.length, 20)
      for (const name of names) {
        const text = readFileSync(join(directory, name), "utf8")
        assert.match(text, /^-- .*\?/, `${name} begins with a question`)
        const used = new Set([...text.replaceAll(/^--.*$/gm, "").matchAll(/\{(\w+):/g)].map((match) => match[1]))
        assert.deepStrictEqual(
          parseStatementFile(text).parameters.map((parameter) => parameter.name).sort(),
          [...used].sort(),
          `${name} declares what it uses`
        )
      }
    }))

  it.effect("files are no migrations", () =>
    Effect.gen(function*() {
      const migrations = yield* load(migrationsDirectory)
      assert.isTrue(migrations.every((migration) => /^\d{4}_/.test(migration.name)))
      assert.isFalse(migrations.some((migration) => /funnel_by_category/.test(migration.name)))
    }))
})
