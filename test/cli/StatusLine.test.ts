import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { statusLine } from "../../src/cli/StatusLine.ts"
import type { PartitionRange } from "../../src/log/EventLog.ts"
import { EventLog, LogError } from "../../src/log/EventLog.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"

const lineWith = (ranges: Effect.Effect<ReadonlyArray<PartitionRange>, LogError>) =>
  Effect.provide(statusLine(new PipelineStatus()), Layer.mock(EventLog, { logId: "log", partitions: 1, ranges }))

it.effect("the word on a pipeline says how long the log is, and goes on without when the log cannot say", () =>
  Effect.gen(function*() {
    const known = yield* lineWith(Effect.succeed([{ start: 0, end: 7 } as PartitionRange]))
    assert.match(known, /^starting: 0 of 7 records of the log; 0 received/)
    const away = new LogError({ message: "ask for the log's ranges: Connection timeout", retryable: true })
    const unknown = yield* lineWith(Effect.fail(away))
    assert.match(unknown, /^starting: 0 of so far unknown \(.*Connection timeout\) records of the log; 0 received/)
  }))
