import { Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { randomUUID } from "node:crypto"
import type { EpochMillis } from "../../domain/Identifiers.ts"
import * as GroupMembership from "../../log/kafka/GroupMembership.ts"
import { resetLog } from "../../operations/log/Reset.ts"
import type { ResetTarget } from "../../operations/log/Reset.ts"
import { coreSettings } from "../Environment.ts"
import { existingWarehouseLayer } from "../ExistingWarehouse.ts"
import { dataDir, json, print, printJson, table } from "../Flags.ts"
import { existingLogLayer, InstallationError, ownPipeline, stateStoreLayer } from "../Installation.ts"
import { kafkaGroup, logKind } from "../LogChoice.ts"

const to = Flag.String("to").pipe(
  Flag.withDescription("earliest (the first record that is still held), latest, or a time in ISO 8601"),
  Flag.filter((text) => targetOf(text) !== undefined, (text) => `earliest, latest or a time, not "${text}"`)
)

const targetOf = (text: string): ResetTarget | undefined => {
  if (text === "earliest" || text === "latest") return text
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time as EpochMillis
}

/** Moves processing forward to where it can go on. */
const reset = Command.make(
  "reset",
  { to, dataDir, json },
  Effect.fn(function*({ dataDir, json, to }) {
    const resets = yield* Effect.gen(function*() {
      yield* ownPipeline(dataDir)
      yield* refuseMembers
      const settings = yield* coreSettings
      return yield* resetLog({ to: targetOf(to)!, settings, runId: randomUUID() })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        stateStoreLayer.pipe(
          Layer.provideMerge(existingWarehouseLayer(dataDir)),
          Layer.provideMerge(existingLogLayer(dataDir))
        )
      )
    )
    if (json) return yield* printJson({ resets })
    if (resets.length === 0) return yield* print("nothing to do: every checkpoint is there or further on already")
    yield* print(table(resets.map(({ from, partition, to }) => ({ partition, from, to, skipped: to - from }))))
    yield* print("records between are not processed; guardian serve or guardian drain goes on behind them")
  })
).pipe(Command.withDescription("Go on behind records that are gone: they stay out of every figure"))

/** A running pipeline would write over it. */
const refuseMembers = Effect.gen(function*() {
  if ((yield* logKind) !== "kafka") return
  const options = yield* kafkaGroup
  const members = yield* Effect.tryPromise({
    try: () => GroupMembership.countMembers(options),
    catch: (cause) =>
      new InstallationError({ message: `cannot ask for the consumer group: ${(cause as Error).message}` })
  })
  if (members > 0) {
    return yield* new InstallationError({
      message:
        `${members} pipelines are in the consumer group ${options.groupId}: stop them first (a killed one leaves ` +
        "after 6 s)"
    })
  }
})

/** What concerns the log as such. */
export const log = Command.make("log").pipe(
  Command.withDescription("Where processing goes on in the log"),
  Command.withSubcommands([reset])
)
