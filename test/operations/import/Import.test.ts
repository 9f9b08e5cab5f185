import { Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import { readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Readable } from "node:stream"
import { gzipSync } from "node:zlib"
import { describe, expect, it } from "vitest"
import { recordBytesMax } from "../../../src/domain/ClickEvent.ts"
import { fingerprintOf, openImport } from "../../../src/operations/import/Import.ts"
import { lineBytesMax } from "../../../src/operations/import/Lines.ts"
import { encode, importAll, importText, withFolder } from "./ImportHarness.ts"

const failing = (content: string | Uint8Array, options: Parameters<typeof importText>[1] = {}) =>
  importText(content, options).then(
    () => "no error",
    (error: { readonly _tag?: string; readonly message: string }) => `${error._tag}: ${error.message}`
  )

describe("import of CSV", () => {
  it("makes events of rows, in event-time order, equal times in the file's order", async () => {
    const { events, plans, summary } = await importText(
      "\ufeffuser;when;what;price;qty;extra;page\r\n" +
        'b;2;Purchase;12.50;3;x;"/a;b"\r\n' +
        "a;1.5;view;;;y;/1\r\n" +
        "\r\n" +
        "c;1.5;view;;;;/2\r\n",
      {
        map:
          "visitor_id=user,event_ts=when:epoch_s,event_type=what,price=price,quantity=qty,url=page,properties.extra=extra"
      }
    )
    expect(plans[0]).toMatchObject({ format: "csv", delimiter: ";", guessed: false })
    expect(events.map(({ visitorId }) => visitorId)).toEqual(["a", "c", "b"])
    expect(events[2]).toMatchObject({
      eventTs: 2000,
      eventType: "purchase",
      price: 125_000,
      quantity: 3,
      url: "/a;b",
      properties: { extra: "x", original_event_type: "Purchase" }
    })
    expect(events[1]!.properties).toEqual({})
    expect(summary).toMatchObject({
      lines: 5,
      events: 3,
      deadLettered: 0,
      blankLines: 1,
      eventTsMin: 1500,
      eventTsMax: 2000
    })
  })

  it("derives the event id from the DESIGN's five fields, so that equal rows are duplicates", async () => {
    const { events } = await importText("user_id,timestamp,url\na,1000000000,/x\na,1000000000,/x\n")
    const id = createHash("sha256").update("a\u001f1000000000000\u001fview\u001f\u001f/x").digest("hex")
    expect(events.map(({ eventId }) => eventId)).toEqual([id, id])
  })

  it("takes a header without lines for a file without events", async () => {
    const { records, summary } = await importText("user_id,timestamp\n")
    expect(records).toEqual([])
    expect(summary).toMatchObject({ events: 0, deadLettered: 0 })
  })

  it("reads JSON whose second line is broken as JSON", async () => {
    const { deadLetters, events, plans } = await importText('{"user_id":"a","timestamp":1000000000}\nbroken\n')
    expect(plans[0]!.format).toBe("jsonl")
    expect(events).toHaveLength(1)
    expect(deadLetters[0]!.headers!["guardian-dead-letter"]).toBe("invalid_json")
  })

  it("keeps the file's order with asIs, dead letters in place", async () => {
    const { records } = await importText("user_id,timestamp\na,1000000002\nb\nc,1000000001\n", { asIs: true })
    expect(records.map(({ key }) => key.replace(/.*:/, ""))).toEqual(["a", "3", "c"])
  })

  it("keeps the bytes of every bad line, first and in the order of the file, and goes on", async () => {
    const text = "visitor,t,type,price,n\n" +
      "a,1,view,1,1\n" +
      "a,1,view,1\n" +
      ",1,view,1,1\n" +
      "a,x,view,1,1\n" +
      "a,1,,1,1\n" +
      "a,1,view,-1,1\n" +
      "a,1,view,1,1.5\n" +
      `${"v".repeat(129)},1,view,1,1\n` +
      "b,1,view,1,1"
    const { deadLetters, events, records, summary } = await importText(text, {
      map: "visitor_id=visitor,event_ts=t:epoch_s,event_type=type,price=price,quantity=n"
    })
    expect(events.map(({ visitorId }) => visitorId)).toEqual(["a", "b"])
    expect(records.slice(0, 7)).toEqual(deadLetters)
    const lines = text.split("\n")
    expect(
      deadLetters.map((
        { headers, value }
      ) => [headers!["guardian-line"], headers!["guardian-dead-letter"], Buffer.from(value).toString()])
    )
      .toEqual([
        ["3", "wrong_field_count", lines[2]],
        ["4", "missing_visitor", lines[3]],
        ["5", "invalid_time", lines[4]],
        ["6", "missing_event_type", lines[5]],
        ["7", "invalid_price", lines[6]],
        ["8", "invalid_quantity", lines[7]],
        ["9", "invalid_event", lines[8]]
      ])
    const file = deadLetters[2]!.headers!["guardian-file"]
    expect(deadLetters[2]!.key).toBe(`import:${file}:5`)
    expect(deadLetters[2]!.headers!["guardian-detail"]).toBe('event_ts: "x" is no time of the form epoch_s')
    expect(summary.deadLetters).toMatchObject({ invalid_time: 1, invalid_event: 1 })
    expect(summary.lines).toBe(1 + summary.events + summary.deadLettered)
  })

  it("keeps a line of 20 MB whole, and of one beyond 64 MiB the beginning and its length", async () => {
    const head = "user_id,timestamp\na,1000000000\n"
    const large = Buffer.concat([Buffer.from(head), Buffer.alloc(20_000_000, "x"), Buffer.from("\nb,1000000001\n")])
    const one = await importText(large)
    expect(one.events.map(({ visitorId }) => visitorId)).toEqual(["a", "b"])
    expect(one.deadLetters).toHaveLength(1)
    expect(one.deadLetters[0]!.headers).toMatchObject({
      "guardian-dead-letter": "record_too_large",
      "guardian-line": "3"
    })
    expect(one.deadLetters[0]!.value).toHaveLength(20_000_000)
    const huge = Buffer.concat([
      Buffer.from(head),
      Buffer.alloc(lineBytesMax + 5, "x"),
      Buffer.from("\nb,1000000001\n")
    ])
    const other = await importText(huge)
    expect(other.deadLetters[0]!.value).toHaveLength(lineBytesMax)
    expect(other.deadLetters[0]!.headers!["guardian-length"]).toBe(String(lineBytesMax + 5))
    expect(other.events).toHaveLength(2)
  })

  it("cuts long texts by the domain's rule, and dead-letters an event over 1 MiB", async () => {
    const { events, deadLetters } = await importText(
      `user_id,timestamp,url\na,1000000000,${"u".repeat(5000)}\nb,1000000001,${"\u0001".repeat(300_000)}\n`,
      { map: "visitor_id=user_id,event_ts=timestamp:epoch_s,event_type=const:view,url=url" }
    )
    expect(events.map(({ truncated, url }) => [truncated, url.length])).toEqual([[true, 2048], [true, 2048]])
    const columns = Array.from({ length: 60 }, (_, i) => `c${i}`)
    const wide = await importText(
      `user_id,timestamp,${columns.join(",")}\na,1000000000,${columns.map(() => "\u0001".repeat(4000)).join(",")}\n`,
      {
        map: "visitor_id=user_id,event_ts=timestamp:epoch_s,event_type=const:view," +
          columns.map((column) => `properties.${column}=${column}`).join(",")
      }
    )
    expect(deadLetters).toEqual([])
    expect(wide.deadLetters[0]!.headers!["guardian-dead-letter"]).toBe("invalid_event")
    expect(wide.deadLetters[0]!.value.length).toBeLessThan(recordBytesMax)
  })

  it("reads columns by number without a header", async () => {
    const { events } = await importText("a|view|2024-01-01T00:00:00Z\nb|buy|2024-01-01T00:00:01Z\n", {
      header: false,
      map: "visitor_id=1,event_type=2:{buy>purchase},event_ts=3"
    })
    expect(events.map(({ eventType, visitorId }) => [visitorId, eventType])).toEqual([["a", "view"], ["b", "purchase"]])
  })
})

describe("import of other formats", () => {
  it("reads JSON lines by dotted paths, numbers with all digits", async () => {
    const { events, deadLetters, plans } = await importText(
      '{"user":{"id":7},"t":1659304800025999999,"e":"click","price":19.99,"tags":[1,{"a":2}],"n.m":null}\n' +
        '{"user":{"id":8},"t":1659304800025999999,\n' +
        "[1]\n" +
        '{"user":{"id":{}},"t":1659304800025999999,"e":"click"}\n',
      { map: "visitor_id=user.id,event_ts=t:epoch_ns,event_type=e,price=price,properties.tags=tags,item_id=n.m" }
    )
    expect(plans[0]!.format).toBe("jsonl")
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      visitorId: "7",
      eventTs: 1659304800025,
      price: 199_900,
      itemId: "",
      properties: { tags: '[1,{"a":2}]' }
    })
    expect(deadLetters.map(({ headers }) => headers!["guardian-dead-letter"])).toEqual([
      "invalid_json",
      "invalid_json",
      "invalid_json"
    ])
  })

  it("makes an event of each element of a list, or of none when one is bad", async () => {
    const line = (second: unknown) => JSON.stringify({ s: 1, ev: [{ t: 1e12, k: "view" }, { t: second, k: "click" }] })
    const { events, deadLetters } = await importText(
      `${line(1e12 + 5)}\n${line("x")}\n${JSON.stringify({ s: 2, ev: [] })}\n`,
      {
        map: "visitor_id=s,event_ts=ev[].t:epoch_ms,event_type=ev[].k"
      }
    )
    expect(events.map(({ eventTs, eventType }) => [eventTs, eventType])).toEqual([[1e12, "view"], [1e12 + 5, "click"]])
    expect(deadLetters.map(({ headers }) => headers!["guardian-detail"])).toEqual([
      'element 1: event_ts: "x" is no time of the form epoch_ms',
      "ev is empty: the line holds no event"
    ])
  })

  it("reads access logs: common, combined, wrapped in quotes, with requests that are none", async () => {
    const time = "[22/Dec/2016:16:30:52 +0300]"
    const { events, deadLetters } = await importText(
      `1.1.1.1 - bob ${time} "GET /a?b=c HTTP/1.1" 200 12 "http://r/" "An \\"agent\\""\n` +
        `"1.1.1.2 - - ${time} "POST /b HTTP/1.0" 404 - "-" "w3af.org""\n` +
        `1.1.1.3 - - ${time} "GET /c HTTP/1.1" 200 7\n` +
        `1.1.1.4 - - ${time} "\\x16\\x03\\x01" 400 226 "-" "-" 0.004 extra\n` +
        "not a log line\n",
      { map: "properties.user=user" }
    )
    const eventTs = Date.UTC(2016, 11, 22, 13, 30, 52)
    expect(events).toMatchObject([
      {
        visitorId: "1.1.1.1",
        eventTs,
        eventType: "view",
        url: "/a?b=c",
        referrer: "http://r/",
        userAgent: 'An \\"agent\\"',
        properties: { method: "GET", status: "200", bytes: "12", user: "bob" }
      },
      {
        visitorId: "1.1.1.2",
        url: "/b",
        referrer: "",
        userAgent: "w3af.org",
        properties: { method: "POST", status: "404" }
      },
      { visitorId: "1.1.1.3", url: "/c", userAgent: "" },
      { visitorId: "1.1.1.4", url: "\\x16\\x03\\x01", properties: { status: "400" } }
    ])
    expect(deadLetters[0]!.headers!["guardian-dead-letter"]).toBe("invalid_log_line")
    const hashed = await importText(`1.1.1.1 - - ${time} "GET / HTTP/1.1" 200 1 "-" "x"\n`, {
      map: "visitor_id=ip_and_agent"
    })
    expect(hashed.events[0]!.visitorId).toMatch(/^[0-9a-f]{20}$/)
  })
})

describe("what an import reads", () => {
  const text = "user_id,timestamp\na,1000000000\nb,1000000001\n"

  it("is the same from a file, a gzip under any name, and standard input", async () => {
    const plain = await importText(text)
    const zipped = await importText(gzipSync(text))
    const input = (chunks: ReadonlyArray<Uint8Array>) =>
      Effect.runPromise(importAll({ files: ["-"], standardInput: Readable.from(chunks) }))
    const bytes = [...gzipSync(text)].map((byte) => Buffer.from([byte]))
    const piped = await input(bytes)
    for (const other of [zipped, piped, await input([Buffer.from(text)])]) {
      expect(other.events).toEqual(plain.events)
      expect(other.summary.files[0]!.fingerprint).toBe(plain.summary.files[0]!.fingerprint)
    }
    expect(plain.summary.files[0]!.fingerprint).toBe(createHash("sha256").update(text).digest("hex"))
  })

  it("has a fingerprint before it is read, and refuses a file that is named twice", () =>
    withFolder(async (folder) => {
      const [plain, zipped] = [join(folder, "a.csv"), join(folder, "b")]
      await writeFile(plain, text)
      await writeFile(zipped, gzipSync(text))
      expect(await Effect.runPromise(fingerprintOf(zipped))).toBe(createHash("sha256").update(text).digest("hex"))
      const error = await Effect.runPromise(Effect.flip(importAll({ files: [plain, zipped] })))
      expect(error).toMatchObject({ _tag: "MappingError" })
      expect(error.message).toContain("has the same content as")
    }))

  it("tells how far it is", () =>
    withFolder(async (folder) => {
      const file = join(folder, "a.csv")
      await writeFile(file, text)
      const seen: Array<unknown> = []
      await Effect.runPromise(importAll({ files: [file], onProgress: (progress) => seen.push(progress) }))
      expect(seen.at(-1)).toEqual({ file, bytesRead: text.length, bytesTotal: text.length, lines: 3 })
    }))

  it("may be empty", async () => {
    expect((await importText("")).summary).toMatchObject({ lines: 0, events: 0, deadLettered: 0 })
    expect((await importText("\n\n")).summary).toMatchObject({ lines: 2, blankLines: 2, events: 0 })
  })
})

describe("an import that cannot work says so before anything is appended", () => {
  it.each<[string, string | Uint8Array, Parameters<typeof importText>[1], RegExp]>([
    [
      "an unknown column",
      "a,b\n1,2\n",
      { map: "visitor_id=c,event_ts=b:epoch_s,event_type=const:view" },
      /no column "c"; found are a, b/
    ],
    [
      "a column twice",
      "a,a\n1,2\n",
      { map: "visitor_id=a,event_ts=a:epoch_s,event_type=const:view" },
      /stands 2 times/
    ],
    ["a missing target", "a,b\n1,2\n", { map: "visitor_id=a" }, /lacks event_ts, event_type; columns found are a, b/],
    ["no guess", "foo,bar\n1,2\n", {}, /lacks visitor_id, event_ts; columns found are foo, bar/],
    ["an unclear time", "user_id,time\n1,soon\n", {}, /time format of "time" is not clear from \["soon"\]/],
    ["no map without a header", "1,2\n", { header: false }, /columns need --map, by number; the first line has 2: 1,2/],
    [
      "a number beyond",
      "1,2\n",
      { header: false, map: "visitor_id=3,event_ts=2:epoch_s,event_type=const:view" },
      /numbers from 1 to 2/
    ],
    [
      "an unknown path",
      '{"a":1}\n',
      { map: "visitor_id=b,event_ts=a:epoch_s,event_type=const:view" },
      /no "b" in the first lines; found are a/
    ],
    [
      "two lists",
      '{"a":[1],"b":[1]}\n',
      { map: "visitor_id=a[],event_ts=b[]:epoch_s,event_type=const:v" },
      /different lists/
    ],
    ["a header without an end", "a".repeat(300_000), {}, /no line ends/],
    ["a column that stands twice and would be guessed", "user_id,timestamp,timestamp\na,1,2\n", {}, /stands 2 times/],
    ["bytes that are no text", "PK\u0003\u0004\u0000\u0000,\n", {}, /is binary/],
    ["UTF-16", Buffer.from("\ufeffuser_id,time\n1,2\n", "utf16le"), {}, /UTF-16/]
  ])("%s", async (_, content, options, message) => {
    const error = await failing(content, options)
    expect(error).toMatch(/^MappingError: /)
    expect(error).toMatch(message)
  })

  it("a missing file, a folder, a damaged and a cut-off gzip", () =>
    withFolder(async (folder) => {
      const zipped = gzipSync(Buffer.from(`user_id,timestamp\n${"a,1000000000\nb,1000000003\n".repeat(50_000)}`))
      const [cut, damaged] = [join(folder, "cut"), join(folder, "damaged")]
      await writeFile(cut, zipped.subarray(0, -20))
      const broken = Buffer.from(zipped)
      broken.fill(0xff, broken.length - 40, broken.length - 20)
      await writeFile(damaged, broken)
      for (
        const [file, message] of [
          [join(folder, "none"), "there is no such file"],
          [folder, "it is a folder"],
          [cut, "cut off; nothing was imported"],
          [damaged, "damaged; nothing was imported"]
        ] as const
      ) {
        const error = await Effect.runPromise(Effect.flip(importAll({ files: [file] })))
        expect(error._tag).toBe("ImportFileError")
        expect(error.message).toContain(message)
      }
    }))
})

describe("memory", () => {
  const text = `user_id,timestamp,url\n${
    Array.from({ length: 6_000 }, (_, i) => `u${i % 37},${1_000_000_000 + ((i * 7919) % 20_011)},/p/${i}`).join("\n")
  }\nbad\n`

  it("spills to files and gives the same, and takes the files away after success and failure", () =>
    withFolder(async (folder) => {
      const inMemory = await importText(text)
      const spilled = await importText(text, { memoryBytesMax: 100_000, temporaryFolder: folder })
      expect(spilled.events).toEqual(inMemory.events)
      expect(spilled.deadLetters.map(({ value }) => Buffer.from(value).toString())).toEqual(["bad"])
      expect(await readdir(folder)).toEqual([])
      const cut = gzipSync(text.repeat(10)).subarray(0, -1000)
      expect(await failing(cut, { memoryBytesMax: 100_000, temporaryFolder: folder })).toContain("cut off")
      expect(await readdir(folder)).toEqual([])
    }))

  it("takes the files away when it is interrupted, while reading and while giving records", () =>
    withFolder(async (folder) => {
      const waitFor = async (test: () => Promise<boolean>) => {
        for (let i = 0; i < 1_000_000; i++) if (await test()) return
        throw new Error("it did not come")
      }
      const file = join(folder, "a.csv")
      await writeFile(file, text)
      await withFolder(async (runs) => {
        const options = { format: "auto", encode, temporaryFolder: runs, memoryBytesMax: 200_000 } as const
        const endless = new Readable({ read() {} })
        endless.push(text)
        const reading = Effect.runFork(
          Effect.flatMap(openImport({ ...options, files: ["-"], standardInput: endless }), ({ read }) => read).pipe(
            Effect.scoped
          )
        )
        endless.push(Buffer.alloc(600_000, "x,y\n"))
        await waitFor(async () => (await readdir(runs)).length > 0)
        await Effect.runPromise(Fiber.interrupt(reading))
        expect(await readdir(runs)).toEqual([])

        let given = 0
        const giving = Effect.runFork(
          Effect.gen(function*() {
            const opened = yield* openImport({ ...options, files: [file] })
            const { records } = yield* opened.read
            yield* Stream.runForEach(records, () => {
              given++
              return Effect.never
            })
          }).pipe(Effect.scoped)
        )
        await waitFor(async () => (await readdir(runs)).length > 0 && given > 0)
        await Effect.runPromise(Fiber.interrupt(giving))
        expect(await readdir(runs)).toEqual([])
      })
    }))
})
