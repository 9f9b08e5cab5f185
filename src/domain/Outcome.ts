/** What became of a record. Exactly one per record, so that received = the sum of these at every checkpoint. */

/** Codes are part of the decision hash: never renumber them. */
export const Outcome = { accepted: 1, duplicate: 2, late: 3, rejected: 4, deadLettered: 5 } as const
export type Outcome = typeof Outcome[keyof typeof Outcome]

export interface OutcomeCounts {
  received: number
  accepted: number
  duplicate: number
  late: number
  rejected: number
  deadLettered: number
}

export const noOutcomes = (): OutcomeCounts => ({
  received: 0,
  accepted: 0,
  duplicate: 0,
  late: 0,
  rejected: 0,
  deadLettered: 0
})

/** The promise "accounted for": true when every received record has one outcome. */
export const isConserved = (counts: OutcomeCounts): boolean =>
  counts.received === counts.accepted + counts.duplicate + counts.late + counts.rejected + counts.deadLettered

/** Why a record was not decoded into an event, for the table of dead letters. */
export interface DecodeFailure {
  readonly reason: string
  readonly detail: string
}
