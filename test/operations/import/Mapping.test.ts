import { describe, expect, it } from "vitest"
import { eventTypeOf } from "../../../src/domain/EventTypeWord.ts"
import { MappingError } from "../../../src/operations/import/ImportError.ts"
import { formatMapping, parseMapping, requireTargets } from "../../../src/operations/import/Mapping.ts"

describe("Mapping", () => {
  it.each([
    "visitor_id=uuid,event_ts=timestamp:epoch_s,event_type=const:view,url=url",
    "visitor_id=1,event_ts=5:epoch_s,event_type=4:{pv>view,cart>add_to_cart}",
    "visitor_id=user.id,event_ts=when:%Y-%m-%d %H:%M:%S.%f@Europe/Berlin,properties.shop.name=shop",
    'event_ts=when:{%d.%m.%Y, %H:%M},visitor_id="user:id",event_type=const:{a,b}'
  ])("writes what it reads: %s", (text) => {
    expect(formatMapping(parseMapping(text))).toBe(text)
  })

  it("takes a zone after braces, blanks around names, and quotes around odd names", () => {
    expect(parseMapping('event_ts=t:{%d.%m.%Y, %H}@Europe/Paris, visitor_id="a,b=c"')).toEqual([
      { target: "event_ts", source: { kind: "column", name: "t" }, timeFormat: "%d.%m.%Y, %H@Europe/Paris" },
      { target: "visitor_id", source: { kind: "column", name: "a,b=c" } }
    ])
  })

  it.each([
    ["visitor_id=a,visitor_id=b", "gives visitor_id twice"],
    ["user=a", '"user" is no field of an event'],
    ["properties.=a", "is no field of an event"],
    ["properties.original_event_type=a", "is kept for event types"],
    ["visitor_id", "is no rule"],
    ["visitor_id=", "names no column"],
    ['visitor_id="a', "a quote that does not close"],
    ["event_type=a:{pv>view", "a brace without its partner"],
    ["event_type=a:pv>view", "a translation in braces"],
    ["event_type=a:{pv}", "is no translation"],
    ["event_ts=const:1", "event_ts needs a column"]
  ])("is a clear error: %s", (text, message) => {
    expect(() => parseMapping(text)).toThrow(MappingError)
    expect(() => parseMapping(text)).toThrow(message)
  })

  it("names what is missing and what there is", () => {
    expect(() => requireTargets(parseMapping("visitor_id=a"), "found are a, b")).toThrow(
      "the mapping lacks event_ts, event_type; found are a, b"
    )
  })

  it.each([
    ["view", "view"],
    ["View", "view"],
    ["Add To-Cart", "add_to_cart"],
    [" click ", "click"],
    ["404", "type_404"],
    ["größe", "gr__e"],
    ["a".repeat(100), "a".repeat(64)]
  ])("makes a legal event type of %s", (text, type) => {
    expect(eventTypeOf(text)).toBe(type)
    expect(eventTypeOf(text)).toBe(type)
  })
})
