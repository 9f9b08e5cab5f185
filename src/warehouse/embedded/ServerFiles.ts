/**
 * The configuration of a ClickHouse server of its own, as files for `config.d` and `users.d`: the same users, rights, limits and
 * background settings as the embedded engine has. `docker/clickhouse` holds them as written by `docker/clickhouse/write.ts`.
 */
import { userNames } from "./Credentials.ts"
import type { WarehouseRole } from "./Credentials.ts"
import { accessControl, background, diskReserve, queryLog } from "./ServerConfig.ts"
import { analystProfile, element, grants, readerProfile, writerProfile } from "./Users.ts"
import type { AnalystLimits } from "./Users.ts"

const notice = "<!-- Written by docker/clickhouse/write.ts; a test holds it equal to what the embedded engine has. -->"

/** Logs of the server that nobody reads here and that grow without end. */
const droppedLogs = ["metric_log", "asynchronous_metric_log", "trace_log", "text_log", "processors_profile_log"]

/** `config.d/guardian.xml` */
export const serverConfigFile = (): string =>
  `${notice}
<clickhouse>
  <timezone>UTC</timezone>
  <!-- Of the container's limit. -->
  <max_server_memory_usage_to_ram_ratio>0.8</max_server_memory_usage_to_ram_ratio>
${background}
${queryLog.replace("<query_log>", `<query_log replace="1">`)}
${droppedLogs.map((name) => `  <${name} remove="1"/>`).join("\n")}
${diskReserve}
${accessControl}
</clickhouse>
`

/** Where each password comes from: the environment of the server. */
export const passwordVariables: Readonly<Record<WarehouseRole, string>> = {
  writer: "CLICKHOUSE_WRITER_PASSWORD",
  reader: "CLICKHOUSE_READER_PASSWORD",
  analyst: "CLICKHOUSE_ANALYST_PASSWORD"
}

/** `users.d/guardian.xml` */
export const serverUsersFile = (limits: AnalystLimits): string =>
  `${notice}
<clickhouse>
  <profiles>
    ${writerProfile}
    ${readerProfile}
    ${analystProfile(limits)}
  </profiles>
  <users>
    ${(["writer", "reader", "analyst"] as const).map(user).join("\n    ")}
  </users>
</clickhouse>
`

const user = (role: WarehouseRole): string =>
  `<${userNames[role]}>
      <password from_env="${passwordVariables[role]}"/>
      <networks><ip>::/0</ip></networks>
      <profile>${role}</profile>
      <quota>default</quota>
      <grants>
${grants[role].map((statement) => `        ${element("query", statement)}`).join("\n")}
      </grants>
    </${userNames[role]}>`
