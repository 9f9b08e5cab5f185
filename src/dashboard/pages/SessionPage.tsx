import { useState } from "preact/hooks"
import { useAnswer } from "../Answer.ts"
import { spokenAmount } from "../Decimal.ts"
import { count, duration, hundredths } from "../Format.ts"
import { EventAxis } from "../parts/EventAxis.tsx"
import { EventLink, Findings, ruleNames } from "../parts/Findings.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { Time } from "../parts/Time.tsx"
import { VerdictForm } from "../parts/VerdictForm.tsx"
import { queryOf } from "../Questions.ts"
import { reporting } from "../Reporting.ts"
import { href, place } from "../Route.ts"
import type { One, Rows, SessionEventRow, SessionRow, SessionWhole } from "../Shapes.ts"

const everyMs = 10_000
const eventsMax = 500

export const SessionPage = () => {
  const id = place.value.parameters.get("id") ?? ""
  const answer = useAnswer<One<SessionWhole>>(id === "" ? undefined : `sessions/${encodeURIComponent(id)}`, everyMs)
  return (
    <>
      <Head title="Session">
        <p class="note id">{id}</p>
      </Head>
      {id === "" ?
        <Empty>Which session? The list of sessions leads to each.</Empty> :
        (
          <Answered answer={answer} lines={12}>
            {({ data }) => <Whole whole={data} again={answer.again} />}
          </Answered>
        )}
    </>
  )
}

const Whole = ({ again, whole }: { readonly whole: SessionWhole; readonly again: () => void }) => {
  const { findings, session, verdicts } = whole
  const events = useAnswer<Rows<SessionEventRow>>(
    `sessions/${session.session_id}/events${queryOf({ limit: eventsMax })}`,
    session.is_open ? everyMs : 0
  )
  return (
    <>
      <div class="grid">
        <Panel title="What it is">
          <Facts session={session} />
        </Panel>
        <Panel title="Bot or not">
          <p class={whole.flagged_by === null ? "verdict clean" : "verdict flagged"}>{reasonOf(whole)}</p>
          <VerdictForm scope="session" id={session.session_id} standing={verdicts} onRecorded={again} />
        </Panel>
      </div>
      {findings.length > 0 && (
        <Panel title="Findings">
          <Findings caption="Findings of this session" rows={findings} />
        </Panel>
      )}
      <Panel title="Events" note={`times in ${reporting.value.zone}`}>
        <Answered answer={events} lines={8}>
          {({ data }) =>
            data.length === 0 ? <Empty>No events.</Empty> : (
              <>
                <EventAxis events={data} findings={findings} />
                {session.events > data.length && (
                  <p class="note">The first {count(data.length)} of {count(session.events)} events.</p>
                )}
                <Events rows={data} />
              </>
            )}
        </Answered>
      </Panel>
    </>
  )
}

/** Why it counts as it does, in a sentence. */
const reasonOf = ({ findings, flagged_by, verdicts }: SessionWhole): string => {
  const said = (verdicts.find(({ scope }) => scope === "session") ?? verdicts[0])?.verdict
  if (said === "bot" && flagged_by !== "person") return "A person calls it a bot; the figures are taking that in."
  if (said === "human" && flagged_by !== null) return "A person calls it human; the figures are taking that in."
  if (flagged_by === "person") return "Flagged: a person said so."
  if (flagged_by === "user_agent") return "Flagged: its user agent is that of a known crawler."
  if (flagged_by === "rule") {
    const strongest = findings.toSorted((a, b) => b.score - a.score)[0]
    return strongest === undefined ?
      "Flagged: the window of a rule's finding overlaps it." :
      `Flagged: ${ruleNames[strongest.rule].toLowerCase()}, ${count(strongest.clicks)} clicks on ` +
      `${count(strongest.unique_items)} items in one window, score ${hundredths(strongest.score)}.`
  }
  return verdicts.length > 0 && findings.length > 0 ?
    "Clean: a person's verdict beats the rules." :
    "Clean: no rule, user agent or person flags it."
}

const Facts = ({ session }: { readonly session: SessionRow }) => {
  const others = Object.entries(session.revenue_by_currency)
  return (
    <dl class="pairs">
      <dt>Visitor</dt>
      <dd>
        <a href={href("visitor", { id: session.visitor_id })}>{session.visitor_id}</a>
      </dd>
      <dt>Began</dt>
      <dd>
        <Time at={session.started_at} precision="millisecond" />
      </dd>
      <dt>Last event</dt>
      <dd>
        <Time at={session.ended_at} precision="millisecond" />, {duration(session.duration_sec)} later
        {session.is_open && <span class="growing">open</span>}
      </dd>
      <dt>Events</dt>
      <dd>
        {count(session.events)}: {count(session.clicks)} clicks on {count(session.unique_items)} items,{" "}
        {count(session.carts)} into the cart, {count(session.purchases)} purchases
      </dd>
      <dt>Revenue</dt>
      <dd>
        {spokenAmount(session.revenue)} {reporting.value.currency}
        {others.map(([currency, sum]) => `, ${spokenAmount(sum)} ${currency}`).join("")}
      </dd>
      <dt>Came in at</dt>
      <dd>{session.entry_url || <span class="none">unknown</span>}</dd>
      <dt>Left at</dt>
      <dd>{session.exit_url || <span class="none">unknown</span>}</dd>
      <dt>From</dt>
      <dd>{session.first_referrer || <span class="none">unknown</span>}</dd>
      <dt>User agent</dt>
      <dd>{session.user_agent || <span class="none">unknown</span>}</dd>
    </dl>
  )
}

/** Rows that a long table begins with. */
const rowsFirst = 100

const Events = ({ rows }: { readonly rows: ReadonlyArray<SessionEventRow> }) => {
  const [all, setAll] = useState(false)
  return (
    <>
      <EventTable rows={all ? rows : rows.slice(0, rowsFirst)} />
      {!all && rows.length > rowsFirst && (
        <p>
          <button type="button" onClick={() => setAll(true)}>Show all {count(rows.length)} rows</button>
        </p>
      )}
    </>
  )
}

const EventTable = ({ rows }: { readonly rows: ReadonlyArray<SessionEventRow> }) => (
  <Table
    caption="Events of this session"
    rows={rows}
    keyOf={({ offset, partition }) => `${partition}:${offset}`}
    columns={[
      { title: "Time", names: true, cell: ({ event_ts }) => <Time at={event_ts} precision="millisecond" /> },
      { title: "Type", cell: ({ event_type }) => event_type },
      { title: "Item", text: true, fills: ({ item_id }) => item_id !== "", cell: ({ item_id }) => item_id },
      { title: "Category", text: true, fills: ({ category }) => category !== "", cell: ({ category }) => category },
      {
        title: "Price",
        figure: true,
        fills: ({ price }) => Number(price) !== 0,
        cell: ({ currency, price, quantity }) =>
          Number(price) === 0 ? "" : `${quantity > 1 ? `${count(quantity)} × ` : ""}${spokenAmount(price)} ${currency}`
      },
      { title: "Address", text: true, fills: ({ url }) => url !== "", cell: ({ url }) => url },
      { title: "Event", cell: ({ event_id }) => <EventLink id={event_id} /> },
      {
        title: "Properties",
        text: true,
        fills: ({ properties }) => Object.keys(properties).length > 0,
        cell: ({ properties }) => Object.entries(properties).map(([name, value]) => `${name}=${value}`).join(", ")
      }
    ]}
  />
)
