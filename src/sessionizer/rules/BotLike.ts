import type { Rule } from "./Rule.ts"

/** Many clicks on few items in a sliding window. Score n / threshold * (1 - diversity), diversity = unique items / clicks. */
export const botLike: Rule = {
  name: "BOT_LIKE",
  windowMs: (settings) => settings.botLikeWindowMs,
  slideMs: (settings) => settings.botLikeSlideMs,
  clicksBelow: (settings) => settings.botLikeClicks,
  stands: (clicks, uniqueItems, settings) => uniqueItems / clicks < settings.botLikeDiversity,
  score: (clicks, uniqueItems, settings) => (clicks / settings.botLikeClicks) * (1 - uniqueItems / clicks)
}
