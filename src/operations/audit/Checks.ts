/** What an audit checks, in the order in which it is told. */
import type { Check } from "./Check.ts"
import { aliases } from "./checks/Aliases.ts"
import { amendments } from "./checks/Amendments.ts"
import { conservation } from "./checks/Conservation.ts"
import { decisionHashes } from "./checks/DecisionHashes.ts"
import { eventsInSessions } from "./checks/EventsInSessions.ts"
import { findings } from "./checks/Findings.ts"
import { identifiers } from "./checks/Identifiers.ts"
import { kpis } from "./checks/Kpis.ts"
import { logContent } from "./checks/LogContent.ts"
import { logPosition } from "./checks/LogPosition.ts"
import { outcomes } from "./checks/Outcomes.ts"
import { quarters } from "./checks/Quarters.ts"
import { rankings } from "./checks/Rankings.ts"
import { sessions } from "./checks/Sessions.ts"
import { sessionsApart } from "./checks/SessionsApart.ts"
import { storedRecords } from "./checks/StoredRecords.ts"

export const checks: ReadonlyArray<Check> = [
  logPosition,
  conservation,
  storedRecords,
  logContent,
  decisionHashes,
  identifiers,
  outcomes,
  sessions,
  sessionsApart,
  eventsInSessions,
  aliases,
  findings,
  amendments,
  quarters,
  kpis,
  rankings
]
