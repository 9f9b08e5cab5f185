/** Refuses a consumer group whose pipelines write to another database: each of the two would get a part of the events. */
import { Effect } from "effect"
import type { GroupOptions } from "../log/kafka/GroupMembership.ts"
import * as GroupMembership from "../log/kafka/GroupMembership.ts"
import { waitedOut } from "../pipeline/WaitingOut.ts"
import { StateStore } from "../warehouse/StateStore.ts"
import { logVariables } from "./Environment.ts"
import { InstallationError } from "./Installation.ts"

/** A start behind a fault must not wait for a coordinator that is away. */
const answeredWithin = "2 seconds"
/** ClickHouse: no such table, no such database. */
const missingCodes = new Set([60, 81])

/**
 * A commit follows the checkpoint in the same database. So what a running group has committed beyond our checkpoints, read afterwards, is
 * in another one. Brokers that are away are not waited for here: joining the group waits for them.
 */
export const refuseForeignGroup = Effect.fnUntraced(function*(options: GroupOptions) {
  const group = yield* Effect.promise(() => GroupMembership.groupState(options).catch(() => undefined)).pipe(
    Effect.timeoutOrElse({ duration: answeredWithin, orElse: () => Effect.succeed(undefined) })
  )
  if (group === undefined || group.members === 0) return
  const { checkpoints } = yield* StateStore
  const stored = yield* waitedOut(checkpoints).pipe(
    Effect.catchIf(({ code }) => missingCodes.has(code), () => Effect.succeed([]))
  )
  for (const [partition, committed] of group.committed) {
    const own = stored.find((checkpoint) => checkpoint.partition === partition)?.position.offset ?? 0
    if (committed <= own) continue
    return yield* new InstallationError({
      message:
        `group ${options.groupId} is at work for another database (pipelines running: ${group.members}): there ` +
        `partition ${partition} is done up to ${committed}, this database goes on at ${own}. To share the work, use the ` +
        "same --data-dir, or the same ClickHouse by GUARDIAN_CLICKHOUSE_URL; to process the log into this database as " +
        `well, set ${logVariables.group.name} to a group of its own`
    })
  }
})
