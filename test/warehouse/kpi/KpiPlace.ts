/** A log of given events, drained into a database with KPIs. */
import { Effect } from "effect"
import { paths } from "../../../src/cli/Installation.ts"
import type { ClickEvent } from "../../../src/domain/ClickEvent.ts"
import { avroSchema } from "../../../src/domain/ClickEvent.ts"
import type { EpochMillis, EventId, VisitorId } from "../../../src/domain/Identifiers.ts"
import type { Price } from "../../../src/domain/Money.ts"
import type { CoreSettings } from "../../../src/domain/Settings.ts"
import { defaultCoreSettings } from "../../../src/domain/Settings.ts"
import { endMarkers } from "../../../src/log/ControlRecords.ts"
import type { NewRecord } from "../../../src/log/EventLog.ts"
import { SchemaRegistry } from "../../../src/log/SchemaRegistry.ts"
import * as SqliteEventLog from "../../../src/log/sqlite/SqliteEventLog.ts"
import { encodeEvent, eventSubject } from "../../../src/log/WireFormat.ts"
import type { CrawlerList } from "../../../src/warehouse/CrawlerList.ts"
import { kpiBacklog, refreshKpis } from "../../../src/warehouse/KpiBacklog.ts"
import { applyReporting } from "../../../src/warehouse/Reporting.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { readKpis } from "../../support/KpiReading.ts"
import { kpisOfLog } from "../../support/KpiTruth.ts"
import type { TruthOptions } from "../../support/KpiTruth.ts"
import { openRegistry } from "../../support/MessyLog.ts"
import { logRecords } from "../../support/OracleCheck.ts"
import type { RunOptions } from "../../support/PipelineRun.ts"
import { runPipeline } from "../../support/PipelineRun.ts"
import { freshWarehouseWithKpis } from "../../support/TemporaryWarehouse.ts"
import { temporaryDirectory } from "../embedded/temporaryDirectory.ts"

export interface KpiPlaceOptions {
  readonly timeZone: string
  readonly settings?: Partial<CoreSettings>
  readonly partitions?: number
  readonly crawlers?: CrawlerList
}

/** What `kpiPlace` makes. */
export type KpiPlace = Effect.Success<ReturnType<typeof kpiPlace>>

/** Later than all events. */
const closedAt = Date.UTC(2030, 0, 1) as EpochMillis

/** So late that no event is ahead of it. */
const appendedAt = Date.UTC(2100, 0, 1) as EpochMillis

export const kpiPlace = Effect.fnUntraced(function*(options: KpiPlaceOptions) {
  const settings = { ...defaultCoreSettings, ...options.settings }
  const dataDirectory = yield* temporaryDirectory
  const registry = yield* openRegistry(dataDirectory)
  const log = yield* SqliteEventLog.make({
    directory: paths(dataDirectory).log,
    partitions: options.partitions ?? 2,
    now: () => appendedAt
  })
  const schemaId = yield* registry.register(eventSubject, avroSchema)
  const warehouse = yield* freshWarehouseWithKpis
  const place = { log, registry, warehouse, settings }
  const inWarehouse = Effect.provideService(Warehouse, warehouse)
  const report = (timeZone: string) => applyReporting({ timeZone }, settings, options.crawlers).pipe(inWarehouse)
  yield* report(options.timeZone)
  return {
    ...place,
    dataDirectory,
    report,
    inWarehouse,
    append: (events: ReadonlyArray<ClickEvent>) =>
      events.length === 0 ? Effect.void : Effect.asVoid(
        log.append(
          events.map((event): NewRecord => ({
            key: event.visitorId,
            value: encodeEvent(schemaId, event),
            headers: {}
          }))
        )
      ),
    drain: (run?: RunOptions) => runPipeline(place, run),
    withRegistry: Effect.provideService(SchemaRegistry, registry),
    /** Time goes on by so much that every session is closed and every day final. */
    close: Effect.andThen(log.append(endMarkers(log.partitions, closedAt)), Effect.suspend(() => runPipeline(place))),
    /** The KPIs when everything is taken in. */
    settled: refreshKpis.pipe(
      Effect.timeoutOrElse({
        duration: "170 seconds",
        orElse: () => Effect.flatMap(kpiBacklog, (waits) => Effect.die(new Error(`still: ${JSON.stringify(waits)}`)))
      }),
      Effect.andThen(readKpis(warehouse)),
      inWarehouse
    ),
    truth: (truth: Omit<TruthOptions, "settings">) =>
      Effect.map(logRecords(place), (log) => kpisOfLog(log, { settings, ...truth }))
  }
})

/** An event with what matters, and nothing else. */
export const click = (
  visitorId: string,
  eventTs: number,
  more: Partial<Omit<ClickEvent, "visitorId" | "eventTs" | "price">> & { readonly price?: number } = {}
): ClickEvent => ({
  eventId: `${visitorId}-${eventTs}-${more.eventType ?? "view"}-${more.itemId ?? ""}` as EventId,
  eventType: "view",
  itemId: "",
  category: "",
  currency: "",
  quantity: 1,
  url: "",
  referrer: "",
  userAgent: "",
  properties: {},
  truncated: false,
  ...more,
  price: (more.price ?? 0) as Price,
  visitorId: visitorId as VisitorId,
  eventTs: eventTs as EpochMillis
})
