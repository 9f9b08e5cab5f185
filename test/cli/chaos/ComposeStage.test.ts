import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { ComposeProject } from "../../../src/cli/chaos/ComposeProject.ts"
import type { Container } from "../../../src/cli/chaos/ComposeProject.ts"
import { composeEnvironment, consentText, refusals, rolesOf } from "../../../src/cli/chaos/ComposeStage.ts"
import { read, text } from "../../docker/ComposeFile.ts"
import { guardian } from "../GuardianProcess.ts"

const project = new ComposeProject({ file: "docker/compose.yaml", name: undefined })

/** What docker/compose.yaml gives, all of it running. */
const installation: ReadonlyArray<Container> = Object.entries(read(text).services).map(([service, { ports = [] }]) => ({
  name: `clickstream-guardian-${service}-1`,
  service,
  state: service === "setup" ? "exited" : "running",
  health: "",
  ports: ports.map((port) => Number(port.split(":")[1]))
}))

/** As docker/README.md says to set it. */
const addresses = {
  GUARDIAN_KAFKA_BROKERS: "localhost:19092,localhost:29092,localhost:39092",
  GUARDIAN_REGISTRY_URL: "http://localhost:18081",
  GUARDIAN_CLICKHOUSE_URL: "http://localhost:8123",
  GUARDIAN_CLICKHOUSE_WRITER_PASSWORD: "secret"
}
const environment = {
  kafka: { brokers: addresses.GUARDIAN_KAFKA_BROKERS.split(",") },
  registry: { url: addresses.GUARDIAN_REGISTRY_URL },
  warehouse: { url: addresses.GUARDIAN_CLICKHOUSE_URL }
}

/** Advertised on the host; who joined second has id 1. */
const brokers = new Map([
  [0, { host: "localhost", port: 19092 }],
  [1, { host: "localhost", port: 39092 }],
  [2, { host: "localhost", port: 29092 }]
])

const under = (variables: Readonly<Record<string, string>>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(variables))

const without = (service: string) => installation.filter((each) => each.service !== service)

describe("the containers of docker/compose.yaml", () => {
  it.effect("are told by the ports at which they are reached, whatever ids brokers gave themselves", () =>
    Effect.gen(function*() {
      const roles = yield* rolesOf(project, installation, environment, { brokers })
      assert.deepStrictEqual([...roles.brokers].map(([id, { service }]) => [id, service]), [
        [0, "redpanda-0"],
        [1, "redpanda-2"],
        [2, "redpanda-1"]
      ])
      assert.strictEqual(roles.warehouse.service, "clickhouse")
      assert.strictEqual(roles.registry.service, "redpanda-0")
      assert.deepStrictEqual(roles.pipelines.map(({ service }) => service), ["pipeline"])
    }))

  it.effect("that do not run, or belong to another project, are refused with a remedy", () =>
    Effect.gen(function*() {
      const message = (containers: ReadonlyArray<Container>, found = brokers) =>
        Effect.map(Effect.flip(rolesOf(project, containers, environment, { brokers: found })), (error) => error.message)
      assert.include(yield* message([]), "docker compose -f docker/compose.yaml up -d --wait")
      const two = new Map([...brokers].filter(([, { port }]) => port !== 39_092))
      assert.match(
        yield* message(without("redpanda-2"), two),
        /a broker is said to be at localhost:39092, and no running container .* publishes port 39092/
      )
      assert.include(yield* message(without("clickhouse")), "ClickHouse is said to be at http://localhost:8123")
      assert.include(yield* message(without("pipeline")), "up -d pipeline")
      const elsewhere = new Map([[7, { host: "kafka.shop.example", port: 9092 }]])
      assert.include(yield* message(installation, elsewhere), "broker 7 says that it is at kafka.shop.example:9092")
      const paused = installation.map((each) => each.service === "pipeline" ? { ...each, state: "paused" } : each)
      assert.include(yield* message(paused), "no container of the service pipeline runs")
    }))
})

describe("faults that cannot be made", () => {
  it.effect("are a zombie where one pipeline runs, and an absent registry where a broker is it", () =>
    Effect.gen(function*() {
      const roles = yield* rolesOf(project, installation, environment, { brokers })
      const refused = refusals(project, roles)
      assert.deepStrictEqual(Object.keys(refused).toSorted(), ["registry-down", "zombie"])
      assert.include(refused["zombie"], "docker compose -f docker/compose.yaml up -d --scale pipeline=2")
      assert.include(refused["registry-down"], "part of the brokers")
    }))

  it.effect("are none where two pipelines run and the registry is apart", () =>
    Effect.gen(function*() {
      const more: ReadonlyArray<Container> = [
        ...installation,
        { name: "clickstream-guardian-pipeline-2", service: "pipeline", state: "running", health: "", ports: [] },
        { name: "registry-1", service: "registry", state: "running", health: "", ports: [5_000] }
      ]
      const apart = { ...environment, registry: { url: "http://localhost:5000/api" } }
      assert.deepStrictEqual(refusals(project, yield* rolesOf(project, more, apart, { brokers })), {})
    }))
})

describe("the environment of chaos --compose", () => {
  it.effect("is asked for by name, with what fits docker/compose.yaml", () =>
    Effect.gen(function*() {
      const { GUARDIAN_KAFKA_BROKERS, ...rest } = addresses
      const { message } = yield* Effect.flip(composeEnvironment.pipe(under(rest)))
      assert.match(message, /set GUARDIAN_KAFKA_BROKERS\. /)
      for (const [name, value] of Object.entries({ GUARDIAN_KAFKA_BROKERS, ...rest })) {
        assert.include(message, name.endsWith("PASSWORD") ? name : `${name}=${value}`)
      }
    }))

  it.effect("says where events go before anybody agrees", () =>
    Effect.gen(function*() {
      const said = consentText(yield* composeEnvironment.pipe(under(addresses)), 120_000)
      assert.include(said, "120,000 made-up events into topic clickstream at localhost:19092")
      assert.include(said, "http://localhost:8123")
      assert.include(said, "--yes")
      assert.notInclude(said, "secret")
    }))

  it("is nothing that runs without --yes, and --yes nothing without it", async () => {
    const asked = await guardian(["chaos", "--compose", "docker/compose.yaml", "--all"], { env: addresses })
    assert.strictEqual(asked.code, 2)
    assert.include(asked.stderr, "The events stay")
    const alone = await guardian(["chaos", "--all", "--yes"])
    assert.strictEqual(alone.code, 2)
    assert.include(alone.stderr, "--compose")
  }, 30_000)
})
