/** Facts about running processes, from /proc (Linux). */
import { readdirSync, readFileSync } from "node:fs"

/** User and system time so far, all threads, s. */
export const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** The most memory that was resident at one time, MB. */
export const peakMegabytes = (pid: number): number => megabytes(pid, "VmHWM")

/** Memory that is resident now, MB. */
export const residentMegabytes = (pid: number): number => megabytes(pid, "VmRSS")

export const childPids = (pid: number): ReadonlyArray<number> =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter((child) => child !== "").map(Number)
  )

const megabytes = (pid: number, field: string): number => {
  const line = new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return Math.round(Number(line?.[1] ?? 0) / 1000)
}
