/**
 * What happens to the processes during a run, one action at a time: everything that a scenario decides besides its log. Each
 * action is of the owner whose turn it is; numbers are taken modulo what there is.
 */
import * as fc from "fast-check"

/**
 * Which rows of the blocks under way land when their writer dies, or its answer is lost: bit `row % landingBits`, counted through
 * all blocks of the step.
 */
export type Landing = number
export const landingBits = 12

export type Action =
  /** Reads and steps so many records of every partition. */
  | { readonly do: "read"; readonly records: number }
  | { readonly do: "cut" }
  /** Writes one block of the flush under way: of its step, any may be first. */
  | { readonly do: "write"; readonly block: number }
  /** Cuts if no flush is under way, and writes so many steps of it. */
  | { readonly do: "flush"; readonly steps: number }
  /** Some rows of the step are written, and no answer comes: they will be written again. */
  | { readonly do: "lose"; readonly lands: Landing }
  /** So many steps of reading the past back: of asking and taking in, who is cold and which ids were seen. */
  | { readonly do: "recollect"; readonly steps: number }
  /** Memory is short: all that is durable leaves it. */
  | { readonly do: "evict" }
  /** Like `flush` if `steps` is not 0; then the owner dies, while some rows of the next step are on their way. */
  | { readonly do: "die"; readonly steps: number; readonly lands: Landing }
  /** Another owner starts and has the turn; this one lives on as a zombie. */
  | { readonly do: "succeed" }
  /** Another owner has the turn. */
  | { readonly do: "turn"; readonly owner: number }

/** More steps than any flush has. */
export const allSteps = 9

const allRows = 2 ** landingBits - 1

/** No row, any, exactly one, all but one. */
const landing: fc.Arbitrary<Landing> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: allRows }) },
  { weight: 2, arbitrary: fc.nat(landingBits - 1).map((row) => 1 << row) },
  { weight: 1, arbitrary: fc.nat(landingBits - 1).map((row) => allRows ^ (1 << row)) }
)

const records = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 8 }))

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("read"), records }) },
  { weight: 3, arbitrary: fc.constant({ do: "cut" }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write"), block: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("flush"), steps: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 5, arbitrary: fc.constant({ do: "flush", steps: allSteps }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose"), lands: landing }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("recollect"), steps: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.constant({ do: "evict" }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("die"), steps: fc.constantFrom(0, 1, 1, 1, 2, 3), lands: landing })
  },
  { weight: 2, arbitrary: fc.constant({ do: "succeed" }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("turn"), owner: fc.nat(2) }) }
) as fc.Arbitrary<Action>

const alone = action.map((each): ReadonlyArray<Action> => [each])

/** What a crash in the middle of a flush needs: everything durable, a little read, some of it written. */
const crash: fc.Arbitrary<ReadonlyArray<Action>> = fc.record({
  records: fc.integer({ min: 1, max: 4 }),
  steps: fc.constantFrom(1, 1, 2, 3),
  lands: landing
}).map(({ lands, records, steps }) => [
  { do: "flush", steps: allSteps },
  { do: "read", records },
  { do: "die", steps, lands }
])

const partsMax = 45

export const actions: fc.Arbitrary<ReadonlyArray<Action>> = fc.noBias(
  fc.array(fc.oneof({ weight: 4, arbitrary: alone }, { weight: 1, arbitrary: crash }), {
    minLength: 0,
    maxLength: partsMax,
    size: "max"
  })
).map((parts) => parts.flat())
