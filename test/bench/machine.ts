import { cpus, totalmem } from "node:os"

/** One line about the machine, for every benchmark's head. */
export const machine = (): string =>
  `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}`
