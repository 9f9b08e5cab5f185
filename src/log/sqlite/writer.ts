/**
 * The thread that writes: one transaction per commit request, so the main thread never waits for the disk.
 */
import { parentPort } from "node:worker_threads"
import { crc32 } from "node:zlib"
import { faultOf, inTransaction, LogFault, openDatabase } from "./Database.ts"
import type { OpenDatabase } from "./Database.ts"
import type { Answer, CommitRequest, Committed, Envelope, Trimmed, WriterRequest } from "./Protocol.ts"

/** Pages of the write-ahead log at which a commit copies it into the file: 8 MiB. */
const checkpointPages = 512
/** Most a single retention step deletes, so that appends get their turn. */
const trimBytesMax = 32 * 1024 * 1024
const trimRowsMax = 2_000
/** Pages given back to the file system in one retention step. */
const vacuumPagesMax = 512
/** Free pages up to this share of the file stay for the next appends. */
const freeShareKept = 1 / 8

const port = parentPort!

class Writer {
  readonly #db: OpenDatabase
  readonly #select
  readonly #insert
  readonly #update
  readonly #oldest
  readonly #delete
  readonly #first
  readonly #move

  constructor(db: OpenDatabase) {
    this.#db = db
    const { sqlite } = db
    sqlite.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`)
    this.#select = sqlite.prepare(
      "SELECT next_offset, last_appended_at FROM partitions WHERE partition = ?"
    )
    this.#insert = sqlite.prepare(
      "INSERT INTO batches (partition, base_offset, count, appended_at, crc32, bytes) VALUES (?, ?, ?, ?, ?, ?)"
    )
    this.#update = sqlite.prepare(
      "UPDATE partitions SET next_offset = ?, last_appended_at = ? WHERE partition = ?"
    )
    this.#oldest = sqlite.prepare(`
      SELECT id, count, length(bytes) AS size, appended_at FROM batches
      WHERE partition = ? ORDER BY base_offset LIMIT ${trimRowsMax}
    `)
    this.#delete = sqlite.prepare("DELETE FROM batches WHERE id = ?")
    this.#first = sqlite.prepare("SELECT min(base_offset) AS first FROM batches WHERE partition = ?")
    this.#move = sqlite.prepare(
      "UPDATE partitions SET start_offset = coalesce(?, next_offset) WHERE partition = ?"
    )
  }

  commit(request: CommitRequest): Committed {
    this.#db.checkPresent()
    const base = new Float64Array(this.#db.partitions).fill(-1)
    const next = new Float64Array(this.#db.partitions)
    const appendedAt = new Float64Array(this.#db.partitions)
    inTransaction(this.#db.sqlite, () => {
      for (const frame of request.frames) {
        const { partition } = frame
        if (base[partition] === -1) {
          const row = this.#select.get(partition) as { next_offset: number; last_appended_at: number }
          base[partition] = row.next_offset
          next[partition] = row.next_offset
          appendedAt[partition] = Math.max(row.last_appended_at, request.appendedAt)
        }
        const bytes = new Uint8Array(frame.bytes, 0, frame.length)
        this.#insert.run(partition, next[partition]!, frame.count, appendedAt[partition]!, crc32(bytes), bytes)
        next[partition]! += frame.count
      }
      for (let partition = 0; partition < base.length; partition++) {
        if (base[partition] !== -1) this.#update.run(next[partition]!, appendedAt[partition]!, partition)
      }
    })
    return { base, appendedAt }
  }

  /** One step: deletes some old batches; when none are left, gives some free pages back. */
  trim(before: number): Trimmed {
    this.#db.checkPresent()
    let records = 0
    let rows = 0
    let bytes = 0
    inTransaction(this.#db.sqlite, () => {
      for (let partition = 0; partition < this.#db.partitions; partition++) {
        if (rows >= trimRowsMax || bytes >= trimBytesMax) return
        const rowsBefore = rows
        for (const row of this.#oldest.all(partition) as unknown as Array<OldRow>) {
          if (row.appended_at >= before || rows >= trimRowsMax || bytes >= trimBytesMax) break
          this.#delete.run(row.id)
          rows++
          records += row.count
          bytes += row.size
        }
        if (rows > rowsBefore) {
          const { first } = this.#first.get(partition) as { first: number | null }
          this.#move.run(first, partition)
        }
      }
    })
    return { records, more: rows > 0 || this.#vacuum() }
  }

  #vacuum(): boolean {
    const { sqlite } = this.#db
    const { freelist_count: free } = sqlite.prepare("PRAGMA freelist_count").get() as { freelist_count: number }
    const { page_count: pages } = sqlite.prepare("PRAGMA page_count").get() as { page_count: number }
    const surplus = Math.floor(free - pages * freeShareKept)
    if (surplus <= 0) return false
    sqlite.exec(`PRAGMA incremental_vacuum(${Math.min(surplus, vacuumPagesMax)})`)
    return true
  }

  close(): void {
    this.#db.sqlite.close()
  }
}

interface OldRow {
  readonly id: number
  readonly count: number
  readonly size: number
  readonly appended_at: number
}

let writer: Writer | undefined

const answer = (request: WriterRequest): unknown => {
  if (request.kind === "open") {
    const db = openDatabase(request)
    writer = new Writer(db)
    return { logId: db.logId, partitions: db.partitions }
  }
  if (request.kind === "close") {
    writer?.close()
    port.close()
    return undefined
  }
  if (writer === undefined) throw new LogFault({ message: "the log is not open", retryable: false })
  return request.kind === "commit" ? writer.commit(request) : writer.trim(request.before)
}

const doing = {
  open: "open the event log",
  commit: "append to the event log",
  trim: "trim the event log",
  close: "close the event log"
}

port.on("message", ({ id, request }: Envelope<WriterRequest>) => {
  let reply: Answer<unknown>
  try {
    reply = { id, value: answer(request) }
  } catch (error) {
    reply = { id, fault: faultOf(error, doing[request.kind]) }
  }
  port.postMessage(reply)
})
