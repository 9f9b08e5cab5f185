/**
 * When the bots act. They make a tenth of all events, and each acting bot is fast enough for HIGH_FREQUENCY (more than 50 clicks
 * in 10 s) and BOT_LIKE at any rate of 15 events/s or more: below 320 events/s fewer act at a time, by turns of a minute; below
 * 80 events/s one acts in a burst at the start of its minute.
 */
import type { Random } from "./Random.ts"

export const botsCount = 4
/** Share of the events that bots make. */
export const botShare = 0.1
/** Different items that bots look at. */
export const botItemsCount = 3

/** Clicks per second of one acting bot: 80 in 10 s where more than 50 are a finding. */
const botClicksPerSecond = 8
const turnMs = 60_000
/** Turns start on a multiple of this, where windows of the rules start. */
const alignMs = 10_000
/** People act in a burst too. */
const burstShareMax = 0.9

export class Bots {
  readonly #startMs: number
  readonly #acting: number
  readonly #share: number
  readonly #burstMs: number

  constructor({ startMs, eventsPerSecond }: { startMs: number; eventsPerSecond: number }) {
    const clicksPerSecond = eventsPerSecond * botShare
    const burst = clicksPerSecond < botClicksPerSecond
    this.#startMs = Math.floor(startMs / alignMs) * alignMs
    this.#acting = Math.max(1, Math.min(botsCount, Math.floor(clicksPerSecond / botClicksPerSecond)))
    this.#share = burst ? Math.min(burstShareMax, botClicksPerSecond / eventsPerSecond) : botShare
    this.#burstMs = burst ? (turnMs * clicksPerSecond) / botClicksPerSecond : turnMs
  }

  /** The bot that acts now, 0 to 3, or -1 when a person does. */
  draw(nowMs: number, random: Random): number {
    if (random.fraction() >= this.#share) return -1
    const sinceStart = nowMs - this.#startMs
    if (sinceStart % turnMs >= this.#burstMs) return -1
    const turn = Math.floor(sinceStart / turnMs)
    return (turn + random.below(this.#acting)) % botsCount
  }
}
