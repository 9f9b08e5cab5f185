import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "../../src/cli/cluster/Downloads.ts"
import { KafkaCluster } from "../../src/cli/cluster/KafkaCluster.ts"
import type { Secured } from "../../src/cli/cluster/KafkaCluster.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import * as KafkaEventLog from "../../src/log/kafka/KafkaEventLog.ts"
import type { KafkaSasl } from "../../src/log/kafka/KafkaSettings.ts"
import { readAll, record } from "../log/conformance.ts"

let cluster: KafkaCluster
let secured: Secured

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "guardian-tls-"))
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")]
  const args = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1`
  await run("openssl", [...args.split(" "), "-keyout", key, "-out", certificate])
  secured = {
    certificate: await readFile(certificate, "utf8"),
    key: await readFile(key, "utf8"),
    username: "guardian",
    password: "not-for-logs"
  }
  await rm(folder, { recursive: true })
  cluster = await KafkaCluster.start({ nodes: 1, secured })
})

afterAll(() => cluster?.stop())

const open = (mechanism: KafkaSasl["mechanism"], password: string, ca: string | undefined) =>
  KafkaEventLog.layer({
    brokers: cluster.securedBrokers,
    topic: `log-${mechanism}`,
    create: { partitions: 2, replicationFactor: 1 },
    tls: { ca },
    sasl: { mechanism, username: secured.username, password: Redacted.make(password) },
    tell: () => {}
  })

describe("KafkaEventLog by TLS and log-in", () => {
  for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const) {
    it.live(`appends and reads with ${mechanism}`, () =>
      Effect.gen(function*() {
        const log = yield* EventLog
        yield* log.append([record("a", "1"), record("b", "2"), record("c", "3")])
        assert.deepStrictEqual((yield* readAll).flat().map(({ value }) => value).sort(), ["1", "2", "3"])
      }).pipe(Effect.provide(open(mechanism, secured.password, secured.certificate))))

    it.live(`refuses a wrong password at once with ${mechanism}, and does not tell it`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          Effect.provide(Effect.asVoid(EventLog), open(mechanism, "wrong-and-secret", secured.certificate))
        )
        assert.isFalse(error.retryable, error.message)
        assert.notInclude(JSON.stringify(error) + error.message, "wrong-and-secret")
      }))
  }

  it.live("talks to nobody whose certificate it does not trust", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.provide(Effect.asVoid(EventLog), open("plain", secured.password, undefined))
      )
      assert.match(error.message, /certificate/)
      assert.isFalse(error.retryable)
    }))
})
