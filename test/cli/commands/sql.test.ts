import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "../CommandRun.ts"
import { exitCode, guardian, start } from "../GuardianProcess.ts"
import type { SampleInstallation, Server } from "../SampleInstallation.ts"
import { sampleInstallation, serveWarehouse } from "../SampleInstallation.ts"

let sample: SampleInstallation & { readonly server: Server }
beforeAll(async () => {
  sample = await sampleInstallation()
})
afterAll(() => sample.remove())

const sql = (statement: string, ...more: ReadonlyArray<string>) =>
  run(["sql", statement, "--data-dir", sample.dataDir, ...more])

describe("guardian sql", () => {
  it("prints any format, JSON on request", async () => {
    expect((await sql("SELECT 1 AS a, 'x' AS b")).stdout).toBe("a\tb\n1\tx\n")
    expect((await sql("SELECT 1 AS a, 'x' AS b", "--format", "CSVWithNames")).stdout).toBe('"a","b"\n1,"x"\n')
    expect((await sql("SELECT toUInt64(18446744073709551615) AS big", "--json")).stdout).toBe(
      '{"big":"18446744073709551615"}\n'
    )
    expect((await sql("SELECT 1 AS a FORMAT TSKV")).stdout).toBe("a=1\n")
  })

  it("takes a statement from a file, with parameters and the defaults that the file gives them", async () => {
    const folder = mkdtempSync(join(tmpdir(), "guardian-cli-"))
    try {
      const path = join(folder, "question.sql")
      writeFileSync(
        path,
        "-- Which?\n-- {word:String} = none  Any word\n-- {day:Date} = 2026-03-01  A day\n\n" +
          "SELECT {word:String} AS word, {day:Date} + 1 AS next;\n"
      )
      const asked = (...more: ReadonlyArray<string>) =>
        run(["sql", "--file", path, "--data-dir", sample.dataDir, "--json", ...more])
      expect((await asked()).stdout).toBe('{"word":"none","next":"2026-03-02"}\n')
      expect((await asked("--param", "word=a = 'b'", "--param", "day=2024-02-28")).stdout).toBe(
        '{"word":"a = \'b\'","next":"2024-02-29"}\n'
      )
      expect((await asked("--param", "day=never")).failure).toMatch(/query parameter 'day'/)
      expect((await run(["sql", "--file", join(folder, "nothing.sql"), "--data-dir", sample.dataDir])).failure)
        .toMatch(/cannot read the statement/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    expect((await sql("SELECT {a:UInt8} + {b:UInt8} AS s", "--param", "a=1", "--param", "b=2")).stdout).toBe("s\n3\n")
    expect((await sql("SELECT {a:UInt8}")).failure).toMatch(/Substitution `a` is not set/)
    expect((await guardian(["sql", "SELECT 1", "--file", "x", "--data-dir", sample.dataDir])).code).toBe(2)
  })

  it("may not change anything", async () => {
    const { failure } = await sql("INSERT INTO events_raw (event_id) VALUES ('x')")
    expect(failure).toMatch(/^Code: (164|497)\./)
  })

  it("passes a large answer on whole", async () => {
    const { stdout } = await sql("SELECT number FROM numbers(1000000)", "--format", "TSV")
    expect(stdout.length).toBe(6_888_890)
    expect(stdout.endsWith("\n999999\n")).toBe(true)
  })

  it("fails with ClickHouse's error, also with one in the midst of an answer", async () => {
    expect(await sql("SELECT 1 +")).toMatchObject({
      stdout: "",
      failure: expect.stringMatching(/^Code: 62\. .*Syntax error/)
    })
    const midst = await sql("SELECT throwIf(number = 500000) FROM numbers(1000000) SETTINGS max_block_size = 1000")
    expect(midst.failure).toMatch(/^Code: 395\. /)
    expect(midst.stdout).toMatch(/^[^\n]+\n(0\n)+$/)
  })

  it("ends without an error when the reader of its output goes away", async () => {
    const child = start(["sql", "SELECT * FROM system.numbers", "--data-dir", sample.dataDir])
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
    child.stdout.once("data", () => child.stdout.destroy())
    expect(await exitCode(child)).toBe(0)
    expect(stderr).toBe("")
  })

  it("tells its caller by the exit code, and says why without a stack", async () => {
    const [wrong, misused] = await Promise.all([
      guardian(["sql", "SELECT nothing", "--data-dir", sample.dataDir]),
      guardian(["sql", "--data-dir", sample.dataDir])
    ])
    expect(wrong).toMatchObject({ code: 1, stdout: "" })
    expect(wrong!.stderr).toMatch(/^guardian: Code: 47\. .*\n$/)
    expect(misused!.code).toBe(2)
  })

  it("says what to do when there is no database or no table, and makes nothing", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "guardian-cli-"))
    try {
      expect((await run(["sql", "SELECT 1 FROM events", "--data-dir", dataDir])).failure).toContain("guardian import")
      expect(readdirSync(dataDir)).toEqual([])
      const server = await serveWarehouse(dataDir)
      const empty = await run(["sql", "SELECT 1 FROM events", "--data-dir", dataDir])
      await server.stop()
      expect(empty.failure).toMatch(/no tables yet.*guardian import/)
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  })

  it("starts the warehouse when nobody runs it; reads a statement from standard input", async () => {
    await sample.server.stop()
    const { code, stderr, stdout } = await guardian(["sql", "-", "--data-dir", sample.dataDir], {
      input: "SELECT count() AS sessions FROM sessions;\n"
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toBe("sessions\n31\n")
  })
})
