import { useAnswer } from "../Answer.ts"
import { count, hundredths, isDay } from "../Format.ts"
import { Field, Pager, Switch } from "../parts/Choices.tsx"
import { Findings, RuleName } from "../parts/Findings.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { SessionTable } from "../parts/SessionTable.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { Time } from "../parts/Time.tsx"
import { Timeline } from "../parts/Timeline.tsx"
import { queryOf } from "../Questions.ts"
import { place } from "../Route.ts"
import type { AnomalyHourRow, AnomalyRow, AnomalyTypeRow, Rows, SessionRow } from "../Shapes.ts"

const everyMs = 10_000
const shown = 50

const given = (name: string) => place.value.parameters.get(name)
/** A number of the URL, or nothing where it is none. */
const number = (name: string) => Number.isFinite(Number(given(name) ?? Number.NaN)) ? given(name) : undefined

export const SessionsPage = () => (
  <>
    <Head title="Sessions & anomalies">
      <Switch
        label="List"
        parameter="view"
        choices={{ findings: "Findings", sessions: "Sessions" }}
        clears={["cursor"]}
      />
    </Head>
    {given("view") === "sessions" ? <Sessions /> : <Anomalies />}
  </>
)

const rules = ["HIGH_FREQUENCY", "BOT_LIKE"]

const Anomalies = () => {
  const hours = ["168", "744"].find((each) => each === given("hours")) ?? "24"
  const types = useAnswer<Rows<AnomalyTypeRow>>("anomalies/types", everyMs)
  const timeline = useAnswer<Rows<AnomalyHourRow>>(`anomalies/timeline${queryOf({ hours })}`, everyMs)
  const type = rules.find((rule) => rule === given("type"))
  const list = useAnswer<Rows<AnomalyRow>>(
    `anomalies${
      queryOf({
        limit: shown,
        type,
        min_score: number("min_score"),
        visitor_id: given("visitor"),
        cursor: given("cursor")
      })
    }`,
    everyMs
  )
  return (
    <>
      <div class="grid">
        <Panel title="By rule">
          <Answered answer={types} lines={3}>
            {({ data }) => data.length === 0 ? <Empty>No findings stand.</Empty> : <Types rows={data} />}
          </Answered>
        </Panel>
        <Panel
          title="Timeline"
          note="findings by hour"
          actions={<Switch label="Hours" parameter="hours" choices={{ 24: "24 h", 168: "7 days", 744: "31 days" }} />}
        >
          <Answered answer={timeline} lines={4}>
            {({ data }) =>
              data.length === 0 ? <Empty>No findings stand.</Empty> : <Timeline rows={data} hours={Number(hours)} />}
          </Answered>
        </Panel>
      </div>
      <Panel title="Findings" note="newest window first">
        <div class="filters">
          <Switch
            label="Rule"
            parameter="type"
            choices={{ any: "Any rule", HIGH_FREQUENCY: "High frequency", BOT_LIKE: "Bot-like" }}
            clears={["cursor"]}
          />
          <Field label="Score from" parameter="min_score" type="number" min="0" clears={["cursor"]} />
          <Field label="Visitor" parameter="visitor" type="text" clears={["cursor"]} />
        </div>
        <Answered answer={list} lines={10}>
          {({ data, next_cursor }) => (
            <>
              {data.length === 0 ? <Empty>No finding fits.</Empty> : <Findings caption="Findings" rows={data} />}
              <Pager next={next_cursor} />
            </>
          )}
        </Answered>
      </Panel>
    </>
  )
}

const Types = ({ rows }: { readonly rows: ReadonlyArray<AnomalyTypeRow> }) => (
  <Table
    caption="Findings by rule"
    rows={rows}
    keyOf={({ rule }) => rule}
    columns={[
      { title: "Rule", names: true, cell: ({ rule }) => <RuleName rule={rule} /> },
      { title: "Findings", figure: true, cell: ({ findings }) => count(findings) },
      { title: "Visitors", figure: true, cell: ({ visitors }) => count(visitors) },
      { title: "Highest score", figure: true, cell: ({ score_max }) => hundredths(score_max) },
      { title: "Newest window", figure: true, cell: ({ newest }) => <Time at={newest} /> }
    ]}
  />
)

/** The API takes times. */
const midnight = (day: string): string => `${day}T00:00:00Z`

const Sessions = () => {
  const flagged = given("flagged")
  const from = given("from") ?? null
  const to = given("to") ?? null
  const list = useAnswer<Rows<SessionRow>>(
    `sessions${
      queryOf({
        limit: shown,
        flagged: flagged === "true" || flagged === "false" ? flagged : undefined,
        min_events: number("min_events"),
        min_purchases: number("min_purchases"),
        from: isDay(from) ? midnight(from) : undefined,
        to: isDay(to) ? midnight(to) : undefined,
        cursor: given("cursor")
      })
    }`,
    everyMs
  )
  return (
    <Panel title="Sessions" note="newest first; days of this filter are UTC">
      <div class="filters">
        <Switch
          label="Flagged"
          parameter="flagged"
          choices={{ any: "All", false: "Clean", true: "Flagged" }}
          clears={["cursor"]}
        />
        <Field label="Events from" parameter="min_events" type="number" min="0" clears={["cursor"]} />
        <Field label="Purchases from" parameter="min_purchases" type="number" min="0" clears={["cursor"]} />
        <Field label="Opened from" parameter="from" type="date" clears={["cursor"]} />
        <Field label="Opened before" parameter="to" type="date" clears={["cursor"]} />
      </div>
      <Answered answer={list} lines={12}>
        {({ data, next_cursor }) => (
          <>
            {data.length === 0 ?
              (
                <Empty>
                  {next_cursor === null ? "No session fits." : "None among those looked at so far; older ones may fit."}
                </Empty>
              ) :
              <SessionTable caption="Sessions" rows={data} />}
            <Pager next={next_cursor} />
          </>
        )}
      </Answered>
    </Panel>
  )
}
