/** What can be known of docker/ without a Docker: that Compose would take it, and that it and the code speak of the same things. */
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { files, serverMemoryBytes } from "../../docker/clickhouse/write.ts"
import { processVariables, variables } from "../../src/cli/Environment.ts"
import { environmentFaults, unknownVariables } from "../../src/cli/EnvironmentCheck.ts"
import { passwordVariables } from "../../src/warehouse/embedded/ServerFiles.ts"
import type { Service } from "./ComposeFile.ts"
import { folder, interpolate, interpolations, read, text } from "./ComposeFile.ts"

const { services, volumes } = read(text)
const guardians = Object.entries(services).filter(([, { image }]) => image?.startsWith("clickstream-guardian"))
const example = Object.fromEntries(
  [...readFileSync(join(folder, ".env.example"), "utf8").matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [
    name!,
    value!
  ])
)
/** As an operator would fill it. */
const filled = {
  ...example,
  CLICKHOUSE_WRITER_PASSWORD: "w",
  CLICKHOUSE_READER_PASSWORD: "r",
  CLICKHOUSE_ANALYST_PASSWORD: "a",
  COLLECTOR_WRITE_KEYS: `shop=${"0".repeat(64)}`,
  API_READ_KEYS: `team=${"1".repeat(64)}`
}

const schemaErrors = (composeFile: unknown): ReadonlyArray<string> => {
  const schema = JSON.parse(readFileSync(join(import.meta.dirname, "fixtures", "compose-spec.json"), "utf8")) as object
  const validate = new Ajv2020({ strict: false, allErrors: true, validateFormats: false }).compile(schema)
  validate(composeFile)
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    `${instancePath} ${message} ${JSON.stringify(params)}`
  )
}

describe("compose.yaml", () => {
  it("is what the Compose Specification takes", () => {
    assert.deepStrictEqual(schemaErrors(read(text)), [])
  })

  it("would be refused for a misspelt key or a value of another kind", () => {
    assert.include(schemaErrors(read(text.replace("mem_limit: 192m", "mem_limits: 192m"))).join(), "mem_limits")
    assert.isNotEmpty(schemaErrors(read(text.replace("read_only: true", "read_only: [yes]"))))
  })

  it("names what it mounts, depends on and listens on only once and as it is there", () => {
    const published = Object.values(services).flatMap(({ ports = [] }) => ports)
    assert.isTrue(published.every((port) => port.startsWith("127.0.0.1:")), published.join())
    const hostPorts = published.map((port) => port.split(":")[1])
    assert.strictEqual(new Set(hostPorts).size, hostPorts.length)
    for (const [name, { depends_on = [], volumes: mounts = [] }] of Object.entries(services)) {
      for (const other of Array.isArray(depends_on) ? depends_on : Object.keys(depends_on)) {
        assert.property(services, other, name)
      }
      for (const mount of mounts) {
        const [source] = mount.split(":")
        if (source!.startsWith(".")) assert.isTrue(existsSync(join(folder, source!)), `${name}: ${source}`)
        else assert.property(volumes, source!, name)
      }
    }
  })

  it("fits a laptop of 8 GB, and nothing runs without a limit", () => {
    const limits = Object.entries(services).filter(([name]) => name !== "setup").map(([name, { mem_limit }]) => {
      const megabytes = Number(/^(\d+)m$/.exec(mem_limit ?? "")?.[1])
      assert.isAbove(megabytes, 0, name)
      return megabytes
    })
    assert.isAtMost(limits.reduce((sum, limit) => sum + limit, 0), 7 * 1024)
    const clickhouse = Number(services["clickhouse"]!.mem_limit!.slice(0, -1)) * 1024 * 1024
    // 0.8 of it is the server's: config.d/guardian.xml.
    assert.closeTo(serverMemoryBytes / clickhouse, 0.77, 0.03)
  })

  it("restarts what has to run, sets up once and before the roles", () => {
    for (const [name, { depends_on, restart }] of Object.entries(services)) {
      assert.strictEqual(restart, name === "setup" ? "on-failure:5" : "unless-stopped", name)
      if (["collector", "pipeline", "api"].includes(name)) {
        assert.deepStrictEqual(depends_on, { setup: { condition: "service_completed_successfully" } }, name)
      }
    }
    assert.deepStrictEqual(Object.keys(services["setup"]!.depends_on!), [
      "redpanda-0",
      "redpanda-1",
      "redpanda-2",
      "clickhouse"
    ])
  })

  it("keeps every acknowledged record on disk: no broker bypasses fsync", () => {
    assert.notMatch(text.replaceAll(/#.*/g, ""), /dev-container|unsafe-bypass-fsync|developer_mode/)
    const bootstrap = readFileSync(join(folder, "redpanda", "bootstrap.yaml"), "utf8")
    assert.include(bootstrap, 'write_caching_default: "false"')
  })
})

describe("Guardian's services", () => {
  it("are the roles that serve knows, and what sets up", () => {
    assert.deepStrictEqual(guardians.map(([name]) => name), ["setup", "collector", "pipeline", "api"])
    for (const [name, { command }] of guardians.slice(1)) assert.deepStrictEqual(command, ["serve", "--role", name])
    for (const [name, { cap_drop, read_only }] of guardians) {
      assert.isTrue(read_only, name)
      assert.deepStrictEqual(cap_drop, ["ALL"], name)
    }
  })

  it("set only variables that the code reads, to values that it takes", () => {
    const known = new Set(variables.map(({ name }) => name))
    for (const [name, { environment = {} }] of guardians) {
      for (const variable of Object.keys(environment)) assert.isTrue(known.has(variable), `${name}: ${variable}`)
      const set = Object.fromEntries(
        Object.entries(environment).map(([variable, value]) => [variable, interpolate(value, filled)])
      )
      assert.deepStrictEqual(environmentFaults(set), [], name)
      assert.deepStrictEqual(unknownVariables(set), [], name)
    }
  })

  it("listen where they are published and asked for their health", () => {
    const portIn = ({ ports }: Service) => ports?.[0]?.split(":")[2]
    assert.strictEqual(portIn(services["api"]!), processVariables.apiPort.fallback)
    assert.strictEqual(portIn(services["collector"]!), processVariables.collectorPort.fallback)
    const asked = ({ healthcheck }: Service) => healthcheck?.test.at(-1)
    assert.strictEqual(asked(services["api"]!), processVariables.apiPort.fallback)
    for (const name of ["collector", "pipeline"]) {
      const service = services[name]!
      assert.strictEqual(asked(service), service.environment!["GUARDIAN_HEALTH_PORT"], name)
    }
    const [, , script] = services["api"]!.healthcheck!.test
    assert.isTrue(existsSync(join(folder, "..", script!.replace("/app/", ""))))
  })

  it("know the brokers, the registry and the server by the names of their services", () => {
    for (const [name, { environment = {} }] of guardians) {
      for (const broker of environment["GUARDIAN_KAFKA_BROKERS"]!.split(",")) {
        const [service, port] = broker.split(":")
        const { command = [] } = services[service!]!
        assert.isTrue(command.some((flag) => flag.includes(`--kafka-addr=internal://0.0.0.0:${port},`)), name)
        assert.isTrue(command.includes(`--schema-registry-addr=0.0.0.0:${port === "9092" ? 8081 : "none"}`), name)
      }
      const server = environment["GUARDIAN_CLICKHOUSE_URL"]
      if (name === "collector") assert.isUndefined(server)
      else assert.strictEqual(server, "http://clickhouse:8123")
    }
  })
})

describe("the brokers", () => {
  it("say to who comes from the host that they are where the host reaches them", () => {
    for (const name of ["redpanda-0", "redpanda-1", "redpanda-2"]) {
      const { command = [], ports = [] } = services[name]!
      const advertised = command.map((flag) =>
        /^--advertise-kafka-addr=.*,external:\/\/localhost:(\d+)$/.exec(flag)?.[1]
      )
        .find((port) => port !== undefined)
      assert.isTrue(ports.includes(`127.0.0.1:${advertised}:${advertised}`), name)
      assert.isTrue(
        command.some((flag) => flag.startsWith("--kafka-addr=") && flag.endsWith(`,external://0.0.0.0:${advertised}`)),
        name
      )
    }
  })
})

describe(".env.example", () => {
  it("names every variable that compose.yaml takes, and no other", () => {
    assert.deepStrictEqual(
      [...new Set(interpolations(text).map(({ name }) => name))].toSorted(),
      Object.keys(example).toSorted()
    )
  })

  it("has no secret in it, and without secrets nothing starts", () => {
    const required = new Set(interpolations(text).filter(({ required }) => required).map(({ name }) => name))
    for (const [name, value] of Object.entries(example)) {
      if (/PASSWORD|KEYS/.test(name)) assert.strictEqual(value, "", name)
      if (required.has(name)) assert.throws(() => interpolate(`\${${name}:?set it}`, example))
    }
    for (const name of Object.values(passwordVariables)) assert.isTrue(required.has(name), name)
    assert.isTrue(required.has("COLLECTOR_WRITE_KEYS") && required.has("API_READ_KEYS"))
  })
})

describe("docker/clickhouse", () => {
  it("holds what docker/clickhouse/write.ts writes", () => {
    for (const [path, written] of Object.entries(files)) {
      assert.strictEqual(readFileSync(join(folder, "clickhouse", path), "utf8"), written, path)
    }
  })
})

describe("the Dockerfile", () => {
  const dockerfile = readFileSync(join(folder, "Dockerfile"), "utf8")

  it("copies what there is, and runs as somebody without rights", () => {
    const ignored = readFileSync(join(folder, "Dockerfile.dockerignore"), "utf8")
    for (const [, sources] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const source of sources!.split(" ")) {
        assert.isTrue(existsSync(join(folder, "..", source)), source)
        assert.include(ignored, `!${source}`)
      }
    }
    assert.match(dockerfile, /^USER node$/m)
  })

  it("has the Node that the tests run on", () => {
    const { dependencies } = JSON.parse(readFileSync(join(folder, "..", "package.json"), "utf8")) as {
      dependencies: { node: string }
    }
    assert.include(dockerfile, `ARG NODE=docker.io/library/node:${dependencies.node}-`)
  })
})
