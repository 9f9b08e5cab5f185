/** History of a made-up shop, in the form of the real one's file: where that is not at hand. The same each time. */

/** Steps of a visit, and how likely the next one follows. */
const steps: ReadonlyArray<readonly [event: string, goesOn: number]> = [
  ["main", 0.8],
  ["catalog", 0.75],
  ["product1", 0.7],
  ["product2", 0.6],
  ["cart", 0.6],
  ["delivery_choice", 0.8],
  ["payment_done", 0]
]
const days = 40
const visitsOfDay = 60
const start = Date.UTC(2026, 0, 5)
const dayMs = 86_400_000

/** Lines `client_id,event,timestamp` under a header, in order of time. */
export const simulatedShop = (): string => {
  const random = chance(7)
  const lines: Array<readonly [time: number, line: string]> = []
  for (let visit = 0; visit < days * visitsOfDay; visit++) {
    const visitor = 100_000 + Math.floor(random() * 900)
    let time = start + Math.floor(visit / visitsOfDay) * dayMs + Math.floor(random() * 0.99 * dayMs)
    for (const [event, goesOn] of steps) {
      const text = new Date(time).toISOString().replace("T", " ").replace("Z", "000")
      lines.push([time, `${visitor},${event},${text}`])
      if (random() > goesOn) break
      time += 2_000 + Math.floor(random() * 60_000)
    }
  }
  const ordered = lines.toSorted(([a], [b]) => a - b).map(([, line]) => line)
  return ["client_id,event,timestamp", ...ordered, ""].join("\n")
}

/** Numerical Recipes' generator: from 0 to 1. */
const chance = (seed: number): () => number => {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}
