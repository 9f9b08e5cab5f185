/**
 * The child process: the ClickHouse engine of `libchdb.so`, listening on loopback. Arguments: data directory, configuration file,
 * HTTP port, native port (0: none). It ends when its standard input ends, so it never outlives its parent.
 *
 * `chdb_query_cmdline` is `clickhouse local`; that program opens the real HTTP and native servers when a query says SYSTEM START
 * LISTEN. ffi-rs, because koffi calls on a stack of its own, which the engine's stack check refuses.
 */
import { libchdbPath } from "chdb/libchdb"
import { DataType, load, open } from "ffi-rs"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { confine, systemFiles } from "./confine.ts"

const [directory, config, httpPort, nativePort] = process.argv.slice(2) as [string, string, string, string]
const native = nativePort !== "0"

/** Not exit(): exit handlers of a library whose threads still run crash. What was acknowledged survives SIGKILL. */
const end = (): void => {
  process.kill(process.pid, "SIGKILL")
}

process.stdin.on("end", end).on("error", end).resume()

const statements = [
  "SYSTEM START LISTEN HTTP",
  ...(native ? ["SYSTEM START LISTEN TCP"] : []),
  // For ever: the servers live as long as the statement does.
  "SELECT sleepEachRow(1) FROM system.numbers" +
  " SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0 FORMAT Null"
]

const argv = [
  "clickhouse",
  "--path",
  directory,
  "--config-file",
  config,
  "--listen_host",
  "127.0.0.1",
  "--http_port",
  httpPort,
  ...(native ? ["--tcp_port", nativePort] : []),
  "--query",
  statements.join("; ")
]

// The engine forgets its system tables when it ends and then refuses to make system.query_log where an old one lies.
rmSync(join(directory, "data", "system"), { recursive: true, force: true })

const library = libchdbPath()
open({ library: "chdb", path: library })
confine({ writable: [directory, "/dev/null"], readable: [config, library, ...systemFiles] })
// On a thread of its own: this one must see the standard input end. It returns only when the engine failed, and the engine has
// then said why on standard error.
await load({
  library: "chdb",
  runInNewThread: true,
  funcName: "chdb_query_cmdline",
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv]
})
end()
