/**
 * The engine's configuration file. It is read once, at start: the embedded engine neither reloads it nor has a store for
 * CREATE USER, so users, their rights and their limits all stand here.
 */
import { Redacted } from "effect"
import { createHash } from "node:crypto"
import { databaseName, userNames } from "./Credentials.ts"
import type { Credentials, WarehouseRole } from "./Credentials.ts"

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

export interface ServerConfigOptions {
  /** Where this text will be stored: the engine must be told that the users stand in the same file. */
  readonly path: string
  /** Comes back in the header X-ClickHouse-Server-Display-Name: how we know our own server. */
  readonly identity: string
  /** All queries and merges together, bytes. */
  readonly memoryBytesMax: number
  readonly analyst: AnalystLimits
  readonly credentials: Credentials
}

export const serverConfig = (options: ServerConfigOptions): string =>
  `<clickhouse>
  <display_name>${xml(options.identity)}</display_name>
  <users_config>${xml(options.path)}</users_config>
  <timezone>UTC</timezone>
  <max_server_memory_usage>${options.memoryBytesMax}</max_server_memory_usage>
  <enable_webterminal>false</enable_webterminal>
${background}
${queryLog}
${diskReserve}
  <access_control_improvements>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
    <table_engines_require_grant>true</table_engines_require_grant>
  </access_control_improvements>
  <profiles>
    <default/>
    ${engineProfile}
    ${writerProfile}
    ${readerProfile}
    ${analystProfile(options.analyst)}
  </profiles>
  <quotas><default/></quotas>
  <users>
    ${user("default", "<no_password/>", "engine", engineGrants)}
    ${roles.map((role) => user(userNames[role], secret(options.credentials[role]), role, grants[role])).join("\n    ")}
  </users>
</clickhouse>
`

const roles: ReadonlyArray<WarehouseRole> = ["writer", "reader", "analyst"]

/**
 * For two cores. Under the engine's local defaults two threads run all refreshes of views and a replaced part is deleted at
 * once; merged parts are not fsynced, so the sources of a merge stay until the system has written it back by itself.
 */
const background = `  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <mark_cache_size>134217728</mark_cache_size>
  <merge_tree>
    <old_parts_lifetime>120</old_parts_lifetime>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
  </merge_tree>`

const queryLog = `  <query_log>
    <database>system</database><table>query_log</table>
    <partition_by>event_date</partition_by>
    <ttl>event_date + INTERVAL 3 DAY DELETE</ttl>
    <flush_interval_milliseconds>7500</flush_interval_milliseconds>
    <max_size_rows>16384</max_size_rows><reserved_size_rows>1024</reserved_size_rows>
  </query_log>`

/**
 * Inserts and merges stop (code 243) while this much is still free: on a disk without a free byte, a DDL statement of this
 * version reports success and leaves an empty file where the table's definition was.
 */
const diskReserve = `  <storage_configuration><disks><default>
    <keep_free_space_bytes>33554432</keep_free_space_bytes>
  </default></disks></storage_configuration>`

/**
 * The engine's own session signs in as `default`, from 127.0.0.1, without a password, and nothing changes that. So `default`
 * may do what that session needs and nothing else.
 */
const engineProfile = "<engine><max_threads>1</max_threads><max_memory_usage>100000000</max_memory_usage></engine>"
const engineGrants = ["GRANT SYSTEM LISTEN ON *.*", "GRANT SELECT ON system.numbers"]

/** 64-bit integers and decimals as strings: a JavaScript number cannot hold them. */
const exactJson = "<output_format_json_quote_64bit_integers>1</output_format_json_quote_64bit_integers>" +
  "<output_format_json_quote_decimals>1</output_format_json_quote_decimals>" +
  "<allow_introspection_functions>0</allow_introspection_functions>"

/** Read-only for data, free in settings. A client that goes away takes its query with it. */
const readOnly = "<readonly>2</readonly>" +
  "<cancel_http_readonly_queries_on_client_close>1</cancel_http_readonly_queries_on_client_close>"

/**
 * Ingestion goes first: statements with a greater number wait, block by block, while one with a smaller number runs. Those without
 * a number (the reader's) neither wait nor are waited for.
 */
const writerPriority = 1
const analystPriority = 10

const writerProfile = `<writer>${exactJson}
      <priority>${writerPriority}</priority>
      <async_insert>0</async_insert><insert_deduplicate>0</insert_deduplicate>
      <max_insert_threads>1</max_insert_threads><max_partitions_per_insert_block>0</max_partitions_per_insert_block>
    </writer>`

const readerProfile = `<reader>${exactJson}${readOnly}</reader>`

/** When the whole server is short of memory, the statement that is furthest above this is ended first, bytes. */
const analystMemoryGuaranteed = 50_000_000

/** Constraints, because `readonly` 2 lets the user change settings; 0 means no limit, hence the lower bounds. */
const analystProfile = (limits: AnalystLimits): string => {
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

const grants: Readonly<Record<WarehouseRole, ReadonlyArray<string>>> = {
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

const user = (name: string, authentication: string, profile: string, granted: ReadonlyArray<string>): string =>
  `<${name}>${authentication}<networks><ip>127.0.0.1</ip></networks>` +
  `<profile>${profile}</profile><quota>default</quota>` +
  `<grants>${granted.map((statement) => element("query", statement)).join("")}</grants></${name}>`

const secret = (password: Redacted.Redacted): string =>
  element("password_sha256_hex", createHash("sha256").update(Redacted.value(password)).digest("hex"))

const element = (name: string, content: string | number): string => `<${name}>${content}</${name}>`

const xml = (text: string): string => text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`)
