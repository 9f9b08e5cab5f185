/**
 * An installation that runs under docker compose, broken from its host. Which container is what says where it is reached: the one
 * that publishes a broker's advertised port is that broker. So log, warehouse and containers that do not belong together are found
 * out before anything is sent, and nobody relies on the numbers that brokers give themselves.
 */
import { Config, Effect, Layer, Schedule } from "effect"
import { ClusterView } from "../../log/kafka/ClusterView.ts"
import * as KafkaEventLog from "../../log/kafka/KafkaEventLog.ts"
import { clientConfig } from "../../log/kafka/KafkaSettings.ts"
import type { TopicMetadata } from "../../log/kafka/Requests.ts"
import * as HttpSchemaRegistry from "../../log/registry/HttpSchemaRegistry.ts"
import type { FaultName } from "../../operations/chaos/Faults.ts"
import * as ClickHouseWarehouse from "../../warehouse/ClickHouseWarehouse.ts"
import { checkpoints } from "../Checkpoints.ts"
import type { Variable } from "../Environment.ts"
import { logVariables, serverVariables, SettingsError } from "../Environment.ts"
import { externalWarehouse } from "../ExternalWarehouse.ts"
import { InstallationError } from "../Installation.ts"
import { httpRegistry, kafkaLog } from "../LogChoice.ts"
import type { ChaosPlace, ChaosStage, Part } from "./ChaosStage.ts"
import { ComposeProject } from "./ComposeProject.ts"
import type { ComposeProjectOptions, Container } from "./ComposeProject.ts"

/** The service whose containers process the log, as in docker/compose.yaml. */
const pipelineService = "pipeline"
/** One a second. */
const readyLooksMax = 180
const zombiePipelines = 2

/** Where the installation is reached from here. */
export const composeEnvironment = Effect.gen(function*() {
  const given = (variable: Variable) =>
    Config.String(variable.name).pipe(
      Config.withDefault(""),
      Effect.mapError((error) => new SettingsError({ message: error.message }))
    )
  const needed = [logVariables.brokers, logVariables.registryUrl, serverVariables.url, serverVariables.writerPassword]
  const missing: Array<string> = []
  for (const variable of needed) if ((yield* given(variable)) === "") missing.push(variable.name)
  const registry = yield* httpRegistry
  const warehouse = yield* externalWarehouse
  if (missing.length > 0 || registry === undefined || warehouse === undefined) {
    return yield* new SettingsError({
      message:
        `chaos --compose reaches the installation from this host: set ${
          missing.join(", ")
        }. For docker/compose.yaml: ` +
        "GUARDIAN_KAFKA_BROKERS=localhost:19092,localhost:29092,localhost:39092 GUARDIAN_REGISTRY_URL=http://localhost:18081 " +
        "GUARDIAN_CLICKHOUSE_URL=http://localhost:8123 and, as in .env, GUARDIAN_CLICKHOUSE_WRITER_PASSWORD"
    })
  }
  return { kafka: { ...yield* kafkaLog(null), tell: () => undefined }, registry, warehouse }
})

export type ComposeEnvironment = Effect.Success<typeof composeEnvironment>

/** What whoever did not say --yes is told. */
export const consentText = ({ kafka, warehouse }: ComposeEnvironment, records: number): string =>
  `chaos --compose sends about ${records.toLocaleString("en")} made-up events into topic ${kafka.topic} at ` +
  `${
    kafka.brokers.join(", ")
  } and kills or freezes containers. The events stay: in that log, in the database at ${warehouse.url} and ` +
  "in its KPIs, beside what is there; history that is imported later counts as late. Where that may be, say --yes"

/** Parts of the installation, by containers. */
interface Roles {
  readonly brokers: ReadonlyMap<number, Container>
  readonly pipelines: ReadonlyArray<Container>
  readonly warehouse: Container
  readonly registry: Container
}

export const composeStage = Effect.fnUntraced(
  function*(options: ComposeProjectOptions, environment: ComposeEnvironment) {
    const project = new ComposeProject(options)
    const topic = new ClusterView(clientConfig(environment.kafka), environment.kafka.topic)
    const metadata = yield* ask(topic)
    const roles = yield* rolesOf(project, yield* project.containers, environment, metadata)
    yield* belongTogether(environment)
    const pipelines = roles.pipelines.length
    return {
      description: `${project.command}: ${counted(roles.brokers.size, "broker")}, ${counted(pipelines, "pipeline")}, ` +
        `topic of ${counted(metadata.leaders.length, "partition")}`,
      refusal: ({ name }) => refusals(project, roles)[name],
      what: (fault) => (pipelines === 1 ? words.one : words.several)[fault.name],
      place: () => composePlace(project, roles, environment, topic)
    } satisfies ChaosStage
  }
)

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** Faults that cannot be made here, and why. */
export const refusals = (project: ComposeProject, roles: Roles): Partial<Record<FaultName, string>> => ({
  ...[...roles.brokers.values()].some(({ name }) => name === roles.registry.name) && {
    "registry-down":
      `the registry is part of the brokers here (${roles.registry.name} answers for it, and any broker would): it ` +
      "is away only when the log is. guardian chaos --fault registry-down, without --compose, has a registry of its own"
  },
  ...roles.pipelines.length < zombiePipelines && {
    zombie:
      `a zombie takes ${zombiePipelines} pipelines, and ${roles.pipelines.length} runs: ${project.command} up -d --scale ` +
      `${pipelineService}=${zombiePipelines}`
  }
})

const words = (() => {
  const of = (pipelines: string): Readonly<Record<FaultName, string>> => ({
    "kill-broker": "docker kill of the leader of partition 0; started again after 10 s",
    "pause-broker": "docker pause of the leader of partition 0 for 20 s",
    "kill-pipeline": `docker kill of ${pipelines}; started again at once`,
    "pause-pipeline": `docker pause of ${pipelines} for 20 s; recovery counted from its waking`,
    "kill-warehouse": "docker kill of ClickHouse; started again at once",
    "registry-down":
      `docker pause of the registry for 20 s, ${pipelines} killed meanwhile; recovery counted from its return`,
    "zombie": "docker pause of one of the pipelines for 20 s: the others take over, then it wakes"
  })
  return { one: of("the only pipeline"), several: of("all pipelines") }
})()

const ask = (topic: ClusterView): Effect.Effect<TopicMetadata, InstallationError> =>
  Effect.tryPromise({
    try: () => topic.refresh(),
    catch: (cause) =>
      new InstallationError({
        message: `no broker answers: ${(cause as Error).message}. Look at GUARDIAN_KAFKA_BROKERS`
      })
  }).pipe(
    Effect.filterOrFail(
      ({ errorCode }) => errorCode === 0,
      () => new InstallationError({ message: `there is no topic ${topic.topic}: is the installation set up?` })
    )
  )

interface ReachedAt {
  readonly kafka: { readonly brokers: ReadonlyArray<string> }
  readonly registry: { readonly url: string }
  readonly warehouse: { readonly url: string }
}

/** Which container is what; all of them must run. */
export const rolesOf = Effect.fnUntraced(function*(
  project: ComposeProject,
  containers: ReadonlyArray<Container>,
  environment: ReachedAt,
  { brokers }: Pick<TopicMetadata, "brokers">
): Effect.fn.Return<Roles, InstallationError> {
  if (containers.length === 0) {
    return yield* new InstallationError({
      message: `nothing runs there: ${project.command} up -d --wait, or name its --project`
    })
  }
  const publishing = (port: number, what: string): Effect.Effect<Container, InstallationError> => {
    const found = containers.find(({ ports, state }) => state === "running" && ports.includes(port))
    return found === undefined ?
      new InstallationError({
        message:
          `${what}, and no running container of ${project.command} publishes port ${port} on this host: the addresses in ` +
          "the environment must be those of this project, and all of its services up"
      }) :
      Effect.succeed(found)
  }
  // Brokers that are down are not in the metadata.
  for (const broker of environment.kafka.brokers) {
    yield* publishing(portOf(`kafka://${broker}`), `a broker is said to be at ${broker}`)
  }
  const held = new Map<number, Container>()
  for (const [id, { host, port }] of brokers) {
    held.set(id, yield* publishing(port, `broker ${id} says that it is at ${host}:${port}`))
  }
  const pipelines = containers.filter(({ service, state }) => service === pipelineService && state === "running")
  if (pipelines.length === 0) {
    return yield* new InstallationError({
      message: `no container of the service ${pipelineService} runs: ${project.command} up -d ${pipelineService}`
    })
  }
  return {
    brokers: held,
    pipelines,
    warehouse: yield* publishing(
      portOf(environment.warehouse.url),
      `ClickHouse is said to be at ${environment.warehouse.url}`
    ),
    registry: yield* publishing(
      portOf(environment.registry.url),
      `the registry is said to be at ${environment.registry.url}`
    )
  }
})

const portOf = (url: string): number => {
  const { port, protocol } = new URL(url)
  return port === "" ? protocol === "https:" ? 443 : 80 : Number(port)
}

/** The database is that of the log. */
const belongTogether = Effect.fnUntraced(function*({ kafka, warehouse }: ComposeEnvironment) {
  const { logId } = yield* KafkaEventLog.make(kafka)
  const found = yield* Effect.provide(checkpoints, ClickHouseWarehouse.layer(warehouse.address("writer")))
  const other = found.find((each) => each.logId !== logId)
  if (other === undefined) return
  return yield* new InstallationError({
    message:
      `the database at ${warehouse.url} belongs to log ${other.logId}, not to topic ${kafka.topic} (${logId}) at ` +
      `${kafka.brokers.join(", ")}: name log and database of one installation`
  })
}, Effect.scoped)

const composePlace = (
  project: ComposeProject,
  roles: Roles,
  { kafka, registry, warehouse }: ComposeEnvironment,
  topic: ClusterView
): Effect.Effect<ChaosPlace> => {
  const address = warehouse.address("writer")
  const namesOf = (containers: Iterable<Container>) => [...containers].map(({ name }) => name)
  const pipelines = project.part(namesOf(roles.pipelines))
  const all = namesOf([...roles.brokers.values(), ...roles.pipelines, roles.warehouse, roles.registry])
  return Effect.succeed<ChaosPlace>({
    isOurs: false,
    services: Layer.mergeAll(
      KafkaEventLog.layer(kafka),
      HttpSchemaRegistry.layer(registry),
      ClickHouseWarehouse.layer(address)
    ),
    subject: `${kafka.topic}-value`,
    ready: ready(project, all),
    leader: Effect.flatMap(ask(topic), ({ leaders }): Effect.Effect<Part<"kill" | "pause">, InstallationError> => {
      const broker = roles.brokers.get(leaders[0] ?? -1)
      return broker === undefined ?
        new InstallationError({ message: "partition 0 has no leader now: wait until all brokers are healthy" }) :
        Effect.succeed(project.part([broker.name]))
    }),
    pipelines,
    zombie: project.part(namesOf(roles.pipelines.slice(0, 1))),
    warehouse: project.part([roles.warehouse.name]),
    registry: project.part([roles.registry.name]),
    whileStill: (work) => pipelines.stop.pipe(Effect.andThen(work), Effect.onExit(() => pipelines.mend)),
    addressOf: (database) => ({ ...address, database }),
    said: () => `What the pipelines say: ${project.command} logs --tail 50 ${pipelineService}`
  })
}

/** Everybody runs and is healthy, as far as they have a check. */
const ready = (project: ComposeProject, names: ReadonlyArray<string>): Effect.Effect<void, InstallationError> =>
  project.containers.pipe(
    Effect.map((containers) =>
      containers.filter(({ health, name, state }) =>
        names.includes(name) && !(state === "running" && (health === "" || health === "healthy"))
      )
    ),
    Effect.flatMap(([first]) =>
      first === undefined ?
        Effect.void :
        Effect.fail(
          new InstallationError({ message: `${first.name} is ${first.state}${first.health && `, ${first.health}`}` })
        )
    ),
    Effect.retry({ schedule: Schedule.spaced("1 second"), times: readyLooksMax })
  )
