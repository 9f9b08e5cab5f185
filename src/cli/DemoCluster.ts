/** The brokers of a demo on Kafka that was given none: three of its own, whose data stays in the data directory. */
import { Config, ConfigProvider, Effect } from "effect"
import { MissingTools } from "./cluster/Downloads.ts"
import { KafkaCluster } from "./cluster/KafkaCluster.ts"
import { logVariables } from "./Environment.ts"
import { print } from "./Flags.ts"
import { InstallationError, paths } from "./Installation.ts"
import { logKind } from "./LogChoice.ts"

const nodes = 3

/** Runs the work with brokers: those of the environment, or our own, which end with it. */
export const withBrokers = <A, E, R>(dataDirectory: string, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const given = yield* Config.String(logVariables.brokers.name).pipe(Config.withDefault(""))
    if ((yield* logKind) !== "kafka" || given !== "") return yield* work
    yield* print("Starting three Kafka brokers on this machine ...")
    const cluster = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => KafkaCluster.start({ nodes, heapMb: 512, folder: paths(dataDirectory).brokers }),
        catch: (cause) =>
          new InstallationError({
            message: cause instanceof MissingTools ?
              `${cause.message}. Or name brokers that run: ${logVariables.brokers.name}.` :
              `the brokers did not start: ${cause instanceof Error ? cause.message : String(cause)}`
          })
      }),
      (held) => Effect.promise(() => held.stop())
    )
    const brokers = cluster.brokers.join(",")
    yield* print(
      `Kafka at ${brokers}. For commands in another terminal: export GUARDIAN_LOG=kafka ${logVariables.brokers.name}=${brokers}`
    )
    const env = { ...process.env, [logVariables.brokers.name]: brokers }
    return yield* Effect.provideService(work, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  }).pipe(Effect.scoped)
