/**
 * The engine's configuration file. It is read once, at start: the embedded engine neither reloads it nor has a store for
 * CREATE USER, so users, their rights and their limits all stand here.
 */
import { Redacted } from "effect"
import { createHash } from "node:crypto"
import { userNames } from "./Credentials.ts"
import type { Credentials, WarehouseRole } from "./Credentials.ts"
import { analystProfile, element, grants, readerProfile, writerProfile } from "./Users.ts"
import type { AnalystLimits } from "./Users.ts"

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
${accessControl}
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
export const background = `  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <mark_cache_size>134217728</mark_cache_size>
  <merge_tree>
    <old_parts_lifetime>120</old_parts_lifetime>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
  </merge_tree>`

export const queryLog = `  <query_log>
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
export const diskReserve = `  <storage_configuration><disks><default>
    <keep_free_space_bytes>33554432</keep_free_space_bytes>
  </default></disks></storage_configuration>`

/** Nobody sees or makes what was not granted. */
export const accessControl = `  <access_control_improvements>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
    <table_engines_require_grant>true</table_engines_require_grant>
  </access_control_improvements>`

/**
 * The engine's own session signs in as `default`, from 127.0.0.1, without a password, and nothing changes that. So `default`
 * may do what that session needs and nothing else.
 */
const engineProfile = "<engine><max_threads>1</max_threads><max_memory_usage>100000000</max_memory_usage></engine>"
const engineGrants = ["GRANT SYSTEM LISTEN ON *.*", "GRANT SELECT ON system.numbers"]

const user = (name: string, authentication: string, profile: string, granted: ReadonlyArray<string>): string =>
  `<${name}>${authentication}<networks><ip>127.0.0.1</ip></networks>` +
  `<profile>${profile}</profile><quota>default</quota>` +
  `<grants>${granted.map((statement) => element("query", statement)).join("")}</grants></${name}>`

const secret = (password: Redacted.Redacted): string =>
  element("password_sha256_hex", createHash("sha256").update(Redacted.value(password)).digest("hex"))

const xml = (text: string): string => text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`)
