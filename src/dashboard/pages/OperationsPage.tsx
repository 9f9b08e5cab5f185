import { useAnswer } from "../Answer.ts"
import { count, duration } from "../Format.ts"
import { Pager, Switch } from "../parts/Choices.tsx"
import { EventLink, SessionLink } from "../parts/Findings.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Partitions } from "../parts/Partitions.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { Time } from "../parts/Time.tsx"
import { queryOf } from "../Questions.ts"
import { href, place } from "../Route.ts"
import type { AuditRow, GivenVerdictRow, LateRow, One, Pipeline, RefusedRow, Rows, RunRow } from "../Shapes.ts"

const everyMs = 5_000
const shown = 50

const views = {
  lag: "Lag",
  dead: "Dead letters",
  rejected: "Rejected",
  late: "Late",
  audits: "Audits",
  runs: "Runs",
  verdicts: "Verdicts"
} as const

export const OperationsPage = () => {
  const view = place.value.parameters.get("view") ?? "lag"
  return (
    <>
      <Head title="Operations">
        <Switch label="What to look at" parameter="view" choices={views} clears={["cursor"]} />
      </Head>
      {view === "dead" ?
        <Refused key="dead" title="Dead letters" path="dead-letters" what="no event" /> :
        view === "rejected" ?
        (
          <Refused
            key="rejected"
            title="Rejected records"
            path="rejected-records"
            what="an event whose time cannot be"
          />
        ) :
        view === "late" ?
        <Late /> :
        view === "audits" ?
        <Audits /> :
        view === "runs" ?
        <Runs /> :
        view === "verdicts" ?
        <Verdicts /> :
        <Lag />}
    </>
  )
}

const paged = () => queryOf({ limit: shown, cursor: place.value.parameters.get("cursor") })

/** What the KPIs wait for is a costly question. */
const lagEveryMs = 15_000

const Lag = () => {
  const answer = useAnswer<One<Pipeline>>("pipeline", lagEveryMs)
  return (
    <Panel title="Lag" note="records that wait in the log, by partition">
      <Answered answer={answer} lines={6}>
        {({ data: { kpi_backlog, lag, partitions } }) => {
          const backlog = Object.entries(kpi_backlog)
          return (
            <>
              <p class="big">
                {lag === null ? "unknown" : count(lag)} <small>records behind</small>
              </p>
              <Partitions rows={partitions} />
              <p class="note">
                {backlog.length === 0 ?
                  "The KPIs have taken in everything." :
                  `The KPIs have yet to take in: ${
                    backlog.map(([stage, waiting]) => `${stage} ${count(waiting)}`).join(", ")
                  }.`}
              </p>
            </>
          )
        }}
      </Answered>
    </Panel>
  )
}

interface RefusedProps {
  readonly title: string
  readonly path: string
  readonly what: string
}

const Refused = ({ path, title, what }: RefusedProps) => {
  const answer = useAnswer<Rows<RefusedRow>>(path + paged(), everyMs)
  return (
    <Panel title={title} note={`each is ${what}; newest first`}>
      <Answered answer={answer} lines={8}>
        {({ data, next_cursor }) => (
          <>
            {data.length === 0 ? <Empty>None.</Empty> : (
              <Table
                caption={title}
                rows={data}
                keyOf={placeOf}
                columns={[
                  { title: "In the log since", names: true, cell: ({ appended_at }) => <Time at={appended_at} /> },
                  { title: "Place", figure: true, cell: placeOf },
                  { title: "Reason", cell: ({ reason }) => reason },
                  { title: "What is wrong", text: true, cell: ({ detail }) => detail },
                  { title: "Bytes", figure: true, cell: ({ value_bytes }) => count(value_bytes) },
                  {
                    title: "Begins with",
                    text: true,
                    cell: ({ value_base64 }) => <code>{spokenBytes(value_base64)}</code>
                  }
                ]}
              />
            )}
            <Pager next={next_cursor} />
          </>
        )}
      </Answered>
    </Panel>
  )
}

const placeOf = ({ offset, partition }: { readonly partition: number; readonly offset: number }) =>
  `${partition}:${offset}`

/** The first bytes of a record as text; what is no text shows as a dot. */
const bytesShown = 160
const spokenBytes = (base64: string): string => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  const text = new TextDecoder().decode(bytes.subarray(0, bytesShown)).replaceAll(/[\p{Cc}\uFFFD]/gu, "·")
  return bytes.length > bytesShown ? `${text}…` : text
}

const Late = () => {
  const answer = useAnswer<Rows<LateRow>>(`late-events${paged()}`, everyMs)
  return (
    <Panel title="Late events" note="more than the allowed lateness behind the watermark; newest first">
      <Answered answer={answer} lines={8}>
        {({ data, next_cursor }) => (
          <>
            {data.length === 0 ? <Empty>None.</Empty> : (
              <Table
                caption="Late events"
                rows={data}
                keyOf={placeOf}
                columns={[
                  { title: "In the log since", names: true, cell: ({ appended_at }) => <Time at={appended_at} /> },
                  { title: "Happened", cell: ({ event_ts }) => <Time at={event_ts} /> },
                  {
                    title: "Behind",
                    figure: true,
                    cell: ({ event_ts, watermark }) => duration((Date.parse(watermark) - Date.parse(event_ts)) / 1_000)
                  },
                  { title: "Type", cell: ({ event_type }) => event_type },
                  { title: "Event", cell: ({ event_id }) => <EventLink id={event_id} /> },
                  {
                    title: "Visitor",
                    text: true,
                    cell: ({ visitor_id }) => <a href={href("visitor", { id: visitor_id })}>{visitor_id}</a>
                  },
                  { title: "Place", figure: true, cell: placeOf }
                ]}
              />
            )}
            <Pager next={next_cursor} />
          </>
        )}
      </Answered>
    </Panel>
  )
}

const auditRows = 200

const Audits = () => {
  const answer = useAnswer<Rows<AuditRow>>(`audits${queryOf({ limit: auditRows })}`, everyMs)
  return (
    <Panel title="Audits" note="each promise, recomputed from the events; 0 differences is the only good value">
      <Answered answer={answer} lines={8}>
        {({ data }) =>
          data.length === 0 ?
            (
              <Empty>
                No audit has run. One runs every night in serve; <code>npx guardian audit</code> runs one now.
              </Empty>
            ) :
            (
              <Table
                caption="Checks of the newest audits"
                rows={data}
                keyOf={({ audit_id, check_name }) => audit_id + check_name}
                columns={[
                  { title: "Finished", names: true, cell: ({ finished_at }) => <Time at={finished_at} /> },
                  { title: "Scope", cell: ({ scope }) => scope },
                  { title: "Check", cell: ({ check_name }) => check_name },
                  { title: "Promise", text: true, cell: ({ promise }) => promise },
                  { title: "Examined", figure: true, cell: ({ examined }) => count(examined) },
                  {
                    title: "Differences",
                    figure: true,
                    cell: ({ differences }) => (
                      <span class={differences === 0 ? "status final" : "status bad"}>{count(differences)}</span>
                    )
                  }
                ]}
              />
            )}
      </Answered>
    </Panel>
  )
}

const Runs = () => {
  const answer = useAnswer<Rows<RunRow>>(`runs${queryOf({ limit: shown })}`, everyMs)
  return (
    <Panel title="Runs of the pipeline" note="by the checkpoints they wrote, newest first">
      <Answered answer={answer} lines={6}>
        {({ data }) =>
          data.length === 0 ? <Empty>No checkpoint was written yet.</Empty> : (
            <Table
              caption="Runs of the pipeline"
              rows={data}
              keyOf={({ run_id }) => run_id}
              columns={[
                { title: "First checkpoint", names: true, cell: (row) => <Time at={row.first_checkpoint_at} /> },
                { title: "Last checkpoint", cell: (row) => <Time at={row.last_checkpoint_at} /> },
                { title: "Checkpoints", figure: true, cell: ({ checkpoints }) => count(checkpoints) },
                { title: "Partitions", figure: true, cell: ({ partitions }) => count(partitions) },
                { title: "Core version", figure: true, cell: ({ core_version }) => core_version },
                { title: "Run", text: true, cell: ({ run_id }) => <span class="id">{run_id}</span> }
              ]}
            />
          )}
      </Answered>
    </Panel>
  )
}

const Verdicts = () => {
  const answer = useAnswer<Rows<GivenVerdictRow>>("verdicts", everyMs)
  return (
    <Panel title="Verdicts of persons" note="all that were given, newest first">
      <Answered answer={answer} lines={6}>
        {({ data }) =>
          data.length === 0 ?
            <Empty>Nobody has said anything. The pages of sessions and visitors take verdicts.</Empty> :
            (
              <Table
                caption="Verdicts of persons"
                rows={data}
                keyOf={({ id, scope, version }) => `${scope} ${id} ${version}`}
                columns={[
                  { title: "Said", names: true, cell: ({ set_at }) => <Time at={set_at} /> },
                  {
                    title: "Verdict",
                    cell: ({ holds, verdict }) => `${verdict || "cleared"}${holds ? "" : ", replaced since"}`
                  },
                  { title: "On", cell: ({ scope }) => scope },
                  {
                    title: "Which",
                    text: true,
                    cell: ({ id, scope }) =>
                      scope === "session" ? <SessionLink id={id} /> : <a href={href("visitor", { id })}>{id}</a>
                  },
                  { title: "Who", text: true, cell: ({ author }) => author },
                  { title: "Why", text: true, cell: ({ reason }) => reason }
                ]}
              />
            )}
      </Answered>
    </Panel>
  )
}
