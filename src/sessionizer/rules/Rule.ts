/**
 * A rule judges the accepted clicks of one visitor in one window. It is a pure function of two counts, so that the final
 * findings depend only on the accepted set.
 */
import type { CoreSettings } from "../../domain/Settings.ts"

export interface Rule {
  readonly name: "HIGH_FREQUENCY" | "BOT_LIKE"
  readonly windowMs: (settings: CoreSettings) => number
  /** Windows start at multiples of this; equal to the window: tumbling. */
  readonly slideMs: (settings: CoreSettings) => number
  /** Nothing can stand in a window with at most this many clicks. */
  readonly clicksBelow: (settings: CoreSettings) => number
  /** Whether the finding stands. Called only above `clicksBelow`. */
  readonly stands: (clicks: number, uniqueItems: number, settings: CoreSettings) => boolean
  readonly score: (clicks: number, uniqueItems: number, settings: CoreSettings) => number
}
