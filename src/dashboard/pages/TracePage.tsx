import { useAnswer } from "../Answer.ts"
import { Field } from "../parts/Choices.tsx"
import { SessionLink } from "../parts/Findings.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { Time } from "../parts/Time.tsx"
import { href, place } from "../Route.ts"
import type { Rows, TracedRow } from "../Shapes.ts"

export const TracePage = () => {
  const id = place.value.parameters.get("id") ?? ""
  return (
    <>
      <Head title="Where did my event go?">
        <Field label="Event id" parameter="id" type="text" />
      </Head>
      {id === "" ? <Empty>Type the id of an event. Tables of events lead here, too.</Empty> : <Trail id={id} />}
    </>
  )
}

const Trail = ({ id }: { readonly id: string }) => {
  const answer = useAnswer<Rows<TracedRow>>(`events/${encodeURIComponent(id)}/trace`)
  if (answer.problem?.status === 404) {
    return (
      <Panel title="No stored record" wide>
        <p>
          Among accepted, late, rejected and dead-lettered records none has the id <b class="id">{id}</b>.
        </p>
        <p>
          It was never sent, it waits in the log (see{" "}
          <a href={href("operations")}>lag</a>), or its visitor and time differ from what you think.
        </p>
        <button type="button" onClick={answer.again}>Look again</button>
      </Panel>
    )
  }
  return (
    <Panel title="Records with this id" note={id} wide>
      <Answered answer={answer} lines={3}>{({ data }) => <Records rows={data} />}</Answered>
      <p class="note">
        Duplicates were looked for in the 200,000 records that follow; <code>npx guardian trace {quoted(id)}</code>{" "}
        looks through all of the log.
      </p>
    </Panel>
  )
}

/** For a shell: ids are whatever senders say. */
const quoted = (id: string): string => /^[\w.:@-]+$/.test(id) ? id : `'${id.replaceAll("'", `'\\''`)}'`

const marks: Readonly<Record<TracedRow["outcome"], string>> = {
  accepted: "final",
  duplicate: "settled",
  late: "provisional",
  rejected: "bad",
  "dead-lettered": "bad"
}

const Records = ({ rows }: { readonly rows: ReadonlyArray<TracedRow> }) => (
  <Table
    caption="Records with this id"
    rows={rows}
    keyOf={({ offset, partition }) => `${partition}:${offset}`}
    columns={[
      {
        title: "Outcome",
        names: true,
        cell: ({ outcome }) => <span class={`status ${marks[outcome]}`}>{outcome}</span>
      },
      { title: "Why", text: true, cell: ({ why }) => why },
      { title: "Partition", figure: true, cell: ({ partition }) => partition },
      { title: "Offset", figure: true, cell: ({ offset }) => offset },
      { title: "In the log since", cell: ({ appended_at }) => <Time at={appended_at} precision="millisecond" /> },
      {
        title: "Visitor",
        text: true,
        cell: ({ visitor_id }) =>
          visitor_id === null ?
            <span class="none">unknown</span> :
            <a href={href("visitor", { id: visitor_id })}>{visitor_id}</a>
      },
      {
        title: "Counts in session",
        cell: ({ session_id }) => session_id === null ? <span class="none">none</span> : <SessionLink id={session_id} />
      }
    ]}
  />
)
