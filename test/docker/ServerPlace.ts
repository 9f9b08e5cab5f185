/**
 * A ClickHouse server with the files of docker/clickhouse, laid out as in its image: a configuration and users of others, ours merged in
 * from config.d and users.d, passwords from the environment. The engine is the embedded one; to whoever asks, it is a server.
 */
import { Effect, Redacted } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { cp, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { addressOf } from "../../src/warehouse/embedded/Credentials.ts"
import type { WarehouseRole } from "../../src/warehouse/embedded/Credentials.ts"
import { freePort } from "../../src/warehouse/embedded/Ports.ts"
import { passwordVariables } from "../../src/warehouse/embedded/ServerFiles.ts"
import type { WarehouseAddress } from "../../src/warehouse/Warehouse.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"
import { folder } from "./ComposeFile.ts"

export interface ServerPlace {
  readonly url: string
  readonly passwords: Readonly<Record<WarehouseRole, string>>
  address(role: WarehouseRole): WarehouseAddress
}

/** What the image has of its own, as far as it matters to ours: settings that ours replace, and users that ours join. */
const imageConfig = `<clickhouse>
  <users_config>users.xml</users_config>
  <timezone>Europe/Berlin</timezone>
  <mark_cache_size>5368709120</mark_cache_size>
  <query_log><database>system</database><table>query_log</table><partition_by>toYYYYMM(event_date)</partition_by></query_log>
  <metric_log><database>system</database><table>metric_log</table></metric_log>
  <trace_log><database>system</database><table>trace_log</table></trace_log>
</clickhouse>
`
const imageUsers = `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
</clickhouse>
`

const engine = fileURLToPath(new URL("../../src/warehouse/embedded/engineMain.ts", import.meta.url))

/** Runs until the scope ends. */
export const serverPlace: Effect.Effect<ServerPlace, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* temporaryDirectory
  const passwords = { writer: "w".repeat(20), reader: "r".repeat(20), analyst: "a".repeat(20) }
  const port = yield* freePort(undefined)
  yield* Effect.promise(async () => {
    await mkdir(join(directory, "data"))
    await writeFile(join(directory, "config.xml"), imageConfig)
    await writeFile(join(directory, "users.xml"), imageUsers)
    for (const merged of ["config.d", "users.d"]) {
      await cp(join(folder, "clickhouse", merged), join(directory, merged), { recursive: true })
    }
  })
  const url = `http://127.0.0.1:${port}`
  let stderr = ""
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const environment = Object.fromEntries(
        Object.entries(passwordVariables).map(([role, name]) => [name, passwords[role as WarehouseRole]])
      )
      const child = spawn(process.execPath, [engine, directory, join(directory, "config.xml"), String(port), "0"], {
        stdio: ["pipe", "ignore", "pipe"],
        cwd: directory,
        env: { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1", TZ: "UTC", ...environment }
      })
      child.stdin.on("error", () => {})
      child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
      return child
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
  const answers = Effect.promise(() => fetch(`${url}/ping`).then(({ ok }) => ok, () => false))
  yield* eventually(
    "the server answers",
    Effect.suspend(() =>
      child.exitCode !== null || child.signalCode !== null ?
        Effect.die(new Error(`the server ended:\n${stderr}`)) :
        answers
    ),
    40_000
  )
  const address = addressOf(url, {
    writer: Redacted.make(passwords.writer),
    reader: Redacted.make(passwords.reader),
    analyst: Redacted.make(passwords.analyst)
  })
  return { url, passwords, address }
})
