import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { EpochMillis, EventId, VisitorId } from "../../src/domain/Identifiers.ts"
import { derivedEventId, findingId, sessionId } from "../../src/domain/Identifiers.ts"

const session = (visitor: string, event: string, eventTs: number): string =>
  sessionId(visitor as VisitorId, event as EventId, eventTs as EpochMillis)

/** Expected values were computed with Python's hashlib. They are keys of stored tables: a change needs a new `coreVersion`. */
describe("sessionId", () => {
  it("never changes", () => {
    assert.strictEqual(session("visitor-1", "event-1", 1_764_000_000_123), "019ab697e87b6cf4397918edee54a86b")
    assert.strictEqual(session("v", "e", 946_684_800_000), "00dc6acfac00ee1a179b98120b53d325")
    assert.strictEqual(session("besücher", "€", 1), "000000000001bff354f18dc000c506cc")
  })

  it("is in the order of time, and 32 hex digits", () => {
    const time = fc.integer({ min: 946_684_800_000, max: 2 ** 47 })
    fc.assert(
      fc.property(time, time, fc.string(), fc.string(), (a, b, visitor, event) => {
        const [first, second] = [session(visitor, event, a), session(visitor, event, b)]
        assert.match(first, /^[0-9a-f]{32}$/)
        assert.strictEqual(Math.sign(a - b), first < second ? -1 : first > second ? 1 : 0)
      })
    )
  })

  it("differs when the visitor, the event or the time differs", () => {
    const ids = [session("a", "b", 1e12), session("ab", "", 1e12), session("a", "c", 1e12), session("a", "b", 1e12 + 1)]
    assert.strictEqual(new Set(ids.map((id) => id.slice(12))).size, ids.length)
  })
})

describe("findingId", () => {
  it("never changes", () => {
    const of = (rule: string) => findingId(rule, "visitor-1" as VisitorId, 1_764_000_000_000 as EpochMillis) as string
    assert.strictEqual(of("HIGH_FREQUENCY"), "5bfa8b83f3be2b91c82b")
    assert.strictEqual(of("BOT_LIKE"), "091ecd14f7f2360058e7")
  })
})

describe("derivedEventId", () => {
  it("is the SHA-256 of the five fields joined by U+001F", () => {
    const fields = {
      visitorId: "visitor-1",
      eventTs: 1_764_000_000_123,
      eventType: "purchase",
      itemId: "item-7",
      url: "https://shop.example/ä?q=1"
    }
    const id: string = derivedEventId(fields)
    assert.strictEqual(id, "7793c65641da8d1cea7059659eb2229793130c838251d65d59af1948e5a24482")
  })

  it("takes absent fields as empty", () => {
    const id: string = derivedEventId({ visitorId: "v", eventTs: 0, eventType: "view", itemId: "", url: "" })
    assert.strictEqual(id, "34f36f199f9d3d44eb360455bbf7d8fc463255358660b5308a2d95aa65b3598b")
  })

  it("keeps fields apart: what moves from one to the next is another event", () => {
    const base = { visitorId: "v", eventTs: 0, eventType: "view" }
    assert.notStrictEqual(
      derivedEventId({ ...base, itemId: "ab", url: "" }),
      derivedEventId({ ...base, itemId: "a", url: "b" })
    )
  })
})
