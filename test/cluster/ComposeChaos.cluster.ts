/**
 * `guardian chaos --compose` from end to end: brokers, registry, ClickHouse and pipelines are real; docker is a program of ours which
 * does to them what docker would do to containers. The installation holds data, and others send meanwhile.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { KafkaCluster } from "../../src/cli/cluster/KafkaCluster.ts"
import { RegistryServer } from "../../src/cli/cluster/RegistryServer.ts"
import * as ClickHouseWarehouse from "../../src/warehouse/ClickHouseWarehouse.ts"
import { exitCode, guardian, start } from "../cli/GuardianProcess.ts"
import { serverPlace } from "../docker/ServerPlace.ts"
import type { ServerPlace } from "../docker/ServerPlace.ts"
import type { FakeContainer, Verb } from "../support/FakeDocker.ts"
import { FakeDocker } from "../support/FakeDocker.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

const portOf = (address: string): number => Number(new URL(address.includes("//") ? address : `tcp://${address}`).port)

/** `guardian serve --role pipeline`, as the only process of a container. */
class PipelineContainer {
  readonly #begin: () => ChildProcessWithoutNullStreams
  #process: ChildProcessWithoutNullStreams

  constructor(begin: () => ChildProcessWithoutNullStreams) {
    this.#begin = begin
    this.#process = begin()
  }

  async act(verb: Verb): Promise<void> {
    const signal = { kill: "SIGKILL", stop: "SIGTERM", pause: "SIGSTOP", unpause: "SIGCONT", start: undefined } as const
    const name = signal[verb]
    if (name === undefined) {
      this.#process = this.#begin()
      return
    }
    const ended = exitCode(this.#process)
    this.#process.kill(name)
    if (verb === "kill" || verb === "stop") await ended
  }
}

interface Installation {
  readonly docker: FakeDocker
  readonly cluster: KafkaCluster
  readonly server: ServerPlace
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
}

const installation: Effect.Effect<Installation, never, Scope.Scope> = Effect.gen(function*() {
  const cluster = yield* Effect.acquireRelease(
    Effect.promise(() => KafkaCluster.start({ nodes: 3, config: { "broker.session.timeout.ms": 6_000 } })),
    (held) => Effect.promise(() => held.stop())
  )
  const registry = yield* Effect.acquireRelease(
    Effect.promise(() => RegistryServer.start()),
    (held) => Effect.promise(() => held.stop())
  )
  const server = yield* serverPlace
  const directory = yield* temporaryDirectory
  const addresses = {
    GUARDIAN_LOG: "kafka",
    GUARDIAN_KAFKA_BROKERS: cluster.brokers.join(","),
    GUARDIAN_REGISTRY_URL: registry.url,
    GUARDIAN_CLICKHOUSE_URL: server.url,
    GUARDIAN_CLICKHOUSE_WRITER_PASSWORD: server.passwords.writer,
    GUARDIAN_CLICKHOUSE_READER_PASSWORD: server.passwords.reader,
    GUARDIAN_AUDIT_HOUR: "24"
  }
  yield* succeeds(["setup", "--partitions", "6", "--data-dir", directory], addresses)
  const pipelines = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Map(["pipeline-1", "pipeline-2"].map((name) => [
        name,
        new PipelineContainer(() => {
          const child = start(["serve", "--role", "pipeline", "--data-dir", directory], { env: addresses })
          child.stdout.resume()
          child.stderr.resume()
          return child
        })
      ]))
    ),
    (held) => Effect.promise(() => Promise.all([...held.values()].map((each) => each.act("kill"))))
  )
  const brokers = new Map(cluster.ids.map((id, i) => [`redpanda-${i}-1`, { id, port: portOf(cluster.brokers[i]!) }]))
  const act = async (verb: Verb, { name }: FakeContainer): Promise<void> => {
    const broker = brokers.get(name)
    if (broker === undefined) return pipelines.get(name)!.act(verb)
    if (verb === "kill") await cluster.kill(broker.id)
    else if (verb === "start") await cluster.restart(broker.id)
    else if (verb === "pause") cluster.pause(broker.id)
    else cluster.resume(broker.id)
  }
  const docker = yield* Effect.acquireRelease(
    Effect.promise(() =>
      FakeDocker.start([
        ...[...brokers].map(([name, { port }]) => ({ name, service: name.slice(0, -2), ports: [port] })),
        { name: "registry-1", service: "registry", ports: [portOf(registry.url)] },
        { name: "clickhouse-1", service: "clickhouse", ports: [portOf(server.url)], health: "healthy" },
        ...[...pipelines.keys()].map((name) => ({ name, service: "pipeline" }))
      ], act)
    ),
    (held) => Effect.promise(() => held.stop())
  )
  return { docker, cluster, server, directory, env: { ...addresses, PATH: docker.path } }
})

const succeeds = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>): Effect.Effect<string> =>
  Effect.promise(async () => {
    const { code, stderr, stdout } = await guardian(args, { env })
    assert.strictEqual(code, 0, stderr + stdout)
    return stdout
  })

const scope = Scope.makeUnsafe()
let place: Installation

beforeAll(async () => {
  place = await Effect.runPromise(Scope.provide(installation, scope))
  // What was there before.
  const args = ["simulate", "--rate", "100", "--seconds", "5", "--data-dir", place.directory]
  await Effect.runPromise(succeeds(args, place.env))
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const project = ["--compose", "docker/compose.yaml", "--project", "shop", "--yes"]
const pace = ["--rate", "200", "--seconds", "10"]
const chaos = (
  fault: string,
  ...more: ReadonlyArray<string>
) => ["chaos", "--fault", fault, ...project, ...pace, ...more]

/** A whole run, with others sending meanwhile. */
const proven = Effect.fnUntraced(function*(fault: string) {
  const { directory, docker, env, server } = place
  docker.calls.length = 0
  const others = start(["simulate", "--rate", "20", "--data-dir", directory], { env })
  const report = JSON.parse(
    yield* succeeds(chaos(fault, "--json"), env).pipe(
      Effect.ensuring(Effect.promise(() => {
        const ended = exitCode(others)
        others.kill("SIGTERM")
        return ended
      }))
    )
  ) as Readonly<Record<string, unknown>>
  assert.deepInclude(report, { lost: 0, uncounted: 0, countedTwice: 0, differences: [] })
  assert.notProperty(report, "notCompared")
  assert.isAbove(report["acknowledged"] as number, 3_000)
  assert.isAbove(report["ofOthers"] as number, 100)
  assert.isAtMost(
    (report["inLog"] as number) - (report["ofOthers"] as number),
    (report["acknowledged"] as number) + 200
  )
  assert.deepStrictEqual(Object.values(docker.states()).filter((state) => state !== "running"), [])
  const warehouse = yield* ClickHouseWarehouse.make(server.address("writer"))
  assert.deepStrictEqual(
    yield* warehouse.query("SELECT name FROM system.databases WHERE name LIKE '%undisturbed'"),
    []
  )
  console.log(`${fault}: ${JSON.stringify(report)}`)
  return docker.calls
}, Effect.scoped)

describe("guardian chaos --compose", () => {
  it.live("kills the leader of a partition, starts it again, and proves the run over a log that holds other data", () =>
    Effect.gen(function*() {
      const [killed, started, stopped, resumed, ...more] = yield* proven("kill-broker")
      const name = /^kill --signal SIGKILL (redpanda-\d-1)$/.exec(killed!)?.[1]
      assert.isDefined(name, killed)
      assert.strictEqual(started, `start ${name}`)
      assert.deepStrictEqual([stopped, resumed, more], [
        "stop pipeline-1 pipeline-2",
        "start pipeline-1 pipeline-2",
        []
      ])
    }))

  it.live("kills all pipelines and starts them again, in the log of the run before", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* proven("kill-pipeline"), [
        "kill --signal SIGKILL pipeline-1 pipeline-2",
        "start pipeline-1 pipeline-2",
        "stop pipeline-1 pipeline-2",
        "start pipeline-1 pipeline-2"
      ])
    }))

  it.live("mends what it broke when it is stopped by Ctrl-C", () =>
    Effect.gen(function*() {
      const { cluster, docker, env } = place
      docker.calls.length = 0
      const running = start(chaos("pause-broker"), { env })
      running.stdout.resume()
      running.stderr.resume()
      const ended = exitCode(running)
      yield* eventually("a broker is paused", Effect.sync(() => docker.calls.length > 0), 120_000)
      running.kill("SIGINT")
      yield* Effect.promise(() => ended)
      assert.deepStrictEqual(docker.calls.map((call) => call.split(" ")[0]), ["pause", "unpause"])
      assert.deepStrictEqual(Object.values(docker.states()).filter((state) => state !== "running"), [])
      yield* Effect.promise(() => cluster.ready())
    }))
})
