import { clockTime, dateTime } from "../Format.ts"
import type { Precision } from "../Format.ts"
import { reporting } from "../Reporting.ts"

interface TimeProps {
  /** RFC 3339, UTC. */
  readonly at: string | null | undefined
  readonly precision?: Precision
  /** Without the day. */
  readonly short?: boolean
}

/** A moment in the reporting zone; its title says it in UTC. */
export const Time = ({ at, precision = "second", short }: TimeProps) =>
  at === null || at === undefined ?
    <span class="none">none</span> :
    (
      <time dateTime={at} title={`${at.slice(0, 23).replace("T", " ")} UTC`}>
        {(short ? clockTime : dateTime)(at, reporting.value.zone, precision)}
      </time>
    )
