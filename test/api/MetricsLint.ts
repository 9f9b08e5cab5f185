/**
 * What promtool complains of in a text of metrics, and what its parser refuses (prometheus.io: exposition formats, naming). Prometheus
 * itself is not at hand everywhere; the test holds this to known bad texts.
 */

const types = new Set(["counter", "gauge", "histogram", "summary"])
/** Units are base units, spelled out. */
const wrongUnits = /_(milliseconds|microseconds|ms|minutes|hours|days|kilobytes|megabytes|kb|mb|percent)(_|$)/
const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y

interface Family {
  type: string | undefined
  help: string | undefined
}

/** Every fault, in words; none is good. */
export const metricsFaults = (text: string): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  if (!text.endsWith("\n")) faults.push("the last line has no end")
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const [, what, name, rest] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? []
    if (name !== undefined) {
      const family = families.get(name) ?? { type: undefined, help: undefined }
      families.set(name, family)
      if (what === "HELP") family.help = rest
      else if (family.type !== undefined) faults.push(`${name} has two types`)
      else family.type = rest
      continue
    }
    faults.push(...sampleFaults(line, families, seen))
  }
  for (const [name, family] of families) faults.push(...familyFaults(name, family))
  return faults
}

const sampleFaults = (
  line: string,
  families: ReadonlyMap<string, Family>,
  seen: Set<string>
): ReadonlyArray<string> => {
  const [, name, labelText = "", value] = sample.exec(line) ?? []
  if (name === undefined) return [`no sample: ${line}`]
  const faults: Array<string> = []
  const labels = new Map<string, string>()
  label.lastIndex = 0
  let end = 0
  for (let found = label.exec(labelText); found !== null; found = label.exec(labelText)) {
    labels.set(found[1]!, found[2]!)
    end = label.lastIndex
  }
  if (end !== labelText.length) faults.push(`labels that do not parse: ${line}`)
  if (!/^([+-]?Inf|NaN)$/.test(value!) && !Number.isFinite(Number(value))) faults.push(`no number: ${line}`)
  const key = `${name}{${[...labels].map(([label, text]) => `${label}=${text}`).sort().join()}}`
  if (seen.has(key)) faults.push(`twice: ${key}`)
  seen.add(key)
  const base = families.has(name) ? name : name.replace(/_(bucket|sum|count)$/, "")
  const type = families.get(base)?.type
  if (type === undefined) return [...faults, `${name} has no type before its first sample`]
  if (base !== name && type !== "histogram" && type !== "summary") faults.push(`${name} is no part of a ${type}`)
  if (labels.has("quantile") && type !== "summary") faults.push(`${name} has a quantile and is no summary`)
  if (labels.has("le") && type !== "histogram") faults.push(`${name} has an le and is no histogram`)
  if (type === "counter" && Number(value) < 0) faults.push(`${name} is a counter below 0`)
  for (const each of labels.keys()) if (/[A-Z]/.test(each)) faults.push(`${name} has the label ${each}`)
  return faults
}

const familyFaults = (name: string, { help, type }: Family): ReadonlyArray<string> => [
  ...(help === undefined || help === "" ? [`${name} has no help`] : []),
  ...(type === undefined || !types.has(type) ? [`${name} has the type ${type}`] : []),
  ...(type === "counter" && !name.endsWith("_total") ? [`${name} is a counter without _total`] : []),
  ...(type !== "counter" && name.endsWith("_total") ? [`${name} is no counter and ends in _total`] : []),
  ...(/[A-Z]/.test(name) ? [`${name} is not in lower case`] : []),
  ...(wrongUnits.test(name) ? [`${name} is not in a base unit`] : []),
  ...(/_(gauge|counter|histogram|summary)(_|$)/.test(name) ? [`${name} says its type`] : [])
]
