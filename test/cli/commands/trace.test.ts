import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { TracedRecord } from "../../../src/operations/trace/Trace.ts"
import { run } from "../CommandRun.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { sampleInstallation, sampleLog } from "../SampleInstallation.ts"

let sample: SampleInstallation
beforeAll(async () => {
  sample = await sampleInstallation()
})
afterAll(() => sample.remove())

const trace = async (...args: ReadonlyArray<string>): Promise<ReadonlyArray<TracedRecord>> => {
  const { failure, stdout } = await run(["trace", ...args, "--json", "--data-dir", sample.dataDir])
  expect(failure).toBeUndefined()
  return (JSON.parse(stdout) as { readonly records: ReadonlyArray<TracedRecord> }).records
}

/** Where the log says that it put the record. */
const placeOf = (name: string) => {
  const { appendedAt, offset, partition } = sample.receipts.get(name)!
  return { partition, offset, appendedAt: new Date(appendedAt).toISOString() }
}

describe("guardian trace", () => {
  it("finds an accepted event, its session, and the duplicate that repeats it", async () => {
    const [first, second, ...others] = await trace("event-3-5")
    const { offset, partition } = placeOf("visitor-3/event-3-5")
    expect(others).toEqual([])
    expect(first).toMatchObject({ ...placeOf("visitor-3/event-3-5"), outcome: "accepted" })
    expect(first!.event).toMatchObject({ event_id: "event-3-5", visitor_id: "visitor-3", item_id: "item-1" })
    expect(first!.session).toMatchObject({ events: 10 })
    expect(second).toMatchObject({ outcome: "duplicate", partition, repeats: { partition, offset } })
    expect(second!.offset).toBeGreaterThan(offset)
    expect(second!.session).toBeUndefined()
  })

  it("resolves a session that another one has absorbed since", async () => {
    const [a] = await trace("merge-a")
    const [b] = await trace("merge-b")
    expect(a!.session).toMatchObject({ events: 3 })
    expect(a!.session).not.toHaveProperty("acceptedAs")
    expect(b!.session!.sessionId).toBe(a!.session!.sessionId)
    expect(b!.session!.acceptedAs).not.toBe(a!.session!.sessionId)
  })

  it("says why an event was late or rejected", async () => {
    const [late] = await trace("late-1")
    const [future] = await trace("future-1")
    expect(late).toMatchObject({ ...placeOf("visitor-4/late-1"), outcome: "late" })
    expect(late!.why).toMatch(/^event_ts was \d+ s behind the watermark .* 600 s are allowed$/)
    expect(future).toMatchObject({ ...placeOf("visitor-5/future-1"), outcome: "rejected" })
    expect(future!.why).toMatch(/^future: /)
  })

  it("finds the id in the bytes of dead letters", async () => {
    const [line] = await trace("broken-1")
    const [avro] = await trace("broken-2")
    expect(line).toMatchObject({ ...placeOf("broken-1"), outcome: "dead-lettered", why: "bad_line: line 7 is no JSON" })
    expect(avro).toMatchObject({ ...placeOf("broken-2"), outcome: "dead-lettered" })
    expect(avro!.why).toMatch(/^undecodable: /)
  })

  it("tells what is not processed yet from what is", async () => {
    expect(await trace("pending-1")).toMatchObject([
      { ...placeOf("visitor-7/pending-1"), outcome: "not processed yet" }
    ])
  })

  it("keeps visitors apart who use the same id", async () => {
    const both = await trace("shared-1")
    const one = await trace("shared-1", "--visitor", "visitor-9")
    expect(both.map(({ outcome }) => outcome)).toEqual(["accepted", "accepted"])
    expect(one).toMatchObject([{ ...placeOf("visitor-9/shared-1"), outcome: "accepted" }])
  })

  it("prints an account for people", async () => {
    const { stdout } = await run(["trace", "merge-b", "--data-dir", sample.dataDir])
    expect(stdout).toMatch(
      /^partition \d, offset \d+, appended .*\n {2}outcome {2}accepted: .*\n {2}event .*\n {2}session .* 3 events, open\n.*absorbed\n$/
    )
  })

  it("fails when there is no such event", async () => {
    const { failure } = await run(["trace", "event-3", "--data-dir", sample.dataDir])
    expect(failure).toMatch(/^No record with event_id event-3: /)
  })

  it("works on a log that has no database yet", async () => {
    const fresh = await sampleLog()
    const { failure, stdout } = await run(["trace", "event-3-5", "--json", "--data-dir", fresh.dataDir])
    await fresh.remove()
    expect(failure).toBeUndefined()
    expect(JSON.parse(stdout).records.map(({ outcome }: TracedRecord) => outcome)).toEqual([
      "not processed yet",
      "not processed yet"
    ])
  })
})
