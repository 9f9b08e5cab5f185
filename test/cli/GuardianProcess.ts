/** The command line as its users have it: a process, its output and its exit code. */
import { spawn } from "node:child_process"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { fileURLToPath } from "node:url"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

/** Starts it; whoever does ends it. */
export const start = (args: ReadonlyArray<string>, options: RunOptions = {}): ChildProcessWithoutNullStreams => {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainPath, ...args], {
    // Any free port: several run at once.
    env: { ...process.env, NODE_OPTIONS: "", GUARDIAN_API_PORT: "0", GUARDIAN_COLLECTOR_PORT: "0", ...options.env }
  })
  child.stdin.end(options.input)
  return child
}

/** Runs it to its end. */
export const guardian = async (args: ReadonlyArray<string>, options?: RunOptions): Promise<Ended> => {
  const child = start(args, options)
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  return { code: await exitCode(child), stdout, stderr }
}

export const exitCode = (child: ChildProcessWithoutNullStreams): Promise<number | null> =>
  new Promise((resolve) => child.once("close", resolve))

const mainPath = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
