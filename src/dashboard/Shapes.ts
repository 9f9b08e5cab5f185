/** The shapes of the answers, as the API's contract has them. Types only: nothing of the contract is in the page. */
import type { Anomaly, AnomalyHour, AnomalyType } from "../api/contract/AnomaliesGroup.ts"
import type { PopularCategory, PopularItem, TrendingItem } from "../api/contract/ItemsGroup.ts"
import type { DailyMetrics, FunnelStage, HourlyTraffic } from "../api/contract/MetricsGroup.ts"
import type {
  AuditCheck,
  LateEvent,
  LiveState,
  PipelineRun,
  PipelineState,
  RefusedRecord,
  Stats,
  Traced
} from "../api/contract/OperationsGroup.ts"
import type { Session, SessionDetail, SessionEvent, StandingVerdict, Visitor } from "../api/contract/SessionsGroup.ts"
import type { GivenVerdict, NewVerdict } from "../api/contract/VerdictsGroup.ts"

export interface One<A> {
  readonly data: A
}

export interface Rows<A> {
  readonly data: ReadonlyArray<A>
  readonly next_cursor: string | null
}

export type AnomalyRow = typeof Anomaly.Type
export type AnomalyHourRow = typeof AnomalyHour.Type
export type AnomalyTypeRow = typeof AnomalyType.Type
export type AuditRow = typeof AuditCheck.Type
export type CategoryRow = typeof PopularCategory.Type
export type DayRow = typeof DailyMetrics.Type
export type FunnelRow = typeof FunnelStage.Type
export type GivenVerdictRow = typeof GivenVerdict.Type
export type HourRow = typeof HourlyTraffic.Type
export type ItemRow = typeof PopularItem.Type
export type LateRow = typeof LateEvent.Type
export type Live = typeof LiveState.Type
export type NewVerdictBody = typeof NewVerdict.Type
export type Pipeline = typeof PipelineState.Type
export type RefusedRow = typeof RefusedRecord.Type
export type RunRow = typeof PipelineRun.Type
export type SessionEventRow = typeof SessionEvent.Type
export type SessionRow = typeof Session.Type
export type SessionWhole = typeof SessionDetail.Type
export type Standing = typeof Stats.Type
export type TracedRow = typeof Traced.Type
export type TrendingRow = typeof TrendingItem.Type
export type VerdictRow = typeof StandingVerdict.Type
export type VisitorWhole = typeof Visitor.Type
