/** States of sessions that changed, by columns of one length: copies, since the sessions go on changing while they are written. */
import type { EpochMillis, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { NumberColumn } from "./NumberColumn.ts"
import { TextColumn } from "./TextColumn.ts"

export class SessionRows {
  readonly sessionId = new TextColumn()
  readonly visitorId = new TextColumn()
  readonly startedAt = new NumberColumn()
  readonly endedAt = new NumberColumn()
  /** event_ts of the opening event: the time in the id. */
  readonly openedAt = new NumberColumn()
  readonly events = new NumberColumn()
  readonly clicks = new NumberColumn()
  readonly carts = new NumberColumn()
  readonly purchases = new NumberColumn()
  readonly uniqueItems = new NumberColumn()
  readonly revenue: Array<bigint> = []
  /** By currency code: a row has one possible content, in whatever order purchases came. */
  readonly revenueByCurrency: Array<ReadonlyMap<string, bigint>> = []
  readonly entryUrl = new TextColumn()
  readonly exitUrl = new TextColumn()
  readonly firstReferrer = new TextColumn()
  readonly userAgent = new TextColumn()
  readonly version = new NumberColumn()

  get length(): number {
    return this.revenue.length
  }

  /** Empties it; its memory stays for the next rows. */
  clear(): void {
    for (const column of Object.values(this)) {
      if (Array.isArray(column)) column.length = 0
      else (column as NumberColumn | TextColumn).clear()
    }
  }

  /** The rows as objects: for those who look at sessions one by one. */
  *[Symbol.iterator](): Iterator<SessionRow> {
    const texts = [this.sessionId, this.visitorId, this.entryUrl, this.exitUrl, this.firstReferrer, this.userAgent]
      .map((column) => [...column])
    for (let i = 0; i < this.length; i++) {
      yield {
        id: texts[0]![i]! as SessionId,
        visitorId: texts[1]![i]! as VisitorId,
        startedAt: this.startedAt.values[i]! as EpochMillis,
        endedAt: this.endedAt.values[i]! as EpochMillis,
        events: this.events.values[i]!,
        clicks: this.clicks.values[i]!,
        carts: this.carts.values[i]!,
        purchases: this.purchases.values[i]!,
        uniqueItems: this.uniqueItems.values[i]!,
        revenue: this.revenue[i]!,
        revenueByCurrency: this.revenueByCurrency[i]!,
        entryUrl: texts[2]![i]!,
        exitUrl: texts[3]![i]!,
        firstReferrer: texts[4]![i]!,
        userAgent: texts[5]![i]!,
        version: this.version.values[i]!
      }
    }
  }
}

/** One state of a session. */
export interface SessionRow {
  readonly id: SessionId
  readonly visitorId: VisitorId
  readonly startedAt: EpochMillis
  readonly endedAt: EpochMillis
  readonly events: number
  readonly clicks: number
  readonly carts: number
  readonly purchases: number
  readonly uniqueItems: number
  /** Ten-thousandths of the reporting currency. */
  readonly revenue: bigint
  readonly revenueByCurrency: ReadonlyMap<string, bigint>
  readonly entryUrl: string
  readonly exitUrl: string
  readonly firstReferrer: string
  readonly userAgent: string
  /** Offset of the last record that changed it + 1. */
  readonly version: number
}
