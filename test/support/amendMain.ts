/**
 * A process that amends a day or reverts an amendment in the database of `GUARDIAN_TEST_PLACE` (JSON), to be killed between its writes or
 * in the midst of one. Arguments: "amend" and a day or "revert" and an id; the number of a write, from 1; "before": it stands still
 * where that write would begin; "during": when it has begun. It says "here" then, and "done" with the number of its writes at its end.
 */
import { Effect, Layer, Redacted } from "effect"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import { amendDay, revertAmendment } from "../../src/operations/late/Amendments.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { openRegistry } from "./MessyLog.ts"

export interface AmendPlace {
  readonly url: string
  readonly database: string
  readonly username: string
  readonly password: string
  readonly dataDirectory: string
}

const [action, subject, diesAt, moment] = process.argv.slice(2) as [
  "amend" | "revert",
  string,
  string,
  "before" | "during"
]
const { dataDirectory, password, ...address } = JSON.parse(process.env["GUARDIAN_TEST_PLACE"]!) as AmendPlace
let writes = 0

// A pipe's writes are synchronous.
const say = (what: string) => Effect.sync(() => process.stdout.write(`${what}\n`))
// A process in which nothing is under way would end by itself.
const standStill = Effect.andThen(say("here"), Effect.callback<never>(() => void setInterval(() => undefined, 1_000)))

const mortal = (warehouse: Warehouse["Service"]): Warehouse["Service"] => ({
  ...warehouse,
  command: (sql, params) =>
    Effect.suspend(() => {
      if (++writes !== Number(diesAt)) return warehouse.command(sql, params)
      return moment === "before" ?
        standStill :
        Effect.andThen(Effect.forkDetach(warehouse.command(sql, params)), Effect.andThen(Effect.sleep(0), standStill))
    })
})

const who = { reason: "it dies", author: "grace" }

await Effect.runPromise(
  Effect.gen(function*() {
    const warehouse = yield* make({ ...address, password: Redacted.make(password) })
    const services = Layer.merge(
      Layer.succeed(Warehouse, mortal(warehouse)),
      Layer.succeed(SchemaRegistry, yield* openRegistry(dataDirectory))
    )
    yield* Effect.provide(action === "amend" ? amendDay(subject, who) : revertAmendment(subject, who), services)
    yield* say(`done ${writes}`)
  }).pipe(Effect.scoped)
)
