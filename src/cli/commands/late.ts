import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { userInfo } from "node:os"
import type { AmendmentAccount, AmendmentReport } from "../../operations/late/Amendments.ts"
import { amendDay, amendments, revertAmendment } from "../../operations/late/Amendments.ts"
import { lateEvents } from "../../operations/late/LateEvents.ts"
import type { AmendmentPreview } from "../../operations/late/Preview.ts"
import { previewAmendment } from "../../operations/late/Preview.ts"
import { refreshKpis } from "../../warehouse/KpiBacklog.ts"
import { existingWarehouseLayer } from "../ExistingWarehouse.ts"
import { dataDir, dayFlag, json, print, printJson, table } from "../Flags.ts"
import { clientLayer, registryLayer, RunningWarehouse } from "../Installation.ts"
import { migrated } from "./migrate.ts"

const author = Flag.String("author").pipe(
  Flag.withDescription("Who (default: the user of this machine)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const reason = Flag.String("reason").pipe(
  Flag.withDescription("Why; it stays in the history"),
  Flag.withDefault("")
)

const list = Command.make(
  "list",
  {
    day: dayFlag.pipe(
      Flag.withDescription("Only of this day of the reporting time zone, e.g. 2026-03-01"),
      Flag.optional,
      Flag.map(Option.getOrUndefined)
    ),
    limit: Flag.Int("limit").pipe(
      Flag.filter((limit) => limit >= 1, () => "1 or more"),
      Flag.withDescription("At most so many, the newest"),
      Flag.withDefault(100)
    ),
    dataDir,
    json
  },
  Effect.fn(function*({ dataDir, day, json, limit }) {
    const rows = yield* lateEvents({ day, limit }).pipe(Effect.provide(readingLayer(dataDir)))
    if (json) return yield* printJson(rows)
    if (rows.length === 0) {
      return yield* print(day === undefined ? "nothing came too late" : `nothing of ${day} came too late`)
    }
    yield* print(table(rows.map(({ amendment, isRepeat, offset, partition, reopenedAt, reopenedBy, ...row }) => ({
      place: `${partition}/${offset}`,
      ...row,
      repeat: isRepeat ? "yes" : "",
      amendment,
      reopened: reopenedAt === "" ? "" : `${reopenedAt} ${reopenedBy}`
    }))))
  })
).pipe(
  Command.withDescription("Show the events that came too late, what they are worth and whether they were folded in")
)

const amend = Command.make(
  "amend",
  {
    day: dayFlag.pipe(Flag.withDescription("Day of the reporting time zone, e.g. 2026-03-01")),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Only show which figures of which segment would change; nothing is written"),
      Flag.withDefault(false)
    ),
    author,
    reason,
    dataDir,
    json
  },
  Effect.fn(function*({ author, dataDir, day, dryRun, json, reason }) {
    if (dryRun) {
      const preview = yield* previewAmendment(day).pipe(
        Effect.provide(Layer.merge(readingLayer(dataDir), registryLayer(dataDir)))
      )
      return yield* shown(preview, json)
    }
    const report = yield* takenIn(amendDay(day, accountOf(reason, author))).pipe(Effect.provide(writingLayer(dataDir)))
    yield* told(report, json)
  })
).pipe(Command.withDescription("Fold the late events of a day into its sessions and KPIs, final or not"))

const revert = Command.make(
  "revert",
  {
    id: Argument.String("id").pipe(Argument.withDescription("Of the amendment, as guardian late amendments shows it")),
    author,
    reason,
    dataDir,
    json
  },
  Effect.fn(function*({ author, dataDir, id, json, reason }) {
    const report = yield* takenIn(revertAmendment(id, accountOf(reason, author))).pipe(
      Effect.provide(writingLayer(dataDir))
    )
    yield* told(report, json)
  })
).pipe(Command.withDescription("Take an amendment back; its late events count in nothing again"))

const history = Command.make(
  "amendments",
  { dataDir, json },
  Effect.fn(function*({ dataDir, json }) {
    const rows = yield* amendments.pipe(Effect.provide(readingLayer(dataDir)))
    if (json) return yield* printJson(rows)
    if (rows.length === 0) return yield* print("no day was amended")
    yield* print(table(rows.map(({ holds, offsets, version, ...row }) => ({
      version: String(version),
      ...row,
      holds: holds ? "yes" : "",
      offsets: Object.entries(offsets).map(([partition, [first, last]]) => `${partition}: ${first}-${last}`).join(", ")
    }))))
  })
).pipe(Command.withDescription("Show who amended or reverted what, when and why"))

/** What came too late is not lost: it is listed with its value, and a person may fold it into its day. */
export const late = Command.make("late").pipe(
  Command.withDescription(
    "Show what came too late, and fold it into its day or take that back; KPIs follow within seconds"
  ),
  Command.withSubcommands([list, amend, revert, history])
)

const accountOf = (reason: string, author: string | undefined): AmendmentAccount => ({
  reason,
  author: author ?? userInfo().username
})

/** KPIs that take longer are left to the next server. */
const kpisWithin = "1 minute"

/** Where no server is running nobody else would compute the days again. */
const takenIn = <E, R>(change: Effect.Effect<AmendmentReport, E, R>) =>
  Effect.tap(
    change,
    () =>
      Effect.flatMap(
        RunningWarehouse,
        ({ owned }) => owned ? Effect.timeoutOption(refreshKpis, kpisWithin) : Effect.void
      )
  )

const readingLayer = (dataDirectory: string) =>
  clientLayer("reader").pipe(Layer.provide(existingWarehouseLayer(dataDirectory)))

const writingLayer = (dataDirectory: string) =>
  clientLayer("writer").pipe(
    Layer.provideMerge(Layer.effectDiscard(migrated)),
    Layer.provideMerge(existingWarehouseLayer(dataDirectory)),
    Layer.merge(registryLayer(dataDirectory))
  )

const shown = (preview: AmendmentPreview, json: boolean) => {
  if (json) return printJson(preview)
  const { changes, day, events, status, waiting } = preview
  const head = `${day} (${status || "provisional"}): ${events} late events would be folded in${
    waiting === 0 ? "" : `, ${waiting} wait for their sessions`
  }; nothing was written`
  return print(changes.length === 0 ? head : `${head}\n${table(changes.map((change) => ({ ...change })))}`)
}

const told = (report: AmendmentReport, json: boolean) => {
  if (json) return printJson(report)
  const { action, amendmentId, day, events, revenue, status, waiting } = report
  const waits = waiting === 0 ?
    "" :
    `; ${waiting} wait, since their sessions can still grow: run it again when the watermark has passed them`
  if (events === 0) {
    return print(
      `${
        action === "amend" ? `${day}: no late event to fold in` : `amendment ${amendmentId}: nothing left to take out`
      }${waits}`
    )
  }
  const did = action === "amend" ? "folded in" : "taken out again"
  return print(
    `amendment ${amendmentId}: ${events} late events of ${day} ${did}, revenue ${revenue}` +
      `${status === "final" ? "; the day was final and is reopened" : ""}${waits}`
  )
}
