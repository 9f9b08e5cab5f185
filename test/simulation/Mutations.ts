/**
 * The mistakes of DESIGN.md 4.5 and their like, planted one at a time into a copy of the real code. Each must be caught: by a
 * scenario made for it, or by random ones, within at most `runs` of them (some five times what it takes; `mutations.test.ts`
 * prints what it took). A mutation that no longer applies fails its test: it must follow the code.
 */
export interface Mutation {
  readonly mistake: string
  /** [file, text that stands there once, text instead] */
  readonly edits: ReadonlyArray<readonly [file: string, find: string, replace: string]>
  /** Random runs to try at most. */
  readonly runs?: number
  /** Instead: the named scenario that breaks. Chance needs more than 40,000 runs. */
  readonly scenario?: string
}

const core = "src/sessionizer/PartitionCore.ts"
const blocks = "src/warehouse/FlushBlocks.ts"
const session = "src/sessionizer/Session.ts"
const seen = "src/sessionizer/SeenIds.ts"
const memory = "test/simulation/MemoryWarehouse.ts"

export const mutations: ReadonlyArray<Mutation> = [
  {
    mistake: "gap off by one",
    runs: 500,
    edits: [[core, "eventTs <= sessions[at]!.endedAt + gapMs", "eventTs < sessions[at]!.endedAt + gapMs"]]
  },
  {
    mistake: "gap off by one when sessions are rebuilt",
    scenario: "takes a session back whose two halves, from both sides of a merge, lie exactly the gap apart",
    edits: [[core, "parts.startedAt > endedAt + gapMs", "parts.startedAt >= endedAt + gapMs"]]
  },
  {
    mistake: "lateness off by one",
    runs: 500,
    edits: [[core, "event.eventTs < this.seenFrom", "event.eventTs <= this.seenFrom"]]
  },
  {
    mistake: "next offset of the checkpoint one too high",
    runs: 200,
    edits: [[
      blocks,
      "flushes.map(({ position }) => position.offset)",
      "flushes.map(({ position }) => position.offset + 1)"
    ]]
  },
  {
    mistake: "next offset of the checkpoint one too low",
    runs: 200,
    edits: [[
      blocks,
      "flushes.map(({ position }) => position.offset)",
      "flushes.map(({ position }) => position.offset - 1)"
    ]]
  },
  {
    mistake: "events at the next offset count in recovery",
    runs: 200,
    edits: [[memory, `row["offset"] < durable`, `row["offset"] <= durable`]]
  },
  {
    mistake: "events above the checkpoint count in recovery",
    runs: 200,
    edits: [[memory, `row["offset"] < durable`, `durable >= 0`]]
  },
  {
    mistake: "checkpoint written before its rows",
    runs: 200,
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
    runs: 200,
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
    runs: 4_000,
    edits: [[
      seen,
      "if (this.#base + relative - 1 >= seenFrom) return true",
      "const slice = 5 * 3_600_000\n      if (Math.floor((this.#base + relative - 1) / slice) >= Math.floor(seenFrom / slice)) return true"
    ]]
  },
  {
    mistake: "ids not read back in recovery",
    runs: 2_000,
    edits: [[
      core,
      "if (event.eventTs >= this.seenFrom) {\n        this.#seen.remember",
      "if (event.eventTs > 1e15) {\n        this.#seen.remember"
    ]]
  },
  {
    mistake: "window replay from watermark - lateness without the longest window",
    runs: 1_000,
    edits: [[core, "return this.seenFrom - this.#rules.longestWindowMs", "return this.seenFrom"]]
  },
  {
    mistake: "bound of open sessions read as FINAL, without tombstones",
    scenario: "dies when the tombstone of the earlier session has landed, but not the row of the merged one",
    edits: [[
      memory,
      `bound === undefined || row["ended_at"]`,
      `row["merged_into"] !== "" || bound === undefined || row["ended_at"]`
    ]]
  },
  {
    mistake: "bound of open sessions filtered by the checkpoint before taking the newest row",
    runs: 500,
    edits: [[
      memory,
      `bound === undefined || row["ended_at"]`,
      `row["version"] > (this.checkpoints().find((c) => c.partition === row["partition"])?.position.offset ?? 0) || bound === undefined || row["ended_at"]`
    ]]
  },
  {
    mistake: "a tombstone that does not carry the range of the merged session",
    scenario: "dies when only the tombstone of a long session has landed, whose start is out of reach",
    edits: [[
      core,
      "startedAt: survivor.startedAt,\n        endedAt: survivor.endedAt,",
      "startedAt: other.startedAt,\n        endedAt: other.startedAt,"
    ]]
  },
  {
    mistake: "session_id of an event taken at the flush instead of at acceptance",
    runs: 200,
    edits: [[
      blocks,
      "values: of((events) => events.sessionId)",
      "values: flushes.flatMap(({ changes }) => changes.events.sessionId.map((id) => changes.tombstones.findLast((t) => t.absorbedId === id)?.mergedInto ?? id))"
    ]]
  },
  {
    mistake: "tombstone not re-pointed through a chain",
    runs: 8_000,
    edits: [[core, "of [other.id, ...(other.absorbed ?? [])]", "of [other.id]"]]
  },
  {
    mistake: "tombstone left out because the flush netted it away",
    runs: 200,
    edits: [[
      blocks,
      "for (const tombstone of changes.tombstones) {\n    visit(",
      "for (const tombstone of changes.tombstones) {\n    if (changes.sessions.some((s) => s.merged && s.id === tombstone.absorbedId && s.openedOffset >= (changes.events.offset[0] ?? 0))) continue\n    visit("
    ]]
  },
  {
    mistake: "withdrawn finding left out because the flush netted it away",
    scenario: "dies when a raised finding has landed, and the next one withdraws it before its first flush",
    edits: [[
      blocks,
      "changes.findings.map((finding) => ({ partition, finding }))",
      "changes.findings.filter((f) => f.standing || f.foundAtOffset < (changes.events.offset[0] ?? 0)).map((finding) => ({ partition, finding }))"
    ]]
  },
  {
    mistake: "tombstones cleaned up while an older row is in flight",
    scenario: "still writes a session of its old flush after its successor has merged it away",
    edits: [
      [
        memory,
        "        stored.set(key, row)\n",
        '        stored.set(key, row)\n        if ((row["merged_into"] ?? "") !== "") stored.delete(key)\n'
      ],
      // A cleaned tombstone is missing as such: not what is to be shown here.
      [
        "test/simulation/Checks.ts",
        `tombstones.map((row) => [row["session_id"], { session_id: row["merged_into"], version: row["version"] }])`,
        "expected"
      ]
    ]
  },
  {
    mistake: "exit of a session by arrival",
    runs: 200,
    edits: [[
      session,
      "      this.endedAt = eventTs\n      this.exitUrl = event.url\n    }",
      "      this.endedAt = eventTs\n    }\n    this.exitUrl = event.url"
    ]]
  },
  {
    mistake: "entry of a session by arrival",
    runs: 200,
    edits: [[
      session,
      "      this.startedAt = eventTs\n      this.entryUrl = event.url",
      "      this.startedAt = eventTs\n      if (this.events === 0) this.entryUrl = event.url"
    ]]
  },
  {
    mistake: "entry of a rebuilt session by time without offset",
    scenario: "takes a session back whose two last events, from both sides of a merge, have the same time",
    edits: [[
      session,
      "ts < otherTs || (ts === otherTs && offset < otherOffset)",
      "ts < otherTs || (ts === otherTs && offset > otherOffset)"
    ]]
  },
  {
    mistake: "touched days written after the checkpoint",
    runs: 200,
    edits: [
      [blocks, "    [touchedDaysBlock(flushes, identity.settings)],\n", ""],
      [
        blocks,
        "    [checkpointsBlock(flushes, identity)]\n  ]",
        "    [checkpointsBlock(flushes, identity)],\n    [touchedDaysBlock(flushes, identity.settings)]\n  ]"
      ]
    ]
  },
  {
    mistake: "only the new start's quarter touched",
    runs: 200,
    edits: [[
      blocks,
      "quarter <= openingQuarter; quarter++",
      "quarter <= openingQuarter && quarter === Math.floor(startedAt / quarterMs); quarter++"
    ]]
  },
  {
    mistake: "a visitor evicted before its changes are durable",
    runs: 200,
    edits: [[core, "if (visitor.changedBelow > durable) continue", ""]]
  },
  {
    mistake: "a merge keeps the id of the earlier session instead of the lower offset",
    runs: 1_000,
    edits: [[
      core,
      "earlier.openedOffset < later.openedOffset ? [earlier, later] : [later, earlier]",
      "earlier.startedAt < later.startedAt ? [earlier, later] : [later, earlier]"
    ]]
  },
  {
    mistake: "version of a merged session not that of the merging record",
    runs: 200,
    edits: [[
      core,
      "survivor.version = offset + 1",
      "survivor.version = Math.max(survivor.version, other.openedOffset + 1)"
    ]]
  }
]
