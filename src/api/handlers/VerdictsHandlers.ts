import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { clearVerdict, setVerdict, verdictHistory } from "../../operations/verdicts/Verdicts.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { ApiSources } from "../ApiSources.ts"
import { GuardianApi } from "../contract/GuardianApi.ts"
import { VerdictConflict } from "../contract/Problems.ts"
import type { NewVerdict } from "../contract/VerdictsGroup.ts"
import { freshness } from "../FreshData.ts"
import { asProblem } from "../Question.ts"

const list = Effect.fnUntraced(
  function*({ id, scope }: { readonly scope?: "visitor" | "session"; readonly id?: string }) {
    const { reader } = yield* ApiSources
    const given = yield* verdictHistory(scope === undefined || id === undefined ? undefined : { scope, id }).pipe(
      Effect.provideService(Warehouse, reader),
      Effect.catchTag("WarehouseError", asProblem)
    )
    const data = given
      .filter((each) =>
        (scope === undefined || each.scope === scope) && (id === undefined || scope !== undefined || each.id === id)
      )
      .map(({ setAt, ...each }) => ({ ...each, set_at: setAt }))
    return { data, next_cursor: null, freshness: yield* freshness }
  }
)

const record = Effect.fnUntraced(function*({ author, id, reason, scope, verdict }: typeof NewVerdict.Type) {
  const { writer } = yield* ApiSources
  const account = { reason, author }
  const recorded = verdict === "clear" ?
    clearVerdict({ scope, id }, account) :
    setVerdict({ scope, id }, verdict, account)
  const version = yield* recorded.pipe(
    Effect.provideService(Warehouse, writer),
    Effect.catchTag("VerdictRefused", ({ message }) => Effect.fail(new VerdictConflict({ detail: message }))),
    Effect.catchTag("WarehouseError", asProblem)
  )
  yield* Effect.logInfo(`a verdict was recorded by HTTP: ${verdict} on a ${scope}, version ${version}`)
  return { version }
})

export const VerdictsHandlers = HttpApiBuilder.group(GuardianApi, "verdicts", (handlers) =>
  handlers.handleAll({
    list: ({ query }) => list(query),
    // Not half: the two inserts of a verdict belong together, whether or not the client waits.
    record: ({ payload }) => Effect.uninterruptible(record(payload))
  }))
