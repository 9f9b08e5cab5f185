import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { EventLog } from "../../src/log/EventLog.ts"
import { collectorPlace, realLog, storedRecords } from "./CollectorPlace.ts"

const body = (id: string) =>
  JSON.stringify({ event_id: id, visitor_id: "v", event_ts: 1_764_000_000_000, event_type: "click" })

describe("a log that answers, but slower than events come", () => {
  it.live("makes senders wait by 429 as soon as its oldest append is too old, though few records are under way", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const reached = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const slow: EventLog["Service"] = {
        ...log,
        append: (records) =>
          Deferred.succeed(reached, undefined).pipe(
            Effect.andThen(Deferred.await(gate)),
            Effect.andThen(log.append(records))
          )
      }
      // Any append that is unanswered is too old.
      const place = yield* collectorPlace({ limits: { queueMsMax: 0 } }).pipe(
        Effect.provide(Layer.succeed(EventLog, slow))
      )
      const send = (id: string) => place.send("/collect", { method: "POST", body: body(id) })
      const first = Effect.runPromise(send("a"))
      yield* Deferred.await(reached)
      const refused = yield* send("b")
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.headers.get("retry-after"), "1")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Effect.promise(() => first)).status, 200)
      assert.strictEqual((yield* send("b")).status, 200)
      assert.strictEqual((yield* storedRecords).length, 2)
    }).pipe(Effect.provide(realLog), Effect.scoped))
})
