/**
 * Requests to a worker thread and their answers. Callbacks, not promises: one answer is one batch, and it must reach the
 * fiber that waits for it without a detour.
 */
import { Worker } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"
import type { Answer, Envelope, Fault } from "./Protocol.ts"

/** What came back: a value, or why there is none. */
export type Result<Value> = { readonly value: Value; readonly fault?: undefined } | { readonly fault: Fault }

export class WorkerClient<Request> {
  readonly #worker: Worker
  readonly #pending = new Map<number, (result: Result<never>) => void>()
  readonly #exited: Promise<void>
  #lastId = 0
  #gone: Fault | undefined

  constructor(file: URL) {
    this.#worker = new Worker(file)
    this.#worker.on("message", (answer: Answer<never>) => {
      const done = this.#pending.get(answer.id)
      this.#pending.delete(answer.id)
      done?.(answer)
    })
    this.#worker.on("error", (error) => this.#fail(`a thread of the event log failed: ${String(error)}`))
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#fail("the event log is closed")
        resolve()
      })
    })
  }

  /** How many requests have no answer yet. */
  get pending(): number {
    return this.#pending.size
  }

  /** Sends a request; `done` is called once, later. Returns the request's number. */
  send<Value>(
    request: Request,
    done: (result: Result<Value>) => void,
    transfer: ReadonlyArray<Transferable> = []
  ): number {
    const id = ++this.#lastId
    if (this.#gone !== undefined) {
      const fault = this.#gone
      queueMicrotask(() => done({ fault }))
      return id
    }
    this.#pending.set(id, done as (result: Result<never>) => void)
    this.#post({ id, request }, transfer)
    return id
  }

  /** Sends what has no answer. */
  notify(request: Request): void {
    if (this.#gone === undefined) this.#post({ id: 0, request }, [])
  }

  /** Forgets a request: its answer will be ignored. */
  forget(id: number): void {
    this.#pending.delete(id)
  }

  /** Sends the last request and waits until the thread has ended. */
  async close(request: Request): Promise<void> {
    this.notify(request)
    await this.#exited
  }

  #post(envelope: Envelope<Request>, transfer: ReadonlyArray<Transferable>): void {
    this.#worker.postMessage(envelope, transfer)
  }

  #fail(message: string): void {
    this.#gone ??= { message, retryable: false }
    const waiting = [...this.#pending.values()]
    this.#pending.clear()
    for (const done of waiting) done({ fault: this.#gone })
  }
}
