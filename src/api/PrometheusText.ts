/** Prometheus' text format. */
interface Sample {
  /** Behind the metric's name: _sum and _count of a summary. */
  readonly suffix?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

type Kind = "counter" | "gauge" | "summary"

/** One metric in Prometheus' text format; nothing when there is no sample. */
export const block = (name: string, kind: Kind, help: string, samples: ReadonlyArray<Sample>): string =>
  samples.length === 0 ?
    "" :
    `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${
      samples.map(({ labels, suffix = "", value }) => `${name}${suffix}${labelText(labels)} ${value}\n`).join("")
    }`

const labelText = (labels: Sample["labels"]): string => {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  return parts.length === 0 ? "" : `{${parts.join(",")}}`
}
