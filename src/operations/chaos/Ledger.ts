/** What a sender has had acknowledged: where each record lies, what it was, when it was sent and when that was said. */
import { crc32 } from "node:zlib"
import type { NewRecord, Receipt } from "../../log/EventLog.ts"

/** Of one partition, in the order of acknowledgement: that of offsets but for appends that wait for other partitions, too. */
interface PartitionLedger {
  readonly offsets: Array<number>
  readonly checksums: Map<number, number>
  readonly sentAt: Array<number>
  readonly acknowledgedAt: Array<number>
  /** The offset after the greatest so far. */
  readonly ends: Array<number>
  /** Places in the order of offsets; made when it is asked for, of so many. */
  sorted: Uint32Array
}

/** One append: epoch ms when it was sent, and how long its acknowledgement took, ms. */
export interface AppendTime {
  readonly sentAt: number
  readonly tookMs: number
}

export class Ledger {
  readonly #partitions: ReadonlyArray<PartitionLedger>
  readonly appends: Array<AppendTime> = []
  #records = 0

  constructor(partitions: number) {
    this.#partitions = Array.from({ length: partitions }, () => ({
      offsets: [],
      checksums: new Map<number, number>(),
      sentAt: [],
      acknowledgedAt: [],
      ends: [],
      sorted: new Uint32Array(0)
    }))
  }

  /** Records that were acknowledged. */
  get records(): number {
    return this.#records
  }

  get partitions(): number {
    return this.#partitions.length
  }

  /** Takes in the receipts of one append, in the order of its records. Times are epoch ms. */
  note(
    records: ReadonlyArray<NewRecord>,
    receipts: ReadonlyArray<Receipt>,
    sentAt: number,
    acknowledgedAt: number
  ): void {
    for (const [i, { offset, partition }] of receipts.entries()) {
      const ledger = this.#partitions[partition]!
      ledger.offsets.push(offset)
      ledger.sentAt.push(sentAt)
      ledger.acknowledgedAt.push(acknowledgedAt)
      ledger.ends.push(Math.max(offset + 1, ledger.ends.at(-1) ?? 0))
      ledger.checksums.set(offset, crc32(records[i]!.value))
    }
    this.#records += receipts.length
    this.appends.push({ sentAt, tookMs: acknowledgedAt - sentAt })
  }

  /** Whether the log has there what was acknowledged; undefined when nothing was acknowledged there. */
  holds(partition: number, offset: number, value: Uint8Array): boolean | undefined {
    const checksum = this.#partitions[partition]!.checksums.get(offset)
    return checksum === undefined ? undefined : checksum === crc32(value)
  }

  /** The first record that was sent after a time, by partition: its offset and when it was acknowledged. */
  firstAfter(time: number): ReadonlyArray<{ readonly offset: number; readonly acknowledgedAt: number } | undefined> {
    return this.#partitions.map(({ acknowledgedAt, offsets, sentAt }) => {
      const at = sentAt.findIndex((each) => each > time)
      return at < 0 ? undefined : { offset: offsets[at]!, acknowledgedAt: acknowledgedAt[at]! }
    })
  }

  /** By partition, the offset after the last one that was acknowledged up to a time. */
  endAt(time: number): ReadonlyArray<number> {
    return this.#partitions.map(({ acknowledgedAt, ends }) => {
      let low = 0
      let high = acknowledgedAt.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (acknowledgedAt[middle]! <= time) low = middle + 1
        else high = middle
      }
      return low === 0 ? 0 : ends[low - 1]!
    })
  }

  /** When the records from one offset to before another were acknowledged, epoch ms. */
  acknowledgedTimes(partition: number, from: number, to: number): ReadonlyArray<number> {
    const { acknowledgedAt } = this.#partitions[partition]!
    const places = this.#byOffset(partition).subarray(this.#rank(partition, from), this.#rank(partition, to))
    return Array.from(places, (place) => acknowledgedAt[place]!)
  }

  /** When the record at an offset, or the next one that we know of, was acknowledged. */
  firstAcknowledgedAt(partition: number, offset: number): number | undefined {
    const place = this.#byOffset(partition)[this.#rank(partition, offset)]
    return place === undefined ? undefined : this.#partitions[partition]!.acknowledgedAt[place]
  }

  #byOffset(partition: number): Uint32Array {
    const ledger = this.#partitions[partition]!
    const { offsets } = ledger
    if (ledger.sorted.length !== offsets.length) {
      ledger.sorted = Uint32Array.from(offsets, (_, place) => place).sort((a, b) => offsets[a]! - offsets[b]!)
    }
    return ledger.sorted
  }

  /** How many records lie before an offset. */
  #rank(partition: number, offset: number): number {
    const { offsets } = this.#partitions[partition]!
    const sorted = this.#byOffset(partition)
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (offsets[sorted[middle]!]! < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
