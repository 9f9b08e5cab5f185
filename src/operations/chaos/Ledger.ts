/** What a sender has had acknowledged: where each record lies, what it was, when it was sent and when that was said. */
import { crc32 } from "node:zlib"
import type { NewRecord, Receipt } from "../../log/EventLog.ts"

/** Of one partition, in the order of acknowledgement, which is that of offsets. */
interface PartitionLedger {
  readonly offsets: Array<number>
  readonly checksums: Map<number, number>
  readonly sentAt: Array<number>
  readonly acknowledgedAt: Array<number>
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
      acknowledgedAt: []
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
    return this.#partitions.map(({ acknowledgedAt, offsets }) => {
      let low = 0
      let high = acknowledgedAt.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (acknowledgedAt[middle]! <= time) low = middle + 1
        else high = middle
      }
      return low === 0 ? 0 : offsets[low - 1]! + 1
    })
  }

  /** When the record at an offset, or the next one that we know of, was acknowledged. */
  firstAcknowledgedAt(partition: number, offset: number): number | undefined {
    const { acknowledgedAt, offsets } = this.#partitions[partition]!
    let low = 0
    let high = offsets.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (offsets[middle]! < offset) low = middle + 1
      else high = middle
    }
    return acknowledgedAt[low]
  }
}
