/** Public files, when they stand beside the repository (`../shared/data`): imported by the command, they pass the audit. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { guardian } from "../../cli/GuardianProcess.ts"

const data = fileURLToPath(new URL("../../../../shared/data/", import.meta.url))

/** Sessions as published where they are, findings as they are in the file. */
const files: ReadonlyArray<
  {
    readonly title: string
    readonly files: ReadonlyArray<string>
    readonly options: ReadonlyArray<string>
    readonly sessions: number
  }
> = [
  {
    title: "Wikimedia's readers of many days",
    files: ["wikimedia_reader_sessions/session_dataset.csv.gz"],
    options: ["--map", "visitor_id=uuid,event_ts=timestamp:epoch_s,event_type=const:view,url=url"],
    sessions: 22_224
  },
  {
    title: "Retentioneering's shop of half a year",
    files: ["retentioneering_simple_shop/simple-onlineshop.csv"],
    options: [],
    sessions: 6_454
  },
  {
    title: "three scanners, with repeated requests and findings",
    files: ["acunetix", "netsparker", "w3af"].map((name) => `apache_scans_ocatak/${name}.txt.gz`),
    options: [],
    sessions: 7
  }
]

describe("an import", () => {
  for (const { files: names, options, sessions, title } of files) {
    const paths = names.map((name) => data + name)
    const missing = paths.filter((path) => !existsSync(path))
    if (missing.length > 0) console.log(`skipped "${title}": ${missing.join(", ")} is not there`)
    it.skipIf(missing.length > 0)(`of ${title} passes the audit`, async () => {
      const dataDir = mkdtempSync(join(tmpdir(), "guardian-audit-"))
      try {
        const imported = await guardian(["import", ...paths, ...options, "--data-dir", dataDir])
        expect(imported.code, imported.stderr).toBe(0)
        const { code, stderr, stdout } = await guardian(["audit", "--all", "--json", "--data-dir", dataDir])
        expect(code, `${stderr}${stdout}`).toBe(0)
        const report = JSON.parse(stdout)
        expect(report.failed).toBe(0)
        expect(report.checks.find(({ name }: { name: string }) => name === "sessions").examined).toBe(sessions)
      } finally {
        rmSync(dataDir, { recursive: true, force: true })
      }
    }, 120_000)
  }
})
