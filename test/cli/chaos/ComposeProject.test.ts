import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Scope } from "effect"
import { breakAndMend } from "../../../src/cli/chaos/Chaos.ts"
import type { Parts } from "../../../src/cli/chaos/Chaos.ts"
import { ComposeProject, parseContainers } from "../../../src/cli/chaos/ComposeProject.ts"
import { faults } from "../../../src/operations/chaos/Faults.ts"
import type { FaultName } from "../../../src/operations/chaos/Faults.ts"
import { FakeDocker } from "../../support/FakeDocker.ts"
import { eventually } from "../../warehouse/embedded/eventually.ts"

const containers = () => [
  { name: "shop-redpanda-0-1", service: "redpanda-0" },
  { name: "shop-clickhouse-1", service: "clickhouse" },
  { name: "shop-pipeline-1", service: "pipeline" },
  { name: "shop-pipeline-2", service: "pipeline" }
]
const pipelines = ["shop-pipeline-1", "shop-pipeline-2"]

/** On PATH until the scope ends. */
const fakeDocker: Effect.Effect<FakeDocker, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const docker = await FakeDocker.start(containers())
    process.env["PATH"] = docker.path
    return docker
  }),
  (docker) => {
    process.env["PATH"] = process.env["PATH"]!.replace(docker.folder, "")
    return Effect.promise(() => docker.stop())
  }
)

const project = new ComposeProject({ file: "docker/compose.yaml", name: "shop" })

const parts = (isOurs = false): Parts => {
  const leader = project.part(["shop-redpanda-0-1"])
  return {
    isOurs,
    leader: Effect.succeed(leader),
    pipelines: project.part(pipelines),
    zombie: project.part(pipelines.slice(0, 1)),
    warehouse: project.part(["shop-clickhouse-1"]),
    registry: leader
  }
}

/** As quick as the commands are. */
const brief = (name: FaultName) => ({ ...faults[name], lastsMs: 0 })
const running = (docker: FakeDocker) => [...new Set(Object.values(docker.states()))].join() === "running"

describe("docker compose ps", () => {
  const line = (more: object) => JSON.stringify({ Name: "a-1", Service: "a", State: "running", ...more })

  it.effect("is understood as lines and as a list", () =>
    Effect.gen(function*() {
      const first = line({
        Health: "healthy",
        Publishers: [{ PublishedPort: 80 }, { PublishedPort: 0 }, { PublishedPort: 80 }]
      })
      const second = line({ Name: "b-1", State: "exited", Publishers: null, ID: "1", Labels: "x=y" })
      const expected = [
        { name: "a-1", service: "a", state: "running", health: "healthy", ports: [80] },
        { name: "b-1", service: "a", state: "exited", health: "", ports: [] }
      ]
      assert.deepStrictEqual(yield* parseContainers(`${first}\n${second}\n`), expected)
      assert.deepStrictEqual(yield* parseContainers(`[${first},${second}]`), expected)
      assert.deepStrictEqual(yield* parseContainers("\n"), [])
    }))

  it.effect("that says something else is an error with its beginning", () =>
    Effect.gen(function*() {
      for (const text of ["NAME  STATE", line({ Publishers: 1 }), "{}"]) {
        const { message } = yield* Effect.flip(parseContainers(text))
        assert.include(message, text.slice(0, 10))
      }
    }))
})

describe("a fault on containers", () => {
  const expected: Readonly<Record<FaultName, ReadonlyArray<string>>> = {
    "kill-broker": ["kill --signal SIGKILL shop-redpanda-0-1", "start shop-redpanda-0-1"],
    "pause-broker": ["pause shop-redpanda-0-1", "unpause shop-redpanda-0-1"],
    "kill-pipeline": [`kill --signal SIGKILL ${pipelines.join(" ")}`, `start ${pipelines.join(" ")}`],
    "pause-pipeline": [`pause ${pipelines.join(" ")}`, `unpause ${pipelines.join(" ")}`],
    "kill-warehouse": ["kill --signal SIGKILL shop-clickhouse-1", "start shop-clickhouse-1"],
    "registry-down": [],
    "zombie": ["pause shop-pipeline-1", "unpause shop-pipeline-1"]
  }

  it.live("kills or pauses its own, and starts or unpauses it", () =>
    Effect.gen(function*() {
      const docker = yield* fakeDocker
      for (const [name, calls] of Object.entries(expected) as Array<[FaultName, ReadonlyArray<string>]>) {
        if (calls.length === 0) continue
        docker.calls.length = 0
        yield* breakAndMend(parts(), brief(name))
        assert.deepStrictEqual(docker.calls, calls, name)
        assert.isTrue(running(docker), name)
      }
    }).pipe(Effect.scoped))

  it.live("is mended when it is interrupted", () =>
    Effect.gen(function*() {
      const docker = yield* fakeDocker
      const breaking = yield* Effect.forkChild(breakAndMend(parts(), { ...faults["pause-broker"], lastsMs: 60_000 }))
      yield* eventually("it is paused", Effect.sync(() => docker.states()["shop-redpanda-0-1"] === "paused"))
      yield* Fiber.interrupt(breaking)
      assert.deepStrictEqual(docker.calls.at(-1), "unpause shop-redpanda-0-1")
      assert.isTrue(running(docker))
    }).pipe(Effect.scoped))

  it.live("is mended when it was made in part and then failed", () =>
    Effect.gen(function*() {
      const docker = yield* fakeDocker
      // Gone meanwhile: the other one is killed all the same.
      docker.containers[3]!.state = "created"
      const { message } = yield* Effect.flip(breakAndMend(parts(), brief("kill-pipeline")))
      assert.include(message, "Container shop-pipeline-2 is created")
      assert.deepStrictEqual(docker.calls.at(-1), `start ${pipelines.join(" ")}`)
      assert.isTrue(running(docker))
    }).pipe(Effect.scoped))

  it.live("is mended by trying again", () =>
    Effect.gen(function*() {
      const docker = yield* fakeDocker
      docker.refuse("start", "the daemon is busy", 1)
      yield* breakAndMend(parts(), brief("kill-warehouse"))
      assert.isTrue(running(docker))
    }).pipe(Effect.scoped))

  it.live("that cannot be mended says how to do it by hand", () =>
    Effect.gen(function*() {
      const docker = yield* fakeDocker
      docker.refuse("unpause", "no such cgroup")
      const { message } = yield* Effect.flip(breakAndMend(parts(), brief("zombie")))
      assert.include(message, "docker unpause shop-pipeline-1")
      assert.include(message, "no such cgroup")
    }).pipe(Effect.scoped), 20_000)

  it.live("of a place that is thrown away is left as it is when the run fails", () =>
    Effect.gen(function*() {
      const docker = yield* fakeDocker
      docker.refuse("pause", "no")
      yield* Effect.flip(breakAndMend(parts(true), brief("zombie")))
      assert.deepStrictEqual(docker.calls, ["pause shop-pipeline-1"])
    }).pipe(Effect.scoped))
})

describe("without a docker command", () => {
  it.live("it is said what is missing", () =>
    Effect.gen(function*() {
      const path = process.env["PATH"]
      process.env["PATH"] = "/nowhere"
      const { message } = yield* Effect.ensuring(
        Effect.flip(project.containers),
        Effect.sync(() => {
          process.env["PATH"] = path
        })
      )
      assert.include(message, "there is no docker command here")
    }))
})
