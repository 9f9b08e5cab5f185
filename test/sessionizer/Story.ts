/** Tells a core one record after the other and keeps what came of it: outcomes, sessions, tombstones, findings. */
import { fromJson } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent, EventJson } from "../../src/domain/ClickEvent.ts"
import type { EventBatch } from "../../src/domain/EventBatch.ts"
import type { Offset, Partition, SessionId } from "../../src/domain/Identifiers.ts"
import type { OutcomeCounts } from "../../src/domain/Outcome.ts"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import type { Tombstone } from "../../src/sessionizer/Changes.ts"
import type { Finding } from "../../src/sessionizer/Finding.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import type { SessionRow } from "../../src/sessionizer/SessionRows.ts"
import { decodedBatch, encoded } from "../support/EventBatches.ts"

/** Times of a story are counted from here: midnight UTC, where windows of every length begin. */
export const dawn = Date.UTC(2026, 0, 1)
export const second = 1_000
export const minute = 60_000
export const day = 86_400_000

/** What a record says; the rest is made up: a view by "ann", with an id of its own, appended when it happened or later. */
export interface Told {
  /** ms after dawn */
  readonly at: number
  readonly visitor?: string
  readonly id?: string
  readonly type?: string
  readonly item?: string
  readonly price?: string
  readonly currency?: string
  readonly quantity?: number
  readonly url?: string
  /** ms after dawn; at least as late as the latest so far, unless said */
  readonly appendedAt?: number
}

export const makeEvent = (told: Told, number: number): ClickEvent => {
  const json = {
    event_id: told.id ?? `event-${number}`,
    visitor_id: told.visitor ?? "ann",
    event_ts: dawn + told.at,
    event_type: told.type ?? "view",
    ...(told.item !== undefined && { item_id: told.item }),
    ...(told.price !== undefined && { price: told.price }),
    ...(told.currency !== undefined && { currency: told.currency }),
    ...(told.quantity !== undefined && { quantity: told.quantity }),
    ...(told.url !== undefined && { url: told.url })
  }
  return fromJson(json as EventJson)
}

export const makeBatch = (
  events: ReadonlyArray<ClickEvent>,
  from: number,
  appendedAt: ReadonlyArray<number>
): EventBatch =>
  decodedBatch(0, events.map((event, i) => ({ offset: from + i, appendedAt: appendedAt[i]!, value: encoded(event) })))

export class Story {
  readonly core: PartitionCore
  readonly tombstones: Array<Tombstone> = []
  /** Each state of a finding that would become a row, one flush per record. */
  readonly findings: Array<
    Pick<Finding, "clicks" | "foundAtOffset" | "standing" | "version" | "windowStart"> & { readonly rule: string }
  > = []
  readonly #sessions = new Map<SessionId, SessionRow>()
  #latest = 0

  constructor(settings: Partial<CoreSettings> = {}) {
    this.core = new PartitionCore(
      0 as Partition,
      { ...defaultCoreSettings, ...settings },
      startPosition(0 as Offset)
    )
  }

  /** The outcome of each record. */
  tell(...records: ReadonlyArray<Told>): ReadonlyArray<keyof OutcomeCounts> {
    return records.map((told) => {
      const before = { ...this.core.counts }
      this.#latest = Math.max(this.#latest, told.at)
      const offset = this.core.nextOffset
      this.core.step(makeBatch([makeEvent(told, offset)], offset, [dawn + (told.appendedAt ?? this.#latest)]))
      const changes = this.core.takeChanges()
      for (const session of changes.sessions) this.#sessions.set(session.id, session)
      for (const { absorbedId } of changes.tombstones) this.#sessions.delete(absorbedId)
      this.tombstones.push(...changes.tombstones)
      for (const { clicks, foundAtOffset, rule, standing, version, windowStart } of changes.findings) {
        this.findings.push({ rule: rule.name, clicks, foundAtOffset, standing, version, windowStart })
      }
      return outcomes.find((outcome) => this.core.counts[outcome] > before[outcome])!
    })
  }

  /** Sessions that live, in time order. */
  get sessions(): ReadonlyArray<SessionRow> {
    return [...this.#sessions.values()].sort((a, b) => a.startedAt - b.startedAt)
  }

  /** Start and end of each living session, ms after dawn. */
  get ranges(): ReadonlyArray<readonly [start: number, end: number]> {
    return this.sessions.map(({ endedAt, startedAt }) => [startedAt - dawn, endedAt - dawn])
  }

  /** ms after dawn */
  get watermark(): number {
    return this.core.position.watermark - dawn
  }
}

const outcomes = ["accepted", "duplicate", "late", "rejected", "deadLettered"] as const
