/**
 * The mistakes of DESIGN.md 4.5, planted one at a time into a copy of the real code, and the number of runs the simulator needs
 * to catch each (about, with seed 1). A mutation that no longer applies fails its test: it must follow the code.
 */
import { execFile } from "node:child_process"
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

export interface Mutation {
  readonly mistake: string
  /** [file, text that stands there once, text instead] */
  readonly edits: ReadonlyArray<readonly [file: string, find: string, replace: string]>
}

const core = "src/sessionizer/PartitionCore.ts"
const blocks = "src/warehouse/FlushBlocks.ts"
const session = "src/sessionizer/Session.ts"
const seen = "src/sessionizer/SeenIds.ts"
const memory = "test/simulation/MemoryWarehouse.ts"

export const mutations: ReadonlyArray<Mutation> = [
  {
    mistake: "gap off by one",
    edits: [[core, "eventTs <= sessions[at]!.endedAt + gapMs", "eventTs < sessions[at]!.endedAt + gapMs"]]
  },
  {
    mistake: "gap off by one when sessions are rebuilt",
    edits: [[core, "parts.startedAt > endedAt + gapMs", "parts.startedAt >= endedAt + gapMs"]]
  },
  {
    mistake: "lateness off by one",
    edits: [[core, "event.eventTs < this.seenFrom", "event.eventTs <= this.seenFrom"]]
  },
  {
    mistake: "next offset of the checkpoint one too high",
    edits: [[
      blocks,
      "flushes.map(({ position }) => position.offset)",
      "flushes.map(({ position }) => position.offset + 1)"
    ]]
  },
  {
    mistake: "next offset of the checkpoint one too low",
    edits: [[
      blocks,
      "flushes.map(({ position }) => position.offset)",
      "flushes.map(({ position }) => position.offset - 1)"
    ]]
  },
  {
    mistake: "events at the next offset count in recovery",
    edits: [[memory, `row["offset"] < durable`, `row["offset"] <= durable`]]
  },
  {
    mistake: "events above the checkpoint count in recovery",
    edits: [[memory, `row["offset"] < durable`, `durable >= 0`]]
  },
  {
    mistake: "checkpoint written before its rows",
    edits: [
      [
        blocks,
        "  [\n    [\n      eventsBlock(flushes)",
        "  [\n    [checkpointsBlock(flushes, identity)],\n    [\n      eventsBlock(flushes)"
      ],
      [
        blocks,
        "    [decisionHashesBlock(flushes, identity)],\n    [checkpointsBlock(flushes, identity)]\n",
        "    [decisionHashesBlock(flushes, identity)]\n"
      ]
    ]
  },
  {
    mistake: "checkpoint written before its session rows",
    edits: [
      [
        blocks,
        "    [sessionsBlock(flushes), aliasesBlock(flushes)",
        "    [checkpointsBlock(flushes, identity)],\n    [sessionsBlock(flushes), aliasesBlock(flushes)"
      ],
      [
        blocks,
        "    [decisionHashesBlock(flushes, identity)],\n    [checkpointsBlock(flushes, identity)]\n",
        "    [decisionHashesBlock(flushes, identity)]\n"
      ]
    ]
  },
  {
    mistake: "an id forgotten by time slice instead of exactly",
    edits: [[
      seen,
      "if (this.#base + relative - 1 >= seenFrom) return true",
      "const slice = 5 * 3_600_000\n      if (Math.floor((this.#base + relative - 1) / slice) >= Math.floor(seenFrom / slice)) return true"
    ]]
  },
  {
    mistake: "ids not read back in recovery",
    edits: [[
      core,
      "if (event.eventTs >= this.seenFrom) {\n        this.#seen.remember",
      "if (event.eventTs > 1e15) {\n        this.#seen.remember"
    ]]
  },
  {
    mistake: "window replay from watermark - lateness without the longest window",
    edits: [[core, "return this.seenFrom - this.#rules.longestWindowMs", "return this.seenFrom"]]
  },
  {
    mistake: "bound of open sessions read as FINAL, without tombstones",
    edits: [[
      memory,
      `bound === undefined || row["ended_at"]`,
      `row["merged_into"] !== "" || bound === undefined || row["ended_at"]`
    ]]
  },
  {
    mistake: "bound of open sessions filtered by the checkpoint before taking the newest row",
    edits: [[
      memory,
      `bound === undefined || row["ended_at"]`,
      `row["version"] > (this.checkpoints().find((c) => c.partition === row["partition"])?.position.offset ?? 0) || bound === undefined || row["ended_at"]`
    ]]
  },
  {
    mistake: "a tombstone that does not carry the range of the merged session",
    edits: [[
      core,
      "startedAt: survivor.startedAt,\n        endedAt: survivor.endedAt,",
      "startedAt: other.startedAt,\n        endedAt: other.startedAt,"
    ]]
  },
  {
    mistake: "session_id of an event taken at the flush instead of at acceptance",
    edits: [[
      blocks,
      "values: flushes.flatMap(({ changes }) => changes.eventSessionIds)",
      "values: flushes.flatMap(({ changes }) => changes.eventSessionIds.map((id) => changes.tombstones.findLast((t) => t.absorbedId === id)?.mergedInto ?? id))"
    ]]
  },
  {
    mistake: "tombstone not re-pointed through a chain",
    edits: [[core, "of [other.id, ...(other.absorbed ?? [])]", "of [other.id]"]]
  },
  {
    mistake: "tombstone left out because the flush netted it away",
    edits: [[
      blocks,
      "for (const tombstone of changes.tombstones) {\n    visit(",
      "for (const tombstone of changes.tombstones) {\n    if (changes.sessions.some((s) => s.merged && s.id === tombstone.absorbedId && s.openedOffset >= (changes.eventOffsets[0] ?? 0))) continue\n    visit("
    ]]
  },
  {
    mistake: "withdrawn finding left out because the flush netted it away",
    edits: [[
      blocks,
      "changes.findings.map((finding) => ({ partition, finding }))",
      "changes.findings.filter((f) => f.standing || f.foundAtOffset < (changes.eventOffsets[0] ?? 0)).map((finding) => ({ partition, finding }))"
    ]]
  },
  {
    mistake: "tombstones cleaned up while an older row is in flight",
    edits: [
      [
        memory,
        "        stored.set(key, row)\n",
        '        stored.set(key, row)\n        if ((row["merged_into"] ?? "") !== "") stored.delete(key)\n'
      ],
      // A cleaned tombstone is missing as such: not what is to be shown here.
      [
        "test/simulation/Checks.ts",
        `new Map(tombstones.map((row) => [row["session_id"], { session_id: row["merged_into"], version: row["version"] }]))`,
        "tombstones.length < 0 ? new Map() : expected"
      ]
    ]
  },
  {
    mistake: "exit of a session by arrival",
    edits: [[
      session,
      "      this.endedAt = eventTs\n      this.exitUrl = event.url\n    }",
      "      this.endedAt = eventTs\n    }\n    this.exitUrl = event.url"
    ]]
  },
  {
    mistake: "entry of a session by arrival",
    edits: [[
      session,
      "      this.startedAt = eventTs\n      this.entryUrl = event.url",
      "      this.startedAt = eventTs\n      if (this.events === 0) this.entryUrl = event.url"
    ]]
  },
  {
    mistake: "entry of a rebuilt session by time without offset",
    edits: [[
      session,
      "ts < otherTs || (ts === otherTs && offset < otherOffset)",
      "ts < otherTs || (ts === otherTs && offset > otherOffset)"
    ]]
  },
  {
    mistake: "touched days written after the checkpoint",
    edits: [
      [blocks, "    [touchedDaysBlock(flushes)],\n", ""],
      [
        blocks,
        "    [checkpointsBlock(flushes, identity)]\n  ]",
        "    [checkpointsBlock(flushes, identity)],\n    [touchedDaysBlock(flushes)]\n  ]"
      ]
    ]
  },
  {
    mistake: "only the new start's day touched",
    edits: [[
      blocks,
      "day <= openingDay; day++",
      "day <= openingDay && day === Math.floor(startedAt / dayMs); day++"
    ]]
  },
  {
    mistake: "a visitor evicted before its changes are durable",
    edits: [[core, "if (visitor.changedBelow > durable) continue", ""]]
  },
  {
    mistake: "a merge keeps the id of the earlier session instead of the lower offset",
    edits: [[
      core,
      "earlier.openedOffset < later.openedOffset ? [earlier, later] : [later, earlier]",
      "earlier.startedAt < later.startedAt ? [earlier, later] : [later, earlier]"
    ]]
  },
  {
    mistake: "version of a merged session not that of the merging record",
    edits: [[
      core,
      "survivor.version = offset + 1",
      "survivor.version = Math.max(survivor.version, other.openedOffset + 1)"
    ]]
  }
]

/** Runs the simulator on a mutated copy: how many runs the first failure took, or "none". */
export const runsUntilCaught = async (mutation: Mutation, runsMax: number): Promise<string> => {
  const root = new URL("../..", import.meta.url).pathname
  const copy = await mkdtemp(join(tmpdir(), "guardian-mutation-"))
  try {
    await Promise.all([
      cp(join(root, "src"), join(copy, "src"), { recursive: true }),
      cp(join(root, "test/simulation"), join(copy, "test/simulation"), { recursive: true }),
      cp(join(root, "package.json"), join(copy, "package.json")),
      symlink(join(root, "node_modules"), join(copy, "node_modules"))
    ])
    for (const [file, find, replace] of mutation.edits) {
      const text = await readFile(join(copy, file), "utf8")
      if (text.split(find).length !== 2) {
        throw new Error(`${mutation.mistake}: ${file} does not have exactly one of:\n${find}`)
      }
      await writeFile(join(copy, file), text.replace(find, () => replace))
    }
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(copy, "test/simulation/main.ts"),
      "--count-until-failure",
      "--runs",
      String(runsMax)
    ])
    return stdout.trim()
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}
