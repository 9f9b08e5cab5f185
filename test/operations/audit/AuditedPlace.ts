/** Databases to audit: small, made by the real pipeline from a messy log, with everything in them that an audit looks at. */
import { Effect, Layer } from "effect"
import type { CoreSettings } from "../../../src/domain/Settings.ts"
import { defaultCoreSettings } from "../../../src/domain/Settings.ts"
import { EventLog } from "../../../src/log/EventLog.ts"
import { SchemaRegistry } from "../../../src/log/SchemaRegistry.ts"
import { audit } from "../../../src/operations/audit/Audit.ts"
import type { AuditOptions } from "../../../src/operations/audit/Audit.ts"
import { checks } from "../../../src/operations/audit/Checks.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { messyLog } from "../../support/MessyLog.ts"
import type { Place, RunOptions } from "../../support/PipelineRun.ts"
import { runPipeline } from "../../support/PipelineRun.ts"
import { freshWarehouse } from "../../support/TemporaryWarehouse.ts"
import { temporaryDirectory } from "../../warehouse/embedded/temporaryDirectory.ts"

/** Thresholds that slow traffic reaches, and undoes again. */
export const settings = {
  ...defaultCoreSettings,
  highFrequencyClicks: 3,
  highFrequencyWindowMs: 600_000,
  botLikeClicks: 3,
  botLikeWindowMs: 1_200_000,
  botLikeSlideMs: 300_000,
  botLikeDiversity: 0.7
}

/** A log of some hours around midnight, not processed yet, and an empty database. */
export const place = Effect.fnUntraced(function*(
  seed: number,
  records: number,
  options: { readonly eventsPerSecond?: number; readonly settings?: Partial<CoreSettings> } = {}
) {
  const source = yield* messyLog({
    dataDirectory: yield* temporaryDirectory,
    partitions: 3,
    seed,
    eventsPerSecond: options.eventsPerSecond ?? 0.2,
    visitors: 30
  })
  yield* source.append(records)
  return { ...source, settings: { ...settings, ...options.settings }, warehouse: yield* freshWarehouse }
})

/** The same, processed in small flushes. */
export const drained = Effect.fnUntraced(
  function*(seed: number, records: number, options: RunOptions = { batch: 100 }) {
    const made = yield* place(seed, records)
    yield* runPipeline(made, options)
    return made
  }
)

/** All but those of the KPIs: the views take what is planted in at some later moment. They have tests of their own. */
export const checksOfTheLog = checks.filter(({ name }) => name !== "quarters" && name !== "kpis" && name !== "rankings")

export const auditOf = (
  { log, registry, warehouse }: Pick<Place, "log" | "registry" | "warehouse">,
  options: Partial<AuditOptions> = {}
) =>
  audit({ auditId: "the-audit", scope: "all", checks: checksOfTheLog, ...options }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Layer.succeed(Warehouse, warehouse),
        Layer.succeed(EventLog, log),
        Layer.succeed(SchemaRegistry, registry)
      )
    )
  )

/** By check: how many differences; only those that have any. */
export const differencesOf = (
  report: { readonly checks: ReadonlyArray<{ readonly name: string; readonly differences: number }> }
) =>
  Object.fromEntries(
    report.checks.filter(({ differences }) => differences > 0).map((check) => [check.name, check.differences])
  )
