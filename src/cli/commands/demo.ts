import { Effect, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import { randomInt } from "node:crypto"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { collect, CollectorBoard, collectorHost, collectorPort, refuseUnguarded } from "../CollectorServer.ts"
import { withBrokers } from "../DemoCluster.ts"
import { apiPort, dataDir, httpPort, print, rateFlag, tcpPort } from "../Flags.ts"
import { RunningWarehouse } from "../Installation.ts"
import { beat, markLive } from "../LiveLog.ts"
import { liveTraffic } from "../LiveTraffic.ts"
import { refuseOwned } from "../PipelineOwner.ts"
import { process as processLog } from "../Processing.ts"
import { listening, partitionGroup, printStopped, servingLayer } from "./serve.ts"

const rate = rateFlag.pipe(Flag.withDescription("Simulated events per second"), Flag.withDefault(500))

/** Everything embedded, with simulated traffic: what `npm start` runs. */
export const demo = Command.make(
  "demo",
  { dataDir, rate, httpPort, tcpPort, apiPort, collectorHost, collectorPort },
  Effect.fn(function*({ apiPort, collectorHost, collectorPort, dataDir, httpPort, rate, tcpPort }) {
    yield* withBrokers(
      dataDir,
      running({ apiPort, collectorHost, collectorPort, dataDir, httpPort, rate, tcpPort })
    )
  })
).pipe(
  Command.withDescription("Run everything on this machine with simulated traffic; with --log kafka three brokers, too")
)

interface DemoFlags {
  readonly apiPort: number | undefined
  readonly collectorHost: string | undefined
  readonly collectorPort: number | undefined
  readonly dataDir: string
  readonly httpPort: number | undefined
  readonly rate: number
  readonly tcpPort: number | undefined
}

const running = Effect.fnUntraced(
  function*({ apiPort, collectorHost, collectorPort, dataDir, httpPort, rate, tcpPort }: DemoFlags) {
    yield* refuseOwned(dataDir)
    yield* refuseUnguarded(dataDir, { host: collectorHost, port: collectorPort })
    const status = new PipelineStatus()
    yield* print(
      `Clickstream Guardian: starting log, ClickHouse, pipeline and ${rate} simulated events/s in ${dataDir} ...`
    )
    yield* Effect.gen(function*() {
      const board = new CollectorBoard()
      yield* listening({ port: apiPort, pipeline: () => status, collector: () => board.counters })
      yield* printHowToQuery(dataDir)
      yield* markLive(dataDir)
      yield* Effect.raceAllFirst([
        processLog({ dataDirectory: dataDir, until: "stopped", status, group: yield* partitionGroup(dataDir) }),
        collect(dataDir, { host: collectorHost, port: collectorPort }, board),
        beat(dataDir),
        Effect.andThen(
          liveTraffic({ eventsPerSecond: rate, seconds: undefined, seed: randomInt(2 ** 31) }),
          Effect.never
        ),
        Effect.repeat(printCounts(status), Schedule.spaced("2 seconds"))
      ])
    }).pipe(
      Effect.scoped,
      Effect.provide(servingLayer(dataDir, { httpPort, tcpPort })),
      Effect.onInterrupt(() => printStopped(status))
    )
  }
)

const printHowToQuery = Effect.fnUntraced(function*(dataDirectory: string) {
  const warehouse = yield* RunningWarehouse
  const { username } = warehouse.address("analyst")
  const flag = dataDirectory === ".guardian" ? "" : ` --data-dir ${dataDirectory}`
  yield* print(`
ClickHouse answers at ${warehouse.url} (any ClickHouse client). From another terminal:

  npx guardian sql "SELECT * FROM sessions ORDER BY started_at DESC LIMIT 5"${flag}
  npx guardian sql "SELECT rule, visitor_id, window_start, clicks, score FROM anomalies ORDER BY score DESC LIMIT 5"${flag}
  npx guardian lag${flag}

  curl '${warehouse.url}/?database=guardian' --data-binary 'SELECT count() FROM sessions' \\
    -u ${username}:$(node -p "JSON.parse(fs.readFileSync('${dataDirectory}/warehouse/credentials.json')).analyst")

Stop with Ctrl-C; the next start goes on where this one ended.
`)
})

const printCounts = (status: PipelineStatus) =>
  Effect.gen(function*() {
    // Until it has read where it stands, it has no counts.
    if (status.state === "starting") return
    const warehouse = yield* Warehouse
    const answer = yield* Effect.option(warehouse.query(countsSql))
    if (answer._tag === "None") return
    const [row] = answer.value
    const { counts } = status
    yield* print(
      `${new Date().toISOString().slice(11, 19)}  ${number(counts.received)} received: ${
        number(counts.accepted)
      } accepted, ` +
        `${number(counts.duplicate)} duplicate, ${number(counts.late)} late | ${number(row?.["sessions"])} sessions, ` +
        `${number(row?.["findings"])} findings${row?.["newest"] === "" ? "" : `, newest: ${String(row?.["newest"])}`}`
    )
  })

const countsSql = `
SELECT (SELECT count() FROM sessions) AS sessions, count() AS findings,
  if(count() = 0, '', argMax(concat(rule, ' ', visitor_id, ' ', toString(clicks), ' clicks'), found_at_offset)) AS newest
FROM anomalies`

const number = (value: unknown): string => Number(value ?? 0).toLocaleString("en")
