/** What must hold after a run: the warehouse, read as its views read it, equals the oracle. */
import type { MemoryWarehouse, Row } from "./MemoryWarehouse.ts"
import { stringify } from "./MemoryWarehouse.ts"
import type { OraclePartition } from "./Oracle.ts"
import { oracle } from "./Oracle.ts"
import type { Scenario } from "./Scenario.ts"

/** What a warehouse must agree with. */
export type Truth = Pick<Scenario, "settings" | "log">

export const check = (scenario: Truth, warehouse: MemoryWarehouse): ReadonlyArray<string> => {
  const truths = scenario.log.map((records) => oracle(records, scenario.settings))
  return [
    ...checkOutcomes(scenario, warehouse, truths),
    ...checkSessions(warehouse, truths),
    ...checkAliases(warehouse, truths),
    ...checkFindings(warehouse, truths),
    ...checkTouchedDays(warehouse, truths),
    ...checkGaps(scenario, warehouse),
    ...checkDecisionHashes(warehouse),
    ...checkCheckpoints(scenario, warehouse, truths)
  ]
}

const outcomeTables = {
  late_events: "late",
  rejected_records: "rejected",
  dead_letters: "deadLettered",
  control_records: "control"
} as const

const checkOutcomes = (scenario: Truth, warehouse: MemoryWarehouse, truths: ReadonlyArray<OraclePartition>) => {
  const stored = scenario.log.map(() => new Map<number, { outcome: string; session: string | undefined }>())
  const violations: Array<string> = []
  const put = (row: Row, outcome: string, session?: string) => {
    const before = stored[row["partition"]]!.get(row["offset"])
    if (before !== undefined) {
      violations.push(`record ${row["partition"]}/${row["offset"]} is both ${before.outcome} and ${outcome}`)
    }
    stored[row["partition"]]!.set(row["offset"], { outcome, session })
  }
  for (const row of warehouse.rows("events_raw")) put(row, "accepted", row["session_id"])
  for (const [table, outcome] of Object.entries(outcomeTables)) {
    for (const row of warehouse.rows(table)) put(row, outcome)
  }
  for (const [partition, truth] of truths.entries()) {
    for (const [offset, outcome] of truth.outcomes.entries()) {
      const found = stored[partition]!.get(offset)
      const expected = outcome === "duplicate" ? undefined : outcome
      if (found?.outcome !== expected) {
        violations.push(`record ${partition}/${offset}: ${found?.outcome} instead of ${expected}`)
      } else if (found?.session !== truth.sessionAtAcceptance[offset]) {
        violations.push(
          `record ${partition}/${offset}: accepted into ${found?.session}, not ${truth.sessionAtAcceptance[offset]}`
        )
      }
    }
  }
  return violations
}

/** Rows of both sides under the same key must have the same text in the columns of the oracle. */
const compare = (
  what: string,
  found: ReadonlyMap<string, Row>,
  expected: ReadonlyMap<string, Row>
): ReadonlyArray<string> => {
  const violations: Array<string> = []
  for (const [id, truth] of expected) {
    const row = found.get(id)
    if (row === undefined) violations.push(`${what} ${id} is missing: ${stringify(truth)}`)
    else {
      const seen = stringify(Object.fromEntries(Object.keys(truth).map((name) => [name, row[name]])))
      if (seen !== stringify(truth)) violations.push(`${what} ${id} is\n  ${seen}\ninstead of\n  ${stringify(truth)}`)
    }
  }
  for (const id of found.keys()) if (!expected.has(id)) violations.push(`${what} ${id} should not stand`)
  return violations
}

const checkSessions = (warehouse: MemoryWarehouse, truths: ReadonlyArray<OraclePartition>) =>
  compare(
    "session",
    new Map(
      warehouse.rows("sessions_raw").filter((row) => row["merged_into"] === "").map((row) => [row["session_id"], row])
    ),
    new Map(truths.flatMap((truth) => [...truth.sessions]).map(([id, session]) => [id, session as unknown as Row]))
  )

const checkAliases = (warehouse: MemoryWarehouse, truths: ReadonlyArray<OraclePartition>) => {
  const expected = new Map(
    truths.flatMap((truth) => [...truth.aliases]).map(([absorbed, alias]) => [absorbed, alias as Row])
  )
  const tombstones = warehouse.rows("sessions_raw").filter((row) => row["merged_into"] !== "")
  return [
    ...compare("alias", new Map(warehouse.rows("session_aliases").map((row) => [row["absorbed_id"], row])), expected),
    ...compare(
      "tombstone",
      new Map(
        tombstones.map((row) => [row["session_id"], { session_id: row["merged_into"], version: row["version"] }])
      ),
      expected
    )
  ]
}

const checkFindings = (warehouse: MemoryWarehouse, truths: ReadonlyArray<OraclePartition>) => {
  const aliases = new Map(warehouse.rows("session_aliases").map((row) => [row["absorbed_id"], row["session_id"]]))
  const standing = warehouse.rows("findings_raw").filter((row) => row["withdrawn"] === 0)
    .map((row) => ({ ...row, session_id: aliases.get(row["session_id"]) ?? row["session_id"] }) as Row)
  return compare(
    "finding",
    new Map(standing.map((row) => [row["finding_id"], row])),
    new Map(truths.flatMap((truth) => [...truth.findings]).map(([id, finding]) => [id, finding as unknown as Row]))
  )
}

const checkTouchedDays = (warehouse: MemoryWarehouse, truths: ReadonlyArray<OraclePartition>) => {
  const found = new Map(
    warehouse.rows("touched_days").map((row) => [
      `${row["partition"]}/${row["kind"]}/${row["quarter"]}`,
      row["version"] as number
    ])
  )
  return truths.flatMap((truth, partition) =>
    [...truth.touched].flatMap(([quarter, version]) => {
      const seen = found.get(`${partition}/${quarter}`) ?? 0
      return seen >= version ?
        [] :
        [`quarter ${partition}/${quarter} was touched at version ${version}, but touched_days says ${seen}`]
    })
  )
}

/** No two living sessions of a visitor lie within the gap: holds by itself, whatever the oracle says. */
const checkGaps = (scenario: Truth, warehouse: MemoryWarehouse) => {
  const living = warehouse.rows("sessions_raw").filter((row) => row["merged_into"] === "")
  return [...Map.groupBy(living, (row) => row["visitor_id"] as string).values()].flatMap((sessions) => {
    sessions.sort((a, b) => a["started_at"] - b["started_at"])
    return sessions.slice(1).flatMap((session, i) =>
      session["started_at"] - sessions[i]!["ended_at"] > scenario.settings.gapMs ?
        [] :
        [`sessions ${sessions[i]!["session_id"]} and ${session["session_id"]} lie within the gap`]
    )
  })
}

/** Every run that passed an offset must have had the same hash there. */
const checkDecisionHashes = (warehouse: MemoryWarehouse) => {
  const hashes = new Map<string, bigint>()
  return warehouse.rows("decision_hashes").flatMap((row) => {
    const place = `${row["partition"]}/${row["offset"]}`
    const other = hashes.get(place)
    hashes.set(place, row["hash"])
    return other === undefined || other === row["hash"] ? [] : [`decision hashes differ at ${place}`]
  })
}

const checkCheckpoints = (scenario: Truth, warehouse: MemoryWarehouse, truths: ReadonlyArray<OraclePartition>) =>
  warehouse.checkpoints().flatMap(({ partition, position: { counts, offset, watermark } }) => {
    const { watermark: expectedWatermark } = truths[partition]!
    const outcomes = truths[partition]!.outcomes.filter((outcome) => outcome !== "control")
    const expected: Record<string, number> = {
      received: outcomes.length,
      accepted: 0,
      duplicate: 0,
      late: 0,
      rejected: 0,
      deadLettered: 0
    }
    for (const outcome of outcomes) expected[outcome]!++
    const violations: Array<string> = []
    if (offset !== scenario.log[partition]!.length) {
      violations.push(`partition ${partition}: checkpoint at ${offset}, not at the end`)
    }
    if (watermark !== expectedWatermark) {
      violations.push(`partition ${partition}: watermark ${watermark} instead of ${expectedWatermark}`)
    }
    if (JSON.stringify(counts) !== JSON.stringify(expected)) {
      violations.push(
        `partition ${partition}: counters ${JSON.stringify(counts)} instead of ${JSON.stringify(expected)}`
      )
    }
    return violations
  })
