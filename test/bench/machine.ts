import { cpus, loadavg, totalmem } from "node:os"

/** What else ran in the last minute: processes that wanted a core, ours among them. */
export const load = (): string => `load ${loadavg()[0]!.toFixed(1)}`

/** One line about the machine, for every benchmark's head. */
export const machine = (): string =>
  `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}`
