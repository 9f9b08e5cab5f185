/** What columns probably mean, when the user gives no mapping: by their names, and for times by their values. */
import type { Mapping, Rule } from "./Mapping.ts"
import { timeFormat } from "./TimeFormat.ts"

/** Names of columns that mean a field, likeliest first; case, blanks, "_" and "-" do not count, nor what stands before a dot. */
const namesOf: ReadonlyArray<readonly [target: string, names: ReadonlyArray<string>]> = [
  ["event_id", ["eventid", "messageid"]],
  [
    "visitor_id",
    [
      "visitorid",
      "userid",
      "uuid",
      "clientid",
      "customerid",
      "domainuserid",
      "anonymousid",
      "deviceid",
      "cookieid",
      "sessionid",
      "session",
      "visitor",
      "user",
      "client",
      "ip"
    ]
  ],
  [
    "event_ts",
    [
      "eventts",
      "timestamp",
      "eventtime",
      "eventtimestamp",
      "ts",
      "time",
      "datetime",
      "derivedtstamp",
      "collectortstamp",
      "createdat",
      "occurredat",
      "date"
    ]
  ],
  ["event_type", ["eventtype", "event", "eventname", "action", "behavior", "behaviour", "behaviortype", "type"]],
  ["item_id", ["itemid", "productid", "sku", "aid", "item", "product"]],
  ["category", ["category", "categoryid", "categorycode"]],
  ["price", ["price", "unitprice"]],
  ["currency", ["currency"]],
  ["quantity", ["quantity", "qty"]],
  ["url", ["url", "pageurl"]],
  ["referrer", ["referrer", "referer", "pagereferrer"]],
  ["user_agent", ["useragent", "ua"]]
]

/**
 * Rules for what was recognised; without a column for the type, every event is a view. Columns that are empty in the sample are taken
 * where no other means the same: prices may come later.
 */
export const guessMapping = (used: ReadonlyArray<string>, columns: ReadonlyArray<string> = used): Mapping => {
  const rules = recognised(used)
  const known = new Set(rules.map(({ target }) => target))
  const more = recognised(columns).filter(({ source, target }) => source.kind === "column" && !known.has(target))
  return [...rules, ...more]
}

const recognised = (columns: ReadonlyArray<string>): ReadonlyArray<Rule> => {
  const plain = columns.map((column) =>
    column.slice(column.lastIndexOf(".") + 1).toLowerCase().replaceAll(/[\s_-]/g, "")
  )
  const rules: Array<Rule> = []
  for (const [target, names] of namesOf) {
    const name = names.find((name) => plain.includes(name))
    if (name !== undefined) rules.push({ target, source: { kind: "column", name: columns[plain.indexOf(name)]! } })
    else if (target === "event_type") rules.push({ target, source: { kind: "const", value: "view" } })
  }
  return rules
}

/** Share of the sampled values that a guessed format must read. */
const agreeingMin = 0.9

const patterns = [
  "rfc3339",
  "%Y-%m-%d %H:%M:%S.%f",
  "%Y-%m-%dT%H:%M:%S.%f",
  "%Y-%m-%d %H:%M:%S.%f %Z",
  "%Y/%m/%d %H:%M:%S.%f",
  "%d/%b/%Y:%H:%M:%S %z",
  "%Y-%m-%d %H:%M",
  "%Y-%m-%d"
]

/** The format that reads these values, or undefined. Epoch units are told apart by size: years from 1973 to 5138 are unlike in each. */
export const guessTimeFormat = (values: ReadonlyArray<string>): string | undefined => {
  const present = values.filter((value) => value !== "")
  const agree = (test: (value: string) => boolean) =>
    present.length > 0 && present.filter((value) => test(value)).length >= agreeingMin * present.length
  const wholeDigits = (value: string) => /^(\d+)(?:\.\d+)?$/.exec(value)?.[1]?.length ?? 0
  const units = [["epoch_s", 9, 11], ["epoch_ms", 12, 14], ["epoch_us", 15, 17], ["epoch_ns", 18, 20]] as const
  for (const [unit, least, most] of units) {
    if (agree((value) => wholeDigits(value) >= least && wholeDigits(value) <= most)) return unit
  }
  return patterns.find((pattern) => {
    const { parse } = timeFormat(pattern)
    return agree((value) => parse(value) !== undefined)
  })
}
