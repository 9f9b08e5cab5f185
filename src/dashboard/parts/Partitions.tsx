import { count } from "../Format.ts"
import type { Pipeline } from "../Shapes.ts"
import { Empty } from "./States.tsx"
import { Table } from "./Table.tsx"
import { Time } from "./Time.tsx"

/** How far each partition is. */
export const Partitions = ({ rows }: { readonly rows: Pipeline["partitions"] }) =>
  rows.length === 0 ? <Empty>The log has no partitions yet.</Empty> : (
    <Table
      caption="Progress by partition"
      rows={rows}
      keyOf={({ partition }) => String(partition)}
      columns={[
        { title: "Partition", names: true, cell: ({ partition }) => partition },
        { title: "Next offset", figure: true, cell: ({ next_offset }) => count(next_offset) },
        { title: "Log end", figure: true, cell: ({ log_end }) => log_end === null ? "unknown" : count(log_end) },
        { title: "Lag", figure: true, cell: ({ lag }) => lag === null ? "unknown" : count(lag) },
        { title: "Watermark", figure: true, cell: ({ watermark }) => <Time at={watermark} /> }
      ]}
    />
  )
