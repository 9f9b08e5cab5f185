/** What a serving process says of its pipeline now and then. */
import { Effect } from "effect"
import { EventLog } from "../log/EventLog.ts"
import type { PipelineStatus } from "../pipeline/PipelineStatus.ts"

/** Never fails: that the log cannot say its end just now must end nothing. */
export const statusLine = (status: PipelineStatus): Effect.Effect<string, never, EventLog> =>
  Effect.gen(function*() {
    const end = yield* Effect.match((yield* EventLog).ranges, {
      onSuccess: (ranges) => String(ranges.reduce((sum, range) => sum + range.end, 0)),
      onFailure: ({ message }) => `so far unknown (${message})`
    })
    const { counts } = status
    return `${status.state}${status.waitingFor === "" ? "" : ` for ${status.waitingFor}`}: ${status.passed} of ` +
      `${end} records of the log; ${counts.received} received, ${counts.accepted} accepted, ${counts.duplicate} duplicate, ${counts.late} late, ` +
      `${counts.rejected} rejected, ${counts.deadLettered} dead-lettered in its partitions`
  })
