/** How the figures are reported: zone, currency, and which days there are. Asked once, and again while there are new days. */
import { signal } from "@preact/signals"
import type { Standing } from "./Shapes.ts"

export interface Reporting {
  /** Whether the server has told it; until then nothing can be said of days. */
  readonly isKnown: boolean
  readonly zone: string
  readonly currency: string
  readonly firstDay: string | undefined
  readonly lastDay: string | undefined
}

export const reporting = signal<Reporting>({
  isKnown: false,
  zone: "UTC",
  currency: "",
  firstDay: undefined,
  lastDay: undefined
})

export const noteStanding = ({ currency, first_day, last_day, time_zone }: Standing): void => {
  const next = {
    isKnown: true,
    zone: time_zone,
    currency,
    firstDay: first_day ?? undefined,
    lastDay: last_day ?? undefined
  }
  if (JSON.stringify(next) !== JSON.stringify(reporting.peek())) reporting.value = next
}
