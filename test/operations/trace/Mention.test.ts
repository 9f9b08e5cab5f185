import { assert, property, string } from "fast-check"
import { describe, expect, it } from "vitest"
import { mentions, mentionSql } from "../../../src/operations/trace/Mention.ts"

const avroString = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const length = bytes.length * 2
  return Buffer.concat([Buffer.from(length < 128 ? [length] : [length & 127 | 128, length >> 7]), bytes])
}

describe("mentions", () => {
  it("finds an id that stands as a word", () => {
    for (const text of ["a1", '{"event_id":"a1"}', "x,a1,y", "xa1 a1"]) {
      expect(mentions(Buffer.from(text), "a1"), text).toBe(true)
    }
  })

  it("does not find it within other words", () => {
    for (const text of ["", "xa1", "a12", "2017a1", "a_1", "a1-b", "x.a1"]) {
      expect(mentions(Buffer.from(text), "a1"), text).toBe(false)
    }
  })

  it("does not find a number in a date", () => {
    expect(mentions(Buffer.from('{"day":"2026-03-1"}'), "1")).toBe(false)
    expect(mentions(Buffer.from('{"id":1}'), "1")).toBe(true)
  })

  it("finds it behind its length in Avro, whatever stands beside it", () => {
    assert(property(string({ minLength: 1, maxLength: 128 }), string(), (id, beside) => {
      const value = Buffer.concat([avroString(beside), avroString(id), avroString(beside)])
      expect(mentions(value, id)).toBe(true)
      expect(value.toString("hex")).toContain(mentionSql(id).avroHex)
    }))
  })

  it("quotes what has a meaning in regular expressions", () => {
    expect(mentionSql("a.b|c").pattern).toBe(
      "(?:^|[^A-Za-z0-9_.-])a\\x{2e}b\\x{7c}c(?:[^A-Za-z0-9_.-]|$)"
    )
    expect(mentionSql("(é)").pattern).toBe("\\x{28}\\x{e9}\\x{29}")
  })
})
