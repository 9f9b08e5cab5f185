import { count } from "../Format.ts"
import type { Pipeline } from "../Shapes.ts"
import { Empty } from "./States.tsx"
import { Table } from "./Table.tsx"
import { Time } from "./Time.tsx"

interface PartitionsProps {
  readonly pipeline: Pipeline
  /** Says what exactly the KPIs wait for. */
  readonly detailed?: boolean
}

/** How far each partition is, and what the KPIs have yet to take in. */
export const Partitions = ({ detailed, pipeline }: PartitionsProps) => {
  const backlog = Object.entries(pipeline.kpi_backlog)
  if (pipeline.partitions.length === 0) return <Empty>The log has no partitions yet.</Empty>
  return (
    <>
      <Table
        caption="Progress by partition"
        rows={pipeline.partitions}
        keyOf={({ partition }) => String(partition)}
        columns={[
          { title: "Partition", names: true, cell: ({ partition }) => partition },
          { title: "Next offset", figure: true, cell: ({ next_offset }) => count(next_offset) },
          { title: "Log end", figure: true, cell: ({ log_end }) => log_end === null ? "unknown" : count(log_end) },
          { title: "Lag", figure: true, cell: ({ lag }) => lag === null ? "unknown" : count(lag) },
          { title: "Watermark", figure: true, cell: ({ watermark }) => <Time at={watermark} /> }
        ]}
      />
      <p class="note">
        {backlog.length === 0 ?
          "The KPIs have taken in everything." :
          !detailed ?
          "The KPIs are taking in the newest changes." :
          `The KPIs have yet to take in: ${
            backlog.map(([stage, waiting]) => `${stage} ${count(waiting)}`).join(", ")
          }.`}
      </p>
    </>
  )
}
