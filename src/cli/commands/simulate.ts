import { Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { randomInt } from "node:crypto"
import { dataDir, json, partitions, print, printJson, rateFlag } from "../Flags.ts"
import { logLayer, registryLayer } from "../Installation.ts"
import { markLive } from "../LiveLog.ts"
import { liveTraffic } from "../LiveTraffic.ts"

const rate = rateFlag.pipe(Flag.withDescription("Events per second"), Flag.withDefault(100))
const seconds = Flag.Finite("seconds").pipe(
  Flag.filter((seconds) => seconds > 0, () => "a number above 0"),
  Flag.withDescription("How long; without it until stopped"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const seed = Flag.Int("seed").pipe(
  Flag.withDescription("The same seed makes the same visitors and event ids; without it a random one"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Appends live traffic like a shop's; a serving process picks it up, or `guardian drain` later. */
export const simulate = Command.make(
  "simulate",
  { dataDir, json, rate, seconds, seed, partitions },
  Effect.fn(function*({ dataDir, json, partitions, rate, seconds, seed: asked }) {
    const seed = asked ?? randomInt(2 ** 31)
    let appended = 0
    yield* markLive(dataDir)
    if (!json) {
      yield* print(
        `appending ${rate} events/s to ${dataDir}${
          seconds === undefined ? " until stopped" : ` for ${seconds} s`
        }, seed ${seed}`
      )
    }
    yield* liveTraffic({ eventsPerSecond: rate, seconds, seed, onAppended: (records) => appended += records }).pipe(
      Effect.provide(Layer.merge(logLayer(dataDir, partitions), registryLayer(dataDir))),
      Effect.ensuring(
        Effect.suspend(() =>
          json ? printJson({ appended, seed }) : print(`${appended.toLocaleString("en")} events appended`)
        )
      )
    )
  })
).pipe(Command.withDescription("Append simulated shop traffic to the log"))
