/**
 * The warehouse's users: what they may do and how much they may take. The same for the embedded engine and for a server of its own
 * (`docker/clickhouse`).
 */
import { databaseName } from "./Credentials.ts"
import type { WarehouseRole } from "./Credentials.ts"

/** What analysts may take: a statement each, and all of theirs together. What is left is for ingestion. */
export interface AnalystLimits {
  readonly executionSecondsMax: number
  /** Of one statement. */
  readonly memoryBytesMax: number
  /** Of all their statements at a time. */
  readonly memoryBytesTogetherMax: number
  /** Of one statement. */
  readonly threadsMax: number
  readonly resultRowsMax: number
  readonly concurrentQueriesMax: number
  /** On disk, for sorts and groups that do not fit into memory; all their statements together. */
  readonly temporaryBytesMax: number
}

/** 64-bit integers and decimals as strings: a JavaScript number cannot hold them. */
const exactJson = "<output_format_json_quote_64bit_integers>1</output_format_json_quote_64bit_integers>" +
  "<output_format_json_quote_decimals>1</output_format_json_quote_decimals>" +
  "<allow_introspection_functions>0</allow_introspection_functions>"

/** Read-only for data, free in settings. A client that goes away takes its query with it. */
const readOnly = "<readonly>2</readonly>" +
  "<cancel_http_readonly_queries_on_client_close>1</cancel_http_readonly_queries_on_client_close>"

/**
 * Statements with a greater number wait, block by block, while one with a smaller number runs; those without a number (the reader's)
 * neither wait nor are waited for. Ingestion goes first: inserts say that they have 1. What else the writer does comes behind them, and
 * so do the KPI views, which run as the user who made them.
 */
const writerPriority = 5
/** The same for the kernel, where the engine has CAP_SYS_NICE (else it does nothing): views at work take only what others leave of the CPU. */
const writerNice = 15
const analystPriority = 10

export const writerProfile = `<writer>${exactJson}
      <priority>${writerPriority}</priority>
      <os_thread_priority>${writerNice}</os_thread_priority>
      <async_insert>0</async_insert><insert_deduplicate>0</insert_deduplicate>
      <max_insert_threads>1</max_insert_threads><max_partitions_per_insert_block>0</max_partitions_per_insert_block>
    </writer>`

export const readerProfile = `<reader>${exactJson}${readOnly}</reader>`

/** When the whole server is short of memory, the statement that is furthest above this is ended first, bytes. */
const analystMemoryGuaranteed = 50_000_000

/** Constraints, because `readonly` 2 lets the user change settings; 0 means no limit, hence the lower bounds. */
export const analystProfile = (limits: AnalystLimits): string => {
  const bounded: ReadonlyArray<readonly [string, number]> = [
    ["max_execution_time", limits.executionSecondsMax],
    ["max_memory_usage", limits.memoryBytesMax],
    ["max_threads", limits.threadsMax],
    ["max_result_rows", limits.resultRowsMax]
  ]
  const fixed: ReadonlyArray<readonly [string, number | string]> = [
    ["priority", analystPriority],
    ["max_memory_usage_for_user", limits.memoryBytesTogetherMax],
    ["memory_overcommit_ratio_denominator", analystMemoryGuaranteed],
    ["memory_overcommit_ratio_denominator_for_user", analystMemoryGuaranteed],
    ["max_temporary_data_on_disk_size_for_user", limits.temporaryBytesMax],
    ["max_concurrent_queries_for_user", limits.concurrentQueriesMax],
    ["result_overflow_mode", "throw"],
    ["timeout_overflow_mode", "throw"]
  ]
  return `<analyst>${exactJson}${readOnly}
      ${[...bounded, ...fixed].map(([name, value]) => element(name, value)).join("")}
      <constraints>
        ${bounded.map(([name, max]) => element(name, `<min>1</min><max>${max}</max>`)).join("")}
        ${fixed.map(([name]) => element(name, "<const/>")).join("")}
        <cancel_http_readonly_queries_on_client_close><const/></cancel_http_readonly_queries_on_client_close>
      </constraints>
    </analyst>`
}

/** The database, and those beside it into which a log is processed again: `guardian_*`. */
const databases = [`${databaseName}.*`, `${databaseName}_*.*`]

const tableEngines = [
  "Atomic",
  "MergeTree",
  "ReplacingMergeTree",
  "AggregatingMergeTree",
  "SummingMergeTree",
  "Memory",
  "Null",
  "Dictionary"
]

/** What a client asks for to list and describe tables. Rows show only what the user may see. */
const catalogue = [
  "one",
  "numbers",
  "databases",
  "tables",
  "parts",
  "columns",
  "data_skipping_indices",
  "functions",
  "settings",
  "formats",
  "data_type_families",
  "time_zones",
  "build_options",
  "table_functions",
  "completions"
].map((table) => `GRANT SELECT ON system.${table}`)

export const grants: Readonly<Record<WarehouseRole, ReadonlyArray<string>>> = {
  writer: [
    ...databases.map((database) =>
      "GRANT SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE, CHECK, SHOW, dictGet," +
      " CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY," +
      " DROP DATABASE, DROP TABLE, DROP VIEW, DROP DICTIONARY, UNDROP TABLE," +
      ` SYSTEM VIEWS, SYSTEM MERGES, SYSTEM TTL MERGES ON ${database}`
    ),
    ...tableEngines.map((engine) => `GRANT TABLE ENGINE ON ${engine}`),
    "GRANT CREATE TEMPORARY TABLE ON *.*",
    "GRANT SYSTEM FLUSH LOGS, SYSTEM RELOAD DICTIONARY ON *.*",
    "GRANT KILL QUERY ON *.*",
    "GRANT SELECT ON system.*",
    "GRANT SELECT ON information_schema.*"
  ],
  reader: [
    ...databases.map((database) => `GRANT SELECT, SHOW, dictGet ON ${database}`),
    "GRANT SELECT ON system.*",
    "GRANT SELECT ON information_schema.*"
  ],
  analyst: [
    `GRANT SELECT, SHOW, dictGet ON ${databaseName}.*`,
    ...catalogue,
    "GRANT SELECT ON information_schema.*"
  ]
}

export const element = (name: string, content: string | number): string => `<${name}>${content}</${name}>`
