import { count } from "../Format.ts"
import type { DayRow } from "../Shapes.ts"
import { Time } from "./Time.tsx"

/** Whether a day's figures may still change, and by what. */
export const DayStatus = ({ row }: { readonly row: DayRow }) => (
  <p class="day-status">
    <StatusWord status={row.status} /> {meanings[row.status]}
    {row.open_sessions > 0 && ` ${count(row.open_sessions)} sessions can still grow.`}
    {row.reopened_at !== null && (
      <>
        {" "}
        <strong>Reopened</strong> by {row.reopened_by || "a person"} <Time at={row.reopened_at} />.
      </>
    )}{" "}
    <span class="note">
      Computed <Time at={row.refreshed_at} />; day of {row.time_zone}.
    </span>
  </p>
)

export const StatusWord = ({ status }: { readonly status: DayRow["status"] }) => (
  <span class={`status ${status}`}>{status}</span>
)

const meanings: Readonly<Record<DayRow["status"], string>> = {
  provisional: "Events of this day may still come in time.",
  settled: "Its events are decided; its sessions are not all closed.",
  final: "Nothing but a person's verdict or amendment changes it."
}
