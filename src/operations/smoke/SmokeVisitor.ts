/** Visitors whose events no KPI counts: those of `guardian smoke`. Migration 0021 says the same to the views. */

export const smokeVisitorPrefix = "guardian-smoke:"

/** SQL that holds for everybody else. */
export const isNoSmokeSql = `NOT startsWith(visitor_id, '${smokeVisitorPrefix}')`
