import { assert, describe, it } from "@effect/vitest"
import { RateLimit } from "../../src/collector/RateLimit.ts"
import { findKey, makeKey, presentedKey } from "../../src/collector/WriteKeys.ts"

describe("a key's rate", () => {
  it("lets two seconds' worth through at once, then the rate, and counts each key alone", () => {
    const rates = new RateLimit()
    assert.isUndefined(rates.check("a", 10, 0))
    rates.spend("a", 10, 0, 20)
    assert.strictEqual(rates.check("a", 10, 0)!.status, 429)
    assert.isUndefined(rates.check("b", 10, 0))
    assert.isUndefined(rates.check("a", 10, 100))
  })

  it("lets one request overdraw, and makes the next wait until that is paid", () => {
    const rates = new RateLimit()
    rates.spend("a", 10, 0, 120)
    assert.strictEqual(rates.check("a", 10, 0)!.headers["retry-after"], "10")
    assert.strictEqual(rates.check("a", 10, 9_000)!.headers["retry-after"], "1")
    assert.isUndefined(rates.check("a", 10, 10_100))
  })

  it("does not run backwards with the clock, nor fill beyond the bucket", () => {
    const rates = new RateLimit()
    rates.spend("a", 10, 10_000, 20)
    assert.isDefined(rates.check("a", 10, 5_000))
    rates.spend("a", 10, 1_000_000, 20)
    assert.isDefined(rates.check("a", 10, 1_000_000))
  })
})

describe("a write key", () => {
  it("is found by its hash alone, and not once it was revoked", () => {
    const one = makeKey({ name: "one", created_at: "" })
    const two = makeKey({ name: "two", created_at: "" })
    assert.notInclude(JSON.stringify(one.kept), one.key)
    assert.strictEqual(findKey([one.kept, two.kept], two.key)!.name, "two")
    assert.isUndefined(findKey([one.kept, { ...two.kept, revoked_at: "now" }], two.key))
    assert.isUndefined(findKey([one.kept, two.kept], one.kept.hash))
    assert.isUndefined(findKey([], one.key))
  })

  it("is read from where SDKs put it", () => {
    const none = new URLSearchParams()
    assert.strictEqual(presentedKey({ authorization: "Bearer k" }, none), "k")
    assert.strictEqual(presentedKey({ authorization: `Basic ${btoa("k:")}` }, none), "k")
    assert.strictEqual(presentedKey({ "x-write-key": "k" }, none), "k")
    assert.strictEqual(presentedKey({}, new URLSearchParams("writeKey=k")), "k")
    assert.isUndefined(presentedKey({ authorization: "Digest k" }, none))
  })
})
