/** What a collector has counted since it began: plain numbers, cheap to add to, for whoever publishes them. */

export interface FormatCounts {
  requests: number
  accepted: number
  invalid: number
  tooLarge: number
}

export class CollectorCounters {
  /** By the format's name. */
  readonly formats = new Map<string, FormatCounts>()
  /** Answers by status. */
  readonly statuses = new Map<number, number>()
  /** Bytes of bodies, inflated. */
  bytes = 0
  /** Gauges: what is under way now. */
  readonly bytesInFlight: () => number
  readonly recordsInFlight: () => number

  constructor(gauges: { readonly bytesInFlight: () => number; readonly recordsInFlight: () => number }) {
    this.bytesInFlight = gauges.bytesInFlight
    this.recordsInFlight = gauges.recordsInFlight
  }

  format(name: string): FormatCounts {
    const known = this.formats.get(name)
    if (known !== undefined) return known
    const counts = { requests: 0, accepted: 0, invalid: 0, tooLarge: 0 }
    this.formats.set(name, counts)
    return counts
  }

  answered(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
  }
}
