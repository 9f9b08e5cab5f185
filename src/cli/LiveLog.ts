/**
 * Whether a data directory's log gets live traffic. Only then does whoever processes it append heartbeats: they tie the watermark to
 * the clock, and history that is imported later would be late.
 */
import { Effect, Schedule } from "effect"
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { heartbeats } from "../log/ControlRecords.ts"
import { EventLog } from "../log/EventLog.ts"
import { InstallationError, paths } from "./Installation.ts"

const every = "1 minute"

/** Says that live traffic goes into this log from now on. */
export const markLive = (dataDirectory: string): Effect.Effect<void, InstallationError> =>
  Effect.tryPromise({
    try: async () => {
      const { live, root } = paths(dataDirectory)
      await mkdir(root, { recursive: true })
      if (!existsSync(live)) await writeFile(live, "Live traffic goes into this log: it gets heartbeats.\n")
    },
    catch: (cause) => new InstallationError({ message: `cannot mark ${dataDirectory} as live: ${String(cause)}` })
  })

/** Appends a heartbeat to every partition each minute, as long as the log is marked live. A log that cannot is waited for. */
export const beat = (dataDirectory: string): Effect.Effect<never, never, EventLog> =>
  Effect.gen(function*() {
    if (!existsSync(paths(dataDirectory).live)) return
    const log = yield* EventLog
    yield* log.append(heartbeats(log.partitions))
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`no heartbeat: ${error.message}`)),
    Effect.repeat(Schedule.spaced(every)),
    Effect.andThen(Effect.never)
  )
