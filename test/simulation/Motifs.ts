/**
 * Short histories of one visitor that chance alone puts together too seldom: each leads up to a place where something was once
 * wrong, or could be, and leaves open whether it gets there.
 */
import * as fc from "fast-check"
import type { ByAnchor, Draft } from "./Histories.ts"

const of = (
  anchor: ByAnchor["of"],
  gaps: number,
  more: { readonly back?: number; readonly latenesses?: number } = {}
): ByAnchor => ({
  of: anchor,
  back: more.back ?? 0,
  gaps,
  latenesses: more.latenesses ?? 0,
  units: 0
})

const click = (visitor: number, place: ByAnchor): Draft => ({ visitor, place, kind: 0, id: 99, item: 0 })

/** Both in partition 0. */
const visitor = fc.constantFrom(0, 0, 0, 2)
const sign = fc.constantFrom(1, -1)
/** Gaps beyond the watermark where no earlier event is near, not even behind the latest that is accepted. */
const afar = 5

/** Gaps between two sessions that one event can bridge. */
const apart = fc.constantFrom(1.1, 1.5, 1.5, 2)

/**
 * A session that begins where lateness ends and grows towards an older one until its start is out of reach and its end is not;
 * then an event that may bridge the two.
 */
const straddle: fc.Arbitrary<ReadonlyArray<Draft>> = fc.record({
  visitor,
  opens: fc.constantFrom(0, 0.2, 0.5, 1, 1),
  grows: fc.constantFrom(0.3, 0.5, 0.9),
  beyond: fc.constantFrom(0.1, 0.2, 0.4),
  bridges: fc.constantFrom(0, 0.2, 0.4)
}).map(({ beyond, bridges, grows, opens, visitor }) =>
  [
    of("watermark", afar),
    of("watermark", opens, { latenesses: -1 }),
    of("visitor", grows),
    of("watermark", 1 + opens + beyond),
    of("watermark", bridges, { latenesses: -1 })
  ].map((place) => click(visitor, place))
)

/** Three sessions side by side; the two that opened later become one, then all. */
const chain: fc.Arbitrary<ReadonlyArray<Draft>> = fc.record({ visitor, sign, apart }).map(({ apart, sign, visitor }) =>
  [
    of("watermark", afar),
    of("visitor", sign * apart),
    of("visitor", sign * apart),
    of("visitor", (-sign * apart) / 2),
    of("visitor", (-sign * apart) / 2, { back: 2 })
  ].map((place) => click(visitor, place))
)

/** Two sessions become one, and then an event has the very time of the outer end of the second. */
const tie: fc.Arbitrary<ReadonlyArray<Draft>> = fc.record({ visitor, sign, apart }).map(({ apart, sign, visitor }) =>
  [
    of("watermark", 2),
    of("visitor", sign * apart),
    of("visitor", (-sign * apart) / 2),
    of("visitor", 0, { back: 1 })
  ].map((place) => click(visitor, place))
)

/** Another visitor moves the watermark to where a session can just be reached, or just no more. */
const reach: fc.Arbitrary<ReadonlyArray<Draft>> = fc.record({ visitor, gaps: fc.constantFrom(1, 1, 1, 0.9, 1.1) })
  .map(({ gaps, visitor }) => [
    click(visitor, of("watermark", 2)),
    click(2 - visitor, of("watermark", gaps, { latenesses: 1 })),
    click(visitor, of("watermark", 0, { latenesses: -1 }))
  ])

export const motif: fc.Arbitrary<ReadonlyArray<Draft>> = fc.oneof(straddle, straddle, chain, tie, reach)
