/**
 * From append to visible, measured from outside: the end of the log is noted again and again, and the time until the warehouse's
 * checkpoint has passed it. So what is told is never better than the truth, and worse by up to two looks.
 */
import { Clock, Effect, Layer, Metric, Schedule } from "effect"
import { ApiSources } from "./ApiSources.ts"
import { ask } from "./Question.ts"

export const visibleSeconds = Metric.histogram("guardian_append_to_visible_seconds", {
  description: "From append to visible in the warehouse, s; looked at twice a second",
  boundaries: [0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300]
})

const lookEvery = "500 millis"
/** Ends that are waited for in a partition; while so many wait no more are noted. */
const notesMax = 1_200

interface Note {
  readonly end: number
  readonly at: number
}

/** Notes ends and tells how long those took that are passed now. */
export class EndsWaitedFor {
  private readonly notes = new Map<number, Array<Note>>()

  /** The first look only says where the log ended before anyone watched. */
  private readonly seen = new Map<number, number>()

  note(partition: number, end: number, at: number): void {
    const before = this.seen.get(partition)
    this.seen.set(partition, end)
    if (before === undefined || end <= before) return
    const notes = this.notes.get(partition) ?? []
    if (notes.length < notesMax) notes.push({ end, at })
    this.notes.set(partition, notes)
  }

  /** How long the ends at or before `offset` were waited for, ms. */
  passed(partition: number, offset: number, now: number): ReadonlyArray<number> {
    const notes = this.notes.get(partition) ?? []
    const waiting = notes.findIndex(({ end }) => end > offset)
    return notes.splice(0, waiting < 0 ? notes.length : waiting).map(({ at }) => now - at)
  }
}

const offsetsSql = "SELECT partition, offset AS next FROM newest_checkpoints"

/** Looks as long as the layer lives, where the log is at hand. */
export const visibleLatencyLayer: Layer.Layer<never, never, ApiSources> = Layer.effectDiscard(Effect.gen(function*() {
  const waited = new EndsWaitedFor()
  const look = Effect.gen(function*() {
    const ranges = yield* ApiSources.use(({ logRanges }) => logRanges)
    if (ranges === undefined) return
    const notedAt = yield* Clock.currentTimeMillis
    ranges.forEach(({ end }, partition) => waited.note(partition, end, notedAt))
    const offsets = yield* ask<{ readonly partition: number; readonly next: number }>(offsetsSql)
    const now = yield* Clock.currentTimeMillis
    for (const { next, partition } of offsets) {
      for (const ms of waited.passed(partition, next, now)) yield* Metric.update(visibleSeconds, ms / 1_000)
    }
  })
  yield* look.pipe(
    Effect.catch((error) => Effect.logDebug(`latency is not measured now: ${error.message}`)),
    Effect.repeat(Schedule.spaced(lookEvery)),
    Effect.forkScoped
  )
}))
