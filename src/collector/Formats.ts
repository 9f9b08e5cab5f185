/** All wire formats, by path. */
import { cloudEvents } from "./formats/CloudEvents.ts"
import { native } from "./formats/Native.ts"
import { plausible } from "./formats/Plausible.ts"
import { postHog } from "./formats/PostHog.ts"
import { segment } from "./formats/Segment.ts"
import { snowplow, snowplowPixel } from "./formats/Snowplow.ts"
import type { WireFormat } from "./Submission.ts"

export const formats: ReadonlyArray<WireFormat> = [
  native,
  segment,
  postHog,
  snowplow,
  snowplowPixel,
  plausible,
  cloudEvents
]

const byPath = new Map(formats.flatMap((format) => format.paths.map((path) => [path, format] as const)))

/** Exactly this path, or with one slash at its end. */
export const formatAt = (path: string): WireFormat | undefined =>
  byPath.get(path) ?? (path.endsWith("/") ? byPath.get(path.slice(0, -1)) : undefined)
