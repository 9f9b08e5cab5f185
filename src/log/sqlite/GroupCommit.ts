/**
 * Gathers the records of concurrent appends into groups, one transaction each: a commit costs about the same for one record
 * and for a thousand. A group is sent when it is due (age or size) and fewer than `commitsMax` are under way; what arrives
 * meanwhile makes the next group bigger, so the log speeds up under load instead of queueing.
 *
 * Calls are served in their order. A full queue leaves the rest of a call where it is, in the caller's hands.
 */
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { NewRecord, Receipt } from "../EventLog.ts"
import { partitionOf } from "../Partitioner.ts"
import { FrameWriter } from "./Frame.ts"
import type { CommitRequest, Committed, Fault, NewFrame } from "./Protocol.ts"
import type { Result } from "./WorkerClient.ts"

/** A group is sent at the latest this long after its first record came, ms. */
export const groupMs = 5
/** A group of this many records is sent at once. */
export const groupRecords = 1_000
/** A group takes no more records when it has this many bytes: then appends wait. */
export const groupBytesMax = 16 * 1024 * 1024
/** Groups under way to the disk at once. */
export const commitsMax = 2
/** A stored batch is closed at this size, so that reading from its middle stays cheap, bytes. */
export const frameBytesMax = 1024 * 1024

type MutableReceipt = { -readonly [Key in keyof Receipt]: Receipt[Key] }

/** One append on its way: records from `next` on are not yet in a group. */
interface Call {
  readonly records: ReadonlyArray<NewRecord>
  readonly receipts: Array<MutableReceipt>
  next: number
  confirmed: number
  done: ((result: Result<ReadonlyArray<Receipt>>) => void) | undefined
}

/** The records of a call that one group holds. */
interface Share {
  readonly call: Call
  readonly from: number
  readonly to: number
}

export class GroupCommit {
  readonly #partitions: number
  readonly #now: () => number
  readonly #send: (request: CommitRequest, done: (result: Result<Committed>) => void) => void
  readonly #calls: Array<Call> = []
  #group: Group
  #underWay = 0
  #due: NodeJS.Timeout | undefined
  #isDue = false
  #onIdle: (() => void) | undefined

  constructor(options: {
    readonly partitions: number
    readonly now: () => number
    readonly send: (request: CommitRequest, done: (result: Result<Committed>) => void) => void
  }) {
    this.#partitions = options.partitions
    this.#now = options.now
    this.#send = options.send
    this.#group = new Group(options.partitions)
  }

  /** Appends; `done` is called once, unless the returned function was called before: then what is in no group yet stays out. */
  append(records: ReadonlyArray<NewRecord>, done: (result: Result<ReadonlyArray<Receipt>>) => void): () => void {
    const call: Call = { records, receipts: [], next: 0, confirmed: 0, done }
    this.#calls.push(call)
    this.#pump()
    return () => this.#drop(call)
  }

  /** Resolves when every append so far has been answered. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve
      this.#pump()
    })
  }

  #pump(): void {
    for (;;) {
      this.#fill()
      if (!this.#mustSend()) break
      this.#commit()
    }
    if (this.#group.records > 0) {
      this.#due ??= setTimeout(() => {
        this.#isDue = true
        this.#pump()
      }, groupMs)
    } else if (this.#underWay === 0 && this.#calls.length === 0) this.#onIdle?.()
  }

  #fill(): void {
    const group = this.#group
    while (this.#calls.length > 0 && group.bytes < groupBytesMax) {
      const call = this.#calls[0]!
      const from = call.next
      group.fill(call, this.#partitions)
      group.shares.push({ call, from, to: call.next })
      if (call.next === call.records.length) this.#calls.shift()
    }
  }

  #mustSend(): boolean {
    const { bytes, records } = this.#group
    if (records === 0 || this.#underWay === commitsMax) return false
    return this.#isDue || records >= groupRecords || bytes >= groupBytesMax || this.#onIdle !== undefined
  }

  #commit(): void {
    const group = this.#group
    this.#group = new Group(this.#partitions, group)
    clearTimeout(this.#due)
    this.#due = undefined
    this.#isDue = false
    this.#underWay++
    this.#send({ kind: "commit", appendedAt: this.#now(), frames: group.frames() }, (result) => {
      this.#underWay--
      for (const share of group.shares) {
        if (result.fault === undefined) this.#confirm(share, result.value)
        else this.#refuse(share.call, result.fault)
      }
      this.#pump()
    })
  }

  #confirm({ call, from, to }: Share, committed: Committed): void {
    if (call.done === undefined) return
    for (let i = from; i < to; i++) {
      const receipt = call.receipts[i]!
      const { partition } = receipt
      receipt.offset = (receipt.offset + committed.base[partition]!) as Offset
      receipt.appendedAt = committed.appendedAt[partition]! as EpochMillis
    }
    call.confirmed += to - from
    if (call.confirmed === call.records.length) call.done({ value: call.receipts })
  }

  #refuse(call: Call, fault: Fault): void {
    const { done } = call
    this.#drop(call)
    done?.({ fault })
  }

  #drop(call: Call): void {
    call.done = undefined
    const at = this.#calls.indexOf(call)
    if (at >= 0) this.#calls.splice(at, 1)
  }
}

/** Records of one coming transaction, per partition in frames of bounded size. */
class Group {
  records = 0
  bytes = 0
  readonly shares: Array<Share> = []
  readonly #open: Array<FrameWriter | undefined>
  readonly #closed: Array<NewFrame> = []
  /** Records so far, by partition. */
  readonly #counts: Array<number>
  /** Bytes that the last group's frames had: what to make room for. */
  readonly #expected: number

  constructor(partitions: number, previous?: Group) {
    this.#open = Array.from({ length: partitions }, () => undefined)
    this.#counts = Array.from({ length: partitions }, () => 0)
    this.#expected = previous === undefined ?
      1024 :
      Math.min(frameBytesMax, Math.max(1024, Math.ceil(1.25 * previous.bytes / partitions)))
  }

  /** Takes records of a call until it is through or the group is full. */
  fill(call: Call, partitions: number): void {
    const { receipts, records } = call
    let { next } = call
    while (next < records.length && this.bytes < groupBytesMax) {
      const record = records[next]!
      const partition = partitionOf(record.key, partitions)
      const frame = this.#open[partition] ??= new FrameWriter(this.#expected)
      const before = frame.length
      frame.add(record.key, record.value, record.headers)
      this.bytes += frame.length - before
      if (frame.length >= frameBytesMax) this.#close(partition, frame)
      receipts[next++] = { partition, offset: this.#counts[partition]! as Offset, appendedAt: 0 as EpochMillis }
      this.#counts[partition]!++
    }
    this.records += next - call.next
    call.next = next
  }

  frames(): ReadonlyArray<NewFrame> {
    for (let partition = 0; partition < this.#open.length; partition++) {
      const frame = this.#open[partition]
      if (frame !== undefined) this.#close(partition as Partition, frame)
    }
    return this.#closed
  }

  #close(partition: Partition, frame: FrameWriter): void {
    this.#closed.push({ partition, count: frame.count, bytes: frame.take(), length: frame.length })
    this.#open[partition] = undefined
  }
}
