import type { Rule } from "./Rule.ts"

/** More clicks in a tumbling window than a person makes. Score n / threshold. */
export const highFrequency: Rule = {
  name: "HIGH_FREQUENCY",
  windowMs: (settings) => settings.highFrequencyWindowMs,
  slideMs: (settings) => settings.highFrequencyWindowMs,
  clicksBelow: (settings) => settings.highFrequencyClicks,
  stands: () => true,
  score: (clicks, _uniqueItems, settings) => clicks / settings.highFrequencyClicks
}
