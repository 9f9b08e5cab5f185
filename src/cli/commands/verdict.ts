import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { userInfo } from "node:os"
import {
  clearVerdict,
  flaggedSessions,
  setVerdict,
  verdictHistory,
  VerdictRefused,
  visitorSeen
} from "../../operations/verdicts/Verdicts.ts"
import type { VerdictAccount, VerdictScope, VerdictTarget } from "../../operations/verdicts/Verdicts.ts"
import { refreshKpis } from "../../warehouse/KpiBacklog.ts"
import type { Warehouse, WarehouseError } from "../../warehouse/Warehouse.ts"
import { existingWarehouseLayer } from "../ExistingWarehouse.ts"
import { dataDir, json, print, printJson, table } from "../Flags.ts"
import { clientLayer, RunningWarehouse } from "../Installation.ts"
import { migrated } from "./migrate.ts"

const scope = Argument.Literals("scope", ["visitor", "session"]).pipe(Argument.withDescription("What it is about"))
const id = Argument.String("id").pipe(Argument.withDescription("visitor_id or session_id"))
const judgement = Argument.Literals("verdict", ["bot", "human", "unknown"]).pipe(
  Argument.withDescription("unknown counts as clean, whatever rules say")
)
const reason = Flag.String("reason").pipe(Flag.withDescription("Why; it stays in the history"))
const author = Flag.String("author").pipe(
  Flag.withDescription("Who (default: the user of this machine)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

const set = Command.make(
  "set",
  { scope, id, judgement, reason, author, dataDir, json },
  Effect.fn(function*({ author, dataDir, id, json, judgement, reason, scope }) {
    const account = yield* accountOf(reason, author)
    const given = Effect.tap(setVerdict({ scope, id }, judgement, account), () => warnUnseen({ scope, id }))
    const version = yield* Effect.provide(takenIn(given), writingLayer(dataDir))
    yield* told({ scope, id }, judgement, account, version, json)
  })
).pipe(Command.withDescription("Say that a visitor or a session is a bot's, a human's or neither"))

const clear = Command.make(
  "clear",
  { scope, id, reason, author, dataDir, json },
  Effect.fn(function*({ author, dataDir, id, json, reason, scope }) {
    const account = yield* accountOf(reason, author)
    const version = yield* Effect.provide(takenIn(clearVerdict({ scope, id }, account)), writingLayer(dataDir))
    yield* told({ scope, id }, "", account, version, json)
  })
).pipe(Command.withDescription("Take a verdict back: rules and user agents decide again"))

const visitorFlag = Flag.String("visitor").pipe(
  Flag.withDescription("Only of this visitor"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const sessionFlag = Flag.String("session").pipe(
  Flag.withDescription("Only of this session"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const history = Flag.Boolean("history").pipe(
  Flag.withDescription("Also those that hold no longer"),
  Flag.withDefault(false)
)
const automatic = Flag.Boolean("automatic").pipe(
  Flag.withDescription("Instead the newest 1,000 flagged sessions, by rules and user agents too"),
  Flag.withDefault(false)
)

const list = Command.make(
  "list",
  { visitorFlag, sessionFlag, history, automatic, dataDir, json },
  Effect.fn(function*({ automatic, dataDir, history, json, sessionFlag, visitorFlag }) {
    const rows = yield* rowsOf(targetOf(visitorFlag, sessionFlag), { automatic, history }).pipe(
      Effect.provide(clientLayer("reader").pipe(Layer.provide(existingWarehouseLayer(dataDir))))
    )
    if (json) return yield* printJson(rows)
    if (rows.length === 0) return yield* print(automatic ? "no session is flagged" : "no verdict of a person stands")
    yield* print(table(rows))
  })
).pipe(Command.withDescription("Show the verdicts of persons, or what is flagged"))

/** Who is a bot: rules and user agents say it by themselves, persons with this. */
export const verdict = Command.make("verdict").pipe(
  Command.withDescription("Say who is a bot, and see who said so; KPIs follow within seconds"),
  Command.withSubcommands([set, clear, list])
)

const flaggedMax = 1_000

type Row = Readonly<Record<string, unknown>>

const rowsOf = Effect.fnUntraced(
  function*(
    target: VerdictTarget | undefined,
    { automatic, history }: { readonly automatic: boolean; readonly history: boolean }
  ): Effect.fn.Return<ReadonlyArray<Row>, WarehouseError, Warehouse> {
    if (automatic) return (yield* flaggedSessions(flaggedMax)).map((flagged) => ({ ...flagged }))
    const given = yield* verdictHistory(target)
    return (history ? given : given.filter(({ holds }) => holds)).map((each) => ({
      ...each,
      verdict: each.verdict || "cleared"
    }))
  }
)

const targetOf = (visitor: string | undefined, session: string | undefined): VerdictTarget | undefined => {
  if (visitor !== undefined) return { scope: "visitor", id: visitor }
  return session === undefined ? undefined : { scope: "session", id: session }
}

const accountOf = (reason: string, author: string | undefined): Effect.Effect<VerdictAccount, VerdictRefused> => {
  if (reason.trim() === "") return Effect.fail(new VerdictRefused({ message: "A verdict needs a --reason." }))
  return Effect.succeed({ reason, author: author ?? userInfo().username })
}

/** A verdict may come before its visitor does, but more often the id has a slip in it. */
const warnUnseen = Effect.fnUntraced(function*({ id, scope }: VerdictTarget) {
  if (scope === "session" || (yield* visitorSeen(id))) return
  process.stderr.write(
    `guardian: no event of visitor ${id} is known: nothing changes now, and the verdict holds when the first one comes. ` +
      `If that is a slip: guardian verdict clear visitor ${id} --reason slip\n`
  )
})

/** KPIs that take longer are left to the next server. */
const kpisWithin = "1 minute"

/** Where no server is running nobody else would compute the days again. */
const takenIn = <A, E, R>(verdict: Effect.Effect<A, E, R>) =>
  Effect.tap(
    verdict,
    () =>
      Effect.flatMap(
        RunningWarehouse,
        ({ owned }) => owned ? Effect.timeoutOption(refreshKpis, kpisWithin) : Effect.void
      )
  )

const writingLayer = (dataDirectory: string) =>
  clientLayer("writer").pipe(
    Layer.provideMerge(Layer.effectDiscard(migrated)),
    Layer.provideMerge(existingWarehouseLayer(dataDirectory))
  )

const told = (
  { id, scope }: { readonly scope: VerdictScope; readonly id: string },
  verdict: string,
  account: VerdictAccount,
  version: number,
  json: boolean
) =>
  json ?
    printJson({ scope, id, verdict, ...account, version }) :
    print(
      `${scope} ${id}: ${verdict === "" ? "cleared" : verdict} (${account.author}: ${account.reason}); ` +
        "the days it touches are computed again"
    )
