/**
 * The mistakes of DESIGN.md 4.5 and their like, planted one at a time into a copy of the real code. Each must be caught by random
 * runs; those that chance seldom meets by a scenario made for them as well. A mutation that no longer applies fails its test: it
 * must follow the code. What each takes: npm run simulation -- --mutation "" --runs 40000 --seeds 4
 */
export interface Mutation {
  readonly mistake: string
  /** [file, text that stands there once, text instead] */
  readonly edits: ReadonlyArray<readonly [file: string, find: string, replace: string]>
  /** Random runs in which it must be caught: some five times what the slowest of seeds 1 to 4 took. */
  readonly runs?: number
  /** Instead, where tests have no time for that: what the slowest of these seeds took. The scenario is the test. */
  readonly randomRuns?: number
  /** The named scenario that breaks. */
  readonly scenario?: string
}

const core = "src/sessionizer/PartitionCore.ts"
const blocks = "src/warehouse/FlushBlocks.ts"
const parts = "src/sessionizer/SessionParts.ts"
const sessions = "src/sessionizer/SessionTable.ts"
const seen = "src/sessionizer/SeenIds.ts"
const cold = "src/sessionizer/ColdVisitors.ts"
const clicks = "src/sessionizer/Clicks.ts"
const settings = "src/domain/Settings.ts"
const recollection = "src/pipeline/Recollection.ts"
const memory = "test/simulation/MemoryWarehouse.ts"

export const mutations: ReadonlyArray<Mutation> = [
  {
    mistake: "gap off by one",
    runs: 200,
    edits: [[core, "eventTs <= sessions.endedAt(session) + gapMs", "eventTs < sessions.endedAt(session) + gapMs"]]
  },
  {
    mistake: "gap off by one when sessions are rebuilt",
    runs: 300,
    scenario: "takes a session back whose two halves, from both sides of a merge, lie exactly the gap apart",
    edits: [[parts, "parts.startedAt > endedAt + gapMs", "parts.startedAt >= endedAt + gapMs"]]
  },
  {
    mistake: "lateness off by one",
    runs: 200,
    edits: [[core, "else if (eventTs < this.seenFrom)", "else if (eventTs <= this.seenFrom)"]]
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
    runs: 2_500,
    edits: [[
      seen,
      "if (this.#base + relative - 1 >= seenFrom) return true",
      "const slice = 5 * 3_600_000\n      if (Math.floor((this.#base + relative - 1) / slice) >= Math.floor(seenFrom / slice)) return true"
    ]]
  },
  {
    mistake: "ids not read back in recovery",
    runs: 400,
    edits: [[
      core,
      "if (eventTs >= this.seenFrom) this.#seen.remember",
      "if (eventTs > 1e15) this.#seen.remember"
    ]]
  },
  {
    mistake: "window replay from watermark - lateness without the longest window",
    runs: 200,
    edits: [[core, "return this.seenFrom - this.#rules.longestWindowMs", "return this.seenFrom"]]
  },
  {
    mistake: "bound of open sessions read as FINAL, without tombstones",
    runs: 8_000,
    scenario: "dies when the tombstone of the earlier session has landed, but not the row of the merged one",
    edits: [[
      memory,
      `row["partition"] === partition && row["ended_at"] >= reachableFrom`,
      `row["merged_into"] === "" && row["partition"] === partition && row["ended_at"] >= reachableFrom`
    ]]
  },
  {
    mistake: "bound of open sessions filtered by the checkpoint before taking the newest row",
    runs: 200,
    edits: [[
      memory,
      `row["partition"] === partition && row["ended_at"] >= reachableFrom`,
      `row["version"] <= (this.checkpoints().find((c) => c.partition === partition)?.position.offset ?? 0) && row["partition"] === partition && row["ended_at"] >= reachableFrom`
    ]]
  },
  {
    mistake: "a tombstone that does not carry the range of the merged session",
    randomRuns: 11_683,
    scenario: "dies when only the tombstone of a long session has landed, whose start is out of reach",
    edits: [[
      core,
      "startedAt: sessions.startedAt(survivor) as EpochMillis,\n        endedAt: sessions.endedAt(survivor) as EpochMillis,",
      "startedAt: Number.parseInt(gone[0]!.slice(0, 12), 16) as EpochMillis,\n        endedAt: Number.parseInt(gone[0]!.slice(0, 12), 16) as EpochMillis,"
    ]]
  },
  {
    mistake: "session_id of an event taken at the flush instead of at acceptance",
    runs: 200,
    edits: [[
      blocks,
      "values: of((events) => events.sessionId)",
      "values: flushes.map(({ changes }) => TextColumn.of([...changes.events.sessionId].map((id) => changes.tombstones.findLast((t) => t.absorbedId === id)?.mergedInto ?? id)))"
    ]]
  },
  {
    mistake: "tombstone not re-pointed through a chain",
    runs: 700,
    edits: [[core, "[sessions.id(other), ...sessions.absorbed(other)]", "[sessions.id(other)]"]]
  },
  {
    mistake: "tombstone left out because the flush netted it away",
    runs: 200,
    edits: [[
      blocks,
      "const graves = flushes.flatMap(({ changes, partition }) =>\n    changes.tombstones.map(",
      "const graves = flushes.flatMap(({ changes, partition }) =>\n    changes.tombstones.filter((t) => ![...changes.events.sessionId].some((id, i) => id === t.absorbedId && changes.events.eventTs[i] === openedAtOf(t.absorbedId))).map("
    ]]
  },
  {
    mistake: "withdrawn finding left out because the flush netted it away",
    runs: 1_500,
    scenario: "dies when a raised finding has landed, and the next one withdraws it before its first flush",
    edits: [[
      blocks,
      "changes.findings.map((finding) => ({ partition, finding }))",
      "changes.findings.filter((f) => f.standing || f.foundAtOffset < (changes.events.offset[0] ?? 0)).map((finding) => ({ partition, finding }))"
    ]]
  },
  {
    mistake: "tombstones cleaned up while an older row is in flight",
    runs: 1_500,
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
      sessions,
      "      this.#doubles[at + endedAtAt] = eventTs\n      this.#setText",
      "      this.#doubles[at + endedAtAt] = eventTs\n    }\n    {\n      this.#setText"
    ]]
  },
  {
    mistake: "entry of a session by arrival",
    runs: 200,
    edits: [[
      sessions,
      "      this.#doubles[at + startedAtAt] = eventTs\n      this.#setText",
      "      this.#doubles[at + startedAtAt] = eventTs\n      if (this.#words[word + eventsAt] === 0) this.#setText"
    ]]
  },
  {
    mistake: "entry of a rebuilt session by time without offset",
    runs: 10_000,
    scenario: "takes a session back whose two last events, from both sides of a merge, have the same time",
    edits: [[
      sessions,
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
    runs: 450,
    edits: [[core, "if (this.#sessions.version(each) > durable) return Infinity\n", "\n"]]
  },
  {
    mistake: "a merge keeps the id of the earlier session instead of the lower offset",
    runs: 200,
    edits: [[
      core,
      "sessions.openedOffset(earlier) < sessions.openedOffset(later)",
      "sessions.startedAt(earlier) < sessions.startedAt(later)"
    ]]
  },
  {
    mistake: "version of a merged session not that of the merging record",
    runs: 200,
    edits: [[
      sessions,
      "this.#doubles[at + versionAt] = offset + 1\n    for (",
      "this.#doubles[at + versionAt] = Math.max(this.#doubles[at + versionAt]!, this.#doubles[otherAt + openedOffsetAt]! + 1)\n    for ("
    ]]
  },
  {
    mistake: "gap one too long",
    runs: 250,
    edits: [
      [core, "eventTs <= sessions.endedAt(session) + gapMs", "eventTs <= sessions.endedAt(session) + gapMs + 1"]
    ]
  },
  {
    mistake: "gap off by one before a session",
    runs: 200,
    edits: [
      [core, "sessions.startedAt(session) - gapMs > eventTs", "sessions.startedAt(session) - gapMs >= eventTs"]
    ]
  },
  {
    mistake: "gap off by one where an event bridges two sessions",
    runs: 200,
    edits: [
      [
        core,
        "sessions.startedAt(session) <= sessions.endedAt(before) + gapMs",
        "sessions.startedAt(session) < sessions.endedAt(before) + gapMs"
      ]
    ]
  },
  {
    mistake: "groups of a rebuilt session compared with the last group's end instead of the latest",
    runs: 10_000,
    edits: [
      [parts, "Math.max(endedAt, parts.endedAt)", "parts.endedAt"]
    ]
  },
  {
    mistake: "lateness one too long",
    runs: 200,
    edits: [
      [core, "else if (eventTs < this.seenFrom)", "else if (eventTs < this.seenFrom - 1)"]
    ]
  },
  {
    mistake: "an id forgotten one millisecond early",
    runs: 1_500,
    edits: [
      [
        seen,
        "if (this.#base + relative - 1 >= seenFrom) return true",
        "if (this.#base + relative - 1 > seenFrom) return true"
      ]
    ]
  },
  {
    mistake: "an id remembered one millisecond longer",
    runs: 15_000,
    edits: [
      [
        seen,
        "if (this.#base + relative - 1 >= seenFrom) return true",
        "if (this.#base + relative - 1 >= seenFrom - 1) return true"
      ]
    ]
  },
  {
    mistake: "an id at the bound not read back in recovery",
    runs: 15_000,
    edits: [
      [
        core,
        "if (eventTs >= this.seenFrom) this.#seen",
        "if (eventTs > this.seenFrom) this.#seen"
      ]
    ]
  },
  {
    mistake: "a duplicate moves the watermark",
    runs: 1_500,
    edits: [
      [
        core,
        "outcome = Outcome.duplicate\n",
        "outcome = Outcome.duplicate\n          if (eventTs > this.#watermark) this.#watermark = eventTs\n"
      ]
    ]
  },
  {
    mistake: "a rejected record moves the watermark",
    runs: 200,
    edits: [
      [
        core,
        "outcome = Outcome.rejected\n",
        "outcome = Outcome.rejected\n          if (eventTs > this.#watermark) this.#watermark = eventTs\n"
      ]
    ]
  },
  {
    mistake: "reach of sessions without the gap",
    runs: 200,
    edits: [
      [core, "return this.seenFrom - this.#horizonMs", "return this.seenFrom"]
    ]
  },
  {
    mistake: "reach of visitors without the longest window",
    runs: 45_000,
    edits: [
      [settings, "Math.max(settings.gapMs, longestWindowMs(settings))", "settings.gapMs"]
    ]
  },
  {
    mistake: "a session at the bound of reach dropped from memory",
    runs: 1_500,
    edits: [
      [
        "src/sessionizer/SessionChains.ts",
        "this.#sessions.endedAt(session) >= reachableFrom",
        "this.#sessions.endedAt(session) > reachableFrom"
      ]
    ]
  },
  {
    mistake: "a visitor at the bound of reach dropped from memory",
    runs: 2_000,
    edits: [
      [core, "if (endedAt < this.reachableFrom) this.#drop", "if (endedAt <= this.reachableFrom) this.#drop"]
    ]
  },
  {
    mistake: "a cold visitor at the bound of reach not read back",
    runs: 3_000,
    edits: [
      [
        cold,
        "this.#endedAt[at]! * 1_000 < reachable ? undefined",
        "this.#endedAt[at]! * 1_000 <= reachable ? undefined"
      ]
    ]
  },
  {
    mistake: "a cold visitor at the bound of reach swept out",
    runs: 40_000,
    edits: [
      [cold, "old.endedAt[each]! * 1_000 < reachable", "old.endedAt[each]! * 1_000 <= reachable"]
    ]
  },
  {
    mistake: "an evicted visitor read back from the end of its sessions",
    runs: 2_000,
    edits: [
      [
        core,
        "this.cold.add(this.#visitors.hash(visitor) & positive, from,",
        "this.cold.add(this.#visitors.hash(visitor) & positive, this.#sessions.endedAt(newest),"
      ]
    ]
  },
  {
    mistake: "a visitor evicted one record before its changes are durable",
    runs: 2_500,
    edits: [
      [core, "this.#sessions.version(each) > durable", "this.#sessions.version(each) > durable + 1"]
    ]
  },
  {
    mistake: "absorbed ids forgotten in recovery",
    runs: 9_000,
    edits: [
      [sessions, "if (groups.length > 1) {", "if (groups.length > 1e9) {"]
    ]
  },
  {
    mistake: "exit of a session by time without offset",
    runs: 200,
    edits: [
      [
        sessions,
        "if (eventTs >= this.#doubles[at + endedAtAt]!) {",
        "if (this.#words[word + eventsAt] === 0 || eventTs > this.#doubles[at + endedAtAt]!) {"
      ]
    ]
  },
  {
    mistake: "entry of a session by time without offset",
    runs: 200,
    edits: [
      [sessions, "|| eventTs < this.#doubles[at + startedAtAt]!", "|| eventTs <= this.#doubles[at + startedAtAt]!"]
    ]
  },
  {
    mistake: "a finding raised again keeps the record that raised it first",
    runs: 700,
    edits: [
      [clicks, "if (stands && !finding.standing) {", "if (stands && !finding.raised) {"]
    ]
  },
  {
    mistake: "windows of clicks that were read back are judged as if nobody had looked at them",
    runs: 700,
    edits: [[clicks, "if (to - from <= clicksBelow) return false", "if (to - from > 0) return false"]]
  },
  {
    mistake: "who was evicted meanwhile is read back as he was before",
    runs: 5_000,
    edits: [[core, "if (this.#hasEvicted) return", "if (this.#hasEvicted && this.cold.size === 0) return"]]
  },
  {
    mistake: "a visitor read back before it is seen, with the end of its session only",
    runs: 5_000,
    edits: [[
      core,
      "if (from !== undefined && from >= readFrom) this.load(history)",
      "if (from !== undefined) this.load(history)"
    ]]
  },
  {
    mistake: "touched days under way beside the checkpoint",
    runs: 200,
    edits: [
      [
        blocks,
        "[touchedDaysBlock(flushes, identity.settings)],\n    [decisionHashesBlock(flushes, identity)],\n    [checkpointsBlock(flushes, identity)]",
        "[touchedDaysBlock(flushes, identity.settings), decisionHashesBlock(flushes, identity), checkpointsBlock(flushes, identity)]"
      ]
    ]
  },
  {
    mistake: "a flush's row that goes on changing",
    runs: 20_000,
    edits: [
      [sessions, "new Map([...amounts].sort(([a], [b]) => a < b ? -1 : 1))", "amounts"]
    ]
  },
  {
    mistake: "who is cold taken for known before it is read",
    runs: 400,
    edits: [[
      core,
      "this.cold.isComplete = this.idsComplete = position.watermark === -Infinity",
      "this.idsComplete = position.watermark === -Infinity"
    ]]
  },
  {
    mistake: "ids taken for read back when only the visitors are",
    runs: 3_000,
    edits: [[
      recollection,
      "core.cold.isComplete = true",
      "core.cold.isComplete = core.idsComplete = true"
    ]]
  },
  {
    mistake: "ids taken for read back before anything is",
    runs: 400,
    edits: [[
      core,
      "this.cold.isComplete = this.idsComplete = position.watermark === -Infinity",
      "this.cold.isComplete = position.watermark === -Infinity"
    ]]
  },
  {
    mistake: "an unknown visitor's bound taken from the newest session",
    runs: 200,
    edits: [[memory, 'Math.min(least, row["started_at"]), Infinity)', 'row["ended_at"], Infinity)']]
  }
]
