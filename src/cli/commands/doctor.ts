import { Effect, Option } from "effect"
import { Command } from "effect/cli"
import { EmbeddedWarehouse } from "../../warehouse/embedded/EmbeddedWarehouse.ts"
import { announcedPort } from "../CollectorPort.ts"
import type { Check } from "../doctor/Check.ts"
import { dataDirectoryChecks } from "../doctor/DataDirectory.ts"
import { logHealth } from "../doctor/LogHealth.ts"
import { pipelineHealth } from "../doctor/PipelineHealth.ts"
import { portChecks } from "../doctor/PortChecks.ts"
import type { Setting } from "../doctor/SettingsChecks.ts"
import { settings, settingsChecks } from "../doctor/SettingsChecks.ts"
import { versionChecks } from "../doctor/Versions.ts"
import { warehouseHealth } from "../doctor/WarehouseHealth.ts"
import { dataDir, json, print, printJson } from "../Flags.ts"
import { InstallationError, paths } from "../Installation.ts"
import { pipelinesRunning } from "../PipelineOwner.ts"

/** Looks at everything and changes nothing. */
export const doctor = Command.make(
  "doctor",
  { dataDir, json },
  Effect.fn(function*({ dataDir, json }) {
    const { checks: settingChecks, core } = yield* settingsChecks
    const directory = yield* Effect.promise(() => dataDirectoryChecks(dataDir))
    const attached = Option.getOrUndefined(yield* EmbeddedWarehouse.attach(paths(dataDir).warehouse))
    // Before we may start the warehouse ourselves, and take them.
    const ports = yield* portChecks(
      [
        ...(attached === undefined ? [] : [Number(new URL(attached.url).port), attached.tcpPort]),
        announcedPort(dataDir)
      ]
    )
    const warehouse = yield* warehouseHealth(dataDir)
    // After the checkpoints: records come meanwhile, and a checkpoint must not lie behind the end.
    const log = yield* logHealth(dataDir)
    const running = yield* Effect.orElseSucceed(pipelinesRunning(dataDir), () => ({ count: 0, pid: undefined }))
    const pipeline = pipelineHealth(running, log.found, warehouse.checkpoints, core)
    const checks = [
      ...versionChecks(),
      ...settingChecks,
      ...directory,
      ...log.checks,
      ...ports,
      ...warehouse.checks,
      ...pipeline
    ]
    const failed = checks.filter(({ verdict }) => verdict === "FAIL").length
    if (json) yield* printJson({ ok: failed === 0, checks, settings: settings() })
    else yield* print(report(checks, settings()))
    if (failed > 0) return yield* new InstallationError({ message: `${failed} of ${checks.length} checks failed` })
  })
).pipe(Command.withDescription("Check versions, settings, data directory, disk, ports, log, warehouse and pipeline"))

const report = (checks: ReadonlyArray<Check>, settings: ReadonlyArray<Setting>): string => {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const areas = Map.groupBy(checks, ({ area }) => area)
  const lines = [...areas].flatMap(([area, checks]) => [
    area,
    ...checks.map(({ detail, name, verdict }) => `  ${verdict.padEnd(4)}  ${name.padEnd(width)}  ${detail}`),
    ...(area === "settings" ? settings.map(settingLine(Math.max(...settings.map(({ name }) => name.length)))) : [])
  ])
  return lines.join("\n")
}

const settingLine = (width: number) => ({ meaning, name, source, value }: Setting): string =>
  `        ${name.padEnd(width)}  ${value} (${source}): ${meaning}`
