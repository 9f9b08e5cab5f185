import { spokenAmount } from "../Decimal.ts"
import { count, duration } from "../Format.ts"
import { href } from "../Route.ts"
import type { SessionRow } from "../Shapes.ts"
import { SessionLink } from "./Findings.tsx"
import { Table } from "./Table.tsx"
import { Time } from "./Time.tsx"

export const SessionTable = (
  { caption, rows }: { readonly caption: string; readonly rows: ReadonlyArray<SessionRow> }
) => (
  <Table
    caption={caption}
    rows={rows}
    keyOf={({ session_id }) => session_id}
    columns={[
      { title: "Session", names: true, cell: ({ session_id }) => <SessionLink id={session_id} /> },
      { title: "Began", cell: ({ started_at }) => <Time at={started_at} /> },
      {
        title: "Length",
        figure: true,
        cell: ({ duration_sec, is_open }) => <>{duration(duration_sec)}{is_open && <span class="growing">open</span>}</>
      },
      { title: "Events", figure: true, cell: ({ events }) => count(events) },
      { title: "Clicks", figure: true, cell: ({ clicks }) => count(clicks) },
      { title: "Purchases", figure: true, cell: ({ purchases }) => count(purchases) },
      { title: "Revenue", figure: true, cell: ({ revenue }) => spokenAmount(revenue) },
      {
        title: "Visitor",
        cut: true,
        cell: ({ visitor_id }) => <a href={href("visitor", { id: visitor_id })}>{visitor_id}</a>
      },
      {
        title: "Came in at",
        cut: true,
        fills: ({ entry_url }) => entry_url !== "",
        cell: ({ entry_url }) => entry_url
      }
    ]}
  />
)
