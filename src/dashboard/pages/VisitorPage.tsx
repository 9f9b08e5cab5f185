import { useAnswer } from "../Answer.ts"
import { spokenAmount } from "../Decimal.ts"
import { count } from "../Format.ts"
import { Findings } from "../parts/Findings.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { SessionTable } from "../parts/SessionTable.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Time } from "../parts/Time.tsx"
import { VerdictForm } from "../parts/VerdictForm.tsx"
import { reporting } from "../Reporting.ts"
import { place } from "../Route.ts"
import type { One, VisitorWhole } from "../Shapes.ts"

const everyMs = 10_000

export const VisitorPage = () => {
  const id = place.value.parameters.get("id") ?? ""
  const answer = useAnswer<One<VisitorWhole>>(id === "" ? undefined : `visitors/${encodeURIComponent(id)}`, everyMs)
  return (
    <>
      <Head title="Visitor">
        <p class="note id">{id}</p>
      </Head>
      {id === "" ?
        <Empty>Which visitor? Lists of sessions and findings lead to each.</Empty> :
        (
          <Answered answer={answer} lines={12}>
            {({ data }) => <Whole visitor={data} again={answer.again} />}
          </Answered>
        )}
    </>
  )
}

const Whole = ({ again, visitor }: { readonly visitor: VisitorWhole; readonly again: () => void }) => (
  <>
    <div class="grid">
      <Panel title="In all">
        <dl class="pairs">
          <dt>First seen</dt>
          <dd>
            <Time at={visitor.first_seen} />
          </dd>
          <dt>Last seen</dt>
          <dd>
            <Time at={visitor.last_seen} />
          </dd>
          <dt>Sessions</dt>
          <dd>{count(visitor.sessions)}</dd>
          <dt>Events</dt>
          <dd>{count(visitor.events)}, {count(visitor.clicks)} of them clicks</dd>
          <dt>Purchases</dt>
          <dd>{count(visitor.purchases)} for {spokenAmount(visitor.revenue)} {reporting.value.currency}</dd>
        </dl>
      </Panel>
      <Panel title="Bot or not" note="a verdict here reaches all sessions, past ones too">
        <VerdictForm scope="visitor" id={visitor.visitor_id} standing={visitor.verdicts} onRecorded={again} />
      </Panel>
    </div>
    {visitor.findings.length > 0 && (
      <Panel title="Findings">
        <Findings caption="Findings of this visitor" rows={visitor.findings} />
      </Panel>
    )}
    <Panel
      title="Sessions"
      note={visitor.sessions > visitor.recent_sessions.length ?
        `the newest ${count(visitor.recent_sessions.length)} of ${count(visitor.sessions)}` :
        "newest first"}
    >
      <SessionTable caption="Sessions of this visitor" rows={visitor.recent_sessions} />
    </Panel>
  </>
)
