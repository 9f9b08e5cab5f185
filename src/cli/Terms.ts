/** Which partitions this process runs the pipeline over, as the group says. */
import { Deferred, Effect, Fiber } from "effect"
import { randomUUID } from "node:crypto"
import type { Partition } from "../domain/Identifiers.ts"
import type { Assignment, PartitionGroup } from "../log/PartitionGroup.ts"
import type { PipelineStatus } from "../pipeline/PipelineStatus.ts"
import { waitedOut } from "../pipeline/WaitingOut.ts"
import { StateStore } from "../warehouse/StateStore.ts"

export interface TermsOptions<E, R> {
  readonly group: PartitionGroup
  readonly status: PipelineStatus
  /** Ends it. */
  readonly stop: Deferred.Deferred<void>
  /** A run over partitions; ends, with what it has read flushed, when its `stop` is done. */
  readonly once: (
    stop: Deferred.Deferred<void>,
    runId: string,
    partitions: ReadonlyArray<Partition>
  ) => Effect.Effect<void, E, R>
}

/**
 * When partitions change hands, what was read is flushed, and the next run begins at the checkpoints of the partitions that are ours
 * then. Who was out of the group for a while (frozen, or the coordinator was) and gets the same partitions back goes on with what it knows
 * when nobody else has written checkpoints of them: reading all of it back would take longer than the absence.
 */
export const inTerms = Effect.fnUntraced(function*<E, R>({ group, once, status, stop }: TermsOptions<E, R>) {
  const stopped = Deferred.await(stop)
  const next = (term: number) => Effect.raceFirst(group.after(term), Effect.as(stopped, undefined))
  for (let assignment = yield* next(0); assignment !== undefined;) {
    const { partitions, term } = assignment
    yield* Effect.logInfo(`partitions of this process: ${partitions.length === 0 ? "none" : partitions.join(", ")}`)
    if (partitions.length === 0) {
      status.state = "idle"
      assignment = yield* next(term)
      continue
    }
    const runId = randomUUID()
    const stopTerm = yield* Deferred.make<void>()
    const fiber: Fiber.Fiber<void, E> = yield* Effect.forkChild(once(stopTerm, runId, partitions))
    const ended = Effect.andThen(Fiber.join(fiber), Effect.never)
    assignment = yield* Effect.raceFirst(nextOther(next, { partitions, term }, runId), ended)
    yield* Deferred.succeed(stopTerm, undefined)
    yield* Fiber.join(fiber)
  }
})

/** The next assignment that the run cannot go on under. */
const nextOther = Effect.fnUntraced(function*(
  next: (term: number) => Effect.Effect<Assignment | undefined>,
  assignment: Assignment,
  runId: string
) {
  const { checkpoints } = yield* StateStore
  for (let { term } = assignment;;) {
    const following = yield* next(term)
    if (following === undefined || following.partitions.join() !== assignment.partitions.join()) return following
    const stored = yield* waitedOut(checkpoints)
    const isAnothers = stored.some((each) => assignment.partitions.includes(each.partition) && each.runId !== runId)
    if (isAnothers) return following
    yield* Effect.logInfo("the same partitions as before, and nobody else has had them: going on")
    term = following.term
  }
})
