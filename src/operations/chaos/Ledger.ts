/** What a sender has had acknowledged: where each record lies, what it was, when it was sent and when that was said. */
import { crc32 } from "node:zlib"
import type { NewRecord, Receipt } from "../../log/EventLog.ts"

/**
 * Of one partition, in the order of acknowledgement: that of offsets but for appends that wait for other partitions, too. Records of one
 * append that lie side by side are a run, so that an hour of traffic fits into memory.
 */
interface PartitionLedger {
  /** The first offset of each run, and how many it has. */
  readonly offsets: Array<number>
  readonly counts: Array<number>
  readonly sentAt: Array<number>
  readonly acknowledgedAt: Array<number>
  /** The offset after the greatest so far. */
  readonly ends: Array<number>
  readonly checksums: Map<number, number>
  /** Runs in the order of offsets; made when it is asked for, of so many. */
  sorted: Uint32Array
}

/** One append: epoch ms when it was sent, and how long its acknowledgement took, ms. */
export interface AppendTime {
  readonly sentAt: number
  readonly tookMs: number
}

export class Ledger {
  readonly #partitions: ReadonlyArray<PartitionLedger>
  readonly #withChecksums: boolean
  readonly appends: Array<AppendTime> = []
  #records = 0

  /** @param withChecksums also what each record was, for `holds`; some 50 bytes a record */
  constructor(partitions: number, { withChecksums = true } = {}) {
    this.#withChecksums = withChecksums
    this.#partitions = Array.from({ length: partitions }, () => ({
      offsets: [],
      counts: [],
      sentAt: [],
      acknowledgedAt: [],
      ends: [],
      checksums: new Map<number, number>(),
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
    // Runs that were there before are another append's.
    const begun = this.#partitions.map(({ offsets }) => offsets.length)
    for (const [i, { offset, partition }] of receipts.entries()) {
      const ledger = this.#partitions[partition]!
      const last = ledger.offsets.length - 1
      if (last >= begun[partition]! && offset === ledger.offsets[last]! + ledger.counts[last]!) {
        ledger.counts[last]!++
        ledger.ends[last] = Math.max(offset + 1, ledger.ends[last]!)
      } else {
        ledger.offsets.push(offset)
        ledger.counts.push(1)
        ledger.sentAt.push(sentAt)
        ledger.acknowledgedAt.push(acknowledgedAt)
        ledger.ends.push(Math.max(offset + 1, ledger.ends[last] ?? 0))
      }
      if (this.#withChecksums) ledger.checksums.set(offset, crc32(records[i]!.value))
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
      const after = firstIndex(acknowledgedAt.length, (run) => acknowledgedAt[run]! > time)
      return after === 0 ? 0 : ends[after - 1]!
    })
  }

  /** When the records from one offset to before another were acknowledged, in the order of offsets: epoch ms, and how many then. */
  acknowledged(partition: number, from: number, to: number): ReadonlyArray<readonly [at: number, records: number]> {
    const { acknowledgedAt, counts, offsets } = this.#partitions[partition]!
    const runs = this.#byOffset(partition)
    const found: Array<readonly [number, number]> = []
    for (let i = this.#runAt(partition, from); i < runs.length && offsets[runs[i]!]! < to; i++) {
      const run = runs[i]!
      const end = Math.min(to, offsets[run]! + counts[run]!)
      found.push([acknowledgedAt[run]!, end - Math.max(from, offsets[run]!)])
    }
    return found
  }

  /** When the record at an offset, or the next one that we know of, was acknowledged. */
  firstAcknowledgedAt(partition: number, offset: number): number | undefined {
    const run = this.#byOffset(partition)[this.#runAt(partition, offset)]
    return run === undefined ? undefined : this.#partitions[partition]!.acknowledgedAt[run]
  }

  #byOffset(partition: number): Uint32Array {
    const ledger = this.#partitions[partition]!
    const { offsets } = ledger
    if (ledger.sorted.length !== offsets.length) {
      ledger.sorted = Uint32Array.from(offsets, (_, run) => run).sort((a, b) => offsets[a]! - offsets[b]!)
    }
    return ledger.sorted
  }

  /** Of the runs in the order of offsets, the first that has this one or a later one. */
  #runAt(partition: number, offset: number): number {
    const { counts, offsets } = this.#partitions[partition]!
    const runs = this.#byOffset(partition)
    return firstIndex(runs.length, (i) => offsets[runs[i]!]! + counts[runs[i]!]! > offset)
  }
}

/** The first index from which on something is so, by halving. */
const firstIndex = (length: number, isSo: (index: number) => boolean): number => {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isSo(middle)) high = middle
    else low = middle + 1
  }
  return low
}
