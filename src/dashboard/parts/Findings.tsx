/** Findings as a list; used wherever they are shown. */
import { count, hundredths } from "../Format.ts"
import { href } from "../Route.ts"
import type { AnomalyRow } from "../Shapes.ts"
import { Table } from "./Table.tsx"
import { Time } from "./Time.tsx"

export const Findings = ({ caption, rows }: { readonly caption: string; readonly rows: ReadonlyArray<AnomalyRow> }) => (
  <Table
    caption={caption}
    rows={rows}
    keyOf={({ finding_id }) => finding_id}
    columns={[
      { title: "Window", names: true, cell: ({ window_start }) => <Time at={window_start} /> },
      { title: "Rule", cell: ({ rule }) => <RuleName rule={rule} /> },
      { title: "Score", figure: true, cell: ({ score }) => hundredths(score) },
      { title: "Clicks", figure: true, cell: ({ clicks }) => count(clicks) },
      { title: "Items", figure: true, cell: ({ unique_items }) => count(unique_items) },
      {
        title: "Visitor",
        cut: true,
        cell: ({ visitor_id }) => <a href={href("visitor", { id: visitor_id })}>{visitor_id}</a>
      },
      {
        title: "Session",
        cell: ({ session_id }) => <SessionLink id={session_id} />
      }
    ]}
  />
)

/** Rules are told apart by shape and word, not by colour alone. */
export const RuleName = ({ rule }: { readonly rule: AnomalyRow["rule"] }) => (
  <span class="rule">
    <i class={`swatch ${rule === "BOT_LIKE" ? "series-2 diamond" : "series-4"}`} />
    {ruleNames[rule]}
  </span>
)

export const ruleNames: Readonly<Record<AnomalyRow["rule"], string>> = {
  HIGH_FREQUENCY: "High frequency",
  BOT_LIKE: "Bot-like"
}

export const SessionLink = ({ id }: { readonly id: string }) => (
  <a class="id" href={href("session", { id })} title={id}>{id.slice(0, 12)}…</a>
)

/** Ids of events longer than this are cut; their titles are whole. */
const eventIdShown = 24

/** To where an event went. */
export const EventLink = ({ id }: { readonly id: string }) => (
  <a class="id" href={href("trace", { id })} title={id}>
    {id.length > eventIdShown ? `${id.slice(0, eventIdShown - 8)}…` : id}
  </a>
)
