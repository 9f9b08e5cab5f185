/** Public files, when they stand beside the repository (`../shared/data`): their published figures come out of the import. */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { importAll } from "./ImportHarness.ts"

const data = fileURLToPath(new URL("../../../../shared/data/", import.meta.url))

const real = (
  title: string,
  files: ReadonlyArray<string>,
  options: Omit<Parameters<typeof importAll>[0], "files">,
  check: (result: Effect.Success<ReturnType<typeof importAll>>) => void
) => {
  const paths = files.map((file) => data + file)
  const missing = paths.filter((path) => !existsSync(path))
  if (missing.length > 0) console.log(`skipped "${title}": ${missing.join(", ")} is not there`)
  it.skipIf(missing.length > 0)(title, async () => {
    const result = await Effect.runPromise(importAll({ ...options, files: paths }))
    const times = result.events.map(({ eventTs }) => eventTs)
    expect(times.every((time, i) => i === 0 || times[i - 1]! <= time)).toBe(true)
    check(result)
  })
}

describe("real files", () => {
  real(
    "Wikimedia's readers: 63,524 events of 10,000 people, two of them on two lines each",
    ["wikimedia_reader_sessions/session_dataset.csv.gz"],
    { map: "visitor_id=uuid,event_ts=timestamp:epoch_s,event_type=const:view,url=url" },
    ({ events, summary }) => {
      expect(summary).toMatchObject({ lines: 63_527, events: 63_524, deadLettered: 0 })
      expect(new Set(events.map(({ visitorId }) => visitorId)).size).toBe(10_000)
      expect(events.filter(({ url }) => url.includes("\n"))).toHaveLength(2)
      expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(63_524 - 7)
      expect(sessions(events, 1_800_000)).toBe(22_224)
    }
  )

  real(
    "Retentioneering's shop: 32,283 events of 3,751 people in 6,454 sessions, by guess",
    ["retentioneering_simple_shop/simple-onlineshop.csv"],
    {},
    ({ events, plans, summary }) => {
      expect(plans[0]).toMatchObject({
        guessed: true,
        mapping: "visitor_id=client_id,event_ts=timestamp:%Y-%m-%d %H:%M:%S.%f,event_type=event"
      })
      expect(summary).toMatchObject({ events: 32_283, deadLettered: 0 })
      expect(new Set(events.map(({ visitorId }) => visitorId)).size).toBe(3_751)
      expect(events.filter(({ eventType }) => eventType === "payment_done")).toHaveLength(706)
      expect(sessions(events, 1_800_000)).toBe(6_454)
    }
  )

  real(
    "Taobao's behaviour: no header, translated types, a last line that was cut and lands in 1970",
    ["taobao_userbehavior_2h/UserBehavior.csv.gz"],
    {
      header: false,
      map: "visitor_id=1,item_id=2,category=3,event_ts=5:epoch_s," +
        "event_type=4:{pv>view,cart>add_to_cart,buy>purchase,fav>favorite}"
    },
    ({ events, summary }) => {
      expect(summary).toMatchObject({ lines: 96_169, events: 96_169, deadLettered: 0, eventTsMin: 15_000 })
      expect(new Set(events.map(({ eventType }) => eventType))).toEqual(
        new Set(["view", "add_to_cart", "purchase", "favorite"])
      )
    }
  )

  real(
    "Yoochoose's clicks: tabs, seconds with decimals, sessions as visitors, two files by guess",
    ["yoochoose_100k/yoochoose-clicks-100k_test.txt.gz", "yoochoose_100k/yoochoose-clicks-100k_train_full.txt.gz"],
    {},
    ({ events, plans, summary }) => {
      expect(plans.map(({ delimiter, mapping }) => [delimiter, mapping])).toEqual(
        Array.from({ length: 2 }, () => [
          "\t",
          "visitor_id=SessionId,event_ts=Time:epoch_s,event_type=const:view,item_id=ItemId"
        ])
      )
      expect(summary).toMatchObject({ events: 13_568 + 70_278, deadLettered: 0 })
      expect(events.find(({ visitorId }) => visitorId === "3")).toMatchObject({ eventTs: 1396437466940 })
    }
  )

  real(
    "an access log of semicomplete.com: 10,000 requests",
    ["apache_logs_elastic/apache_logs.gz"],
    {},
    ({ plans, summary }) => {
      expect(plans[0]!.format).toBe("apache")
      expect(summary).toMatchObject({ lines: 10_000, events: 10_000, deadLettered: 0 })
    }
  )

  real(
    "access logs of three scanners, wrapped in quotes",
    ["acunetix", "netsparker", "w3af"].map((name) => `apache_scans_ocatak/${name}.txt.gz`),
    {},
    ({ events, summary }) => {
      expect(summary).toMatchObject({ lines: 17_849, events: 17_849, deadLettered: 0 })
      expect(events.every(({ visitorId }) => /^[\d.]+$/.test(visitorId))).toBe(true)
    }
  )

  real(
    "Wikipedia's edits: JSON lines",
    ["wikiticker_isrobot/wikiticker-2015-09-12-sampled.json.gz"],
    { map: "visitor_id=user,event_ts=time:rfc3339,event_type=const:edit,item_id=page,properties.robot=isRobot" },
    ({ events, summary }) => {
      expect(summary).toMatchObject({ lines: 39_244, events: 39_244, deadLettered: 0 })
      expect(new Set(events.map(({ properties }) => properties["robot"]))).toEqual(new Set(["true", "false"]))
    }
  )

  real(
    "OTTO's sessions: a list of events on each line, by guess",
    ["otto_sample/train.jsonl"],
    {},
    ({ events, summary }) => {
      expect(summary).toMatchObject({ lines: 20, events: 862, deadLettered: 0 })
      expect(new Set(events.map(({ eventType }) => eventType))).toEqual(new Set(["clicks", "carts", "orders"]))
    }
  )

  real(
    "Snowplow's trackers: wide rows with JSON in quotes",
    ["snowplow_web_events/source/snowplow_web_events.csv.gz"],
    {},
    ({ events, summary }) => {
      expect(summary).toMatchObject({ events: 160, deadLettered: 0 })
      expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(157)
    }
  )
})

/** Sessions of events in time order, told apart by a gap. */
const sessions = (events: ReadonlyArray<{ readonly visitorId: string; readonly eventTs: number }>, gapMs: number) => {
  const last = new Map<string, number>()
  let count = 0
  for (const { eventTs, visitorId } of events) {
    const before = last.get(visitorId)
    if (before === undefined || eventTs - before > gapMs) count++
    last.set(visitorId, eventTs)
  }
  return count
}
