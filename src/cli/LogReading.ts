/** What commands that look into the log share. */
import { Layer } from "effect"
import { existingLogLayer, registryLayer } from "./Installation.ts"

/** A log that must exist, and the registry that its records need. One after the other: without a log nothing is made. */
export const logReadingLayer = (dataDirectory: string) =>
  registryLayer(dataDirectory).pipe(Layer.provideMerge(existingLogLayer(dataDirectory)))
