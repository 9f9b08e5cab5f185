/** The parts that several answers and parameters share. */
import { Effect, Schema } from "effect"

/** Rows of a page, at most. */
export const pageRowsMax = 1_000
/** Days of a range, at most. */
export const rangeDaysMax = 366

export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
export const Money = Schema.String.annotate({
  description: "Exact decimal in the reporting currency",
  examples: ["1234.5"]
})
export const Time = Schema.String.annotate({
  description: "RFC 3339, UTC",
  examples: ["2026-03-02T10:00:00.000Z"]
})

/** A day that exists, between 1970 and 2149: what ClickHouse's Date holds. */
export const Day = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}$/),
  Schema.makeFilter((text: string) => isDay(text), {
    expected: "a day such as 2026-03-02, from 1970-01-01 to 2149-06-06"
  })
).annotate({ description: "Day of the reporting time zone", examples: ["2026-03-02"] })

/** Whether there is such a day, from 1970 to 2149: what ClickHouse's Date holds. */
export const isDay = (text: string): boolean => {
  const time = Date.parse(`${text}T00:00:00Z`)
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(text) && text >= "1970-01-01" &&
    text <= "2149-06-06"
}

export const Segment = Schema.Literals(["all", "clean", "flagged"])
export const segment = Segment.annotate({
  description: "all; clean: without the sessions of bots; flagged: only those"
}).pipe(Schema.withDecodingDefaultKey(Effect.succeed("all" as const)))

export const wholeBetween = (minimum: number, maximum: number, fallback: number, description: string) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum })).annotate({ description }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(fallback))
  )

export const limit = wholeBetween(1, pageRowsMax, 50, "Rows of the page, at most")
export const cursor = Schema.optionalKey(
  Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{1,1500}$/)).annotate({
    description: "next_cursor of the page before; says nothing to anyone but this server"
  })
)

/** An id or a name as senders choose them: not empty, not endless, without control characters. */
export const Name = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(128))
export const SessionId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/)).annotate({
  description: "12 hex digits of the opening event's epoch ms, 20 of a hash",
  examples: ["019ca9e0c7800123456789abcdef0123"]
})

export const Freshness = Schema.Struct({
  watermark: Schema.NullOr(Time).annotate({
    description: "Event time up to which every partition has been taken in; null before the first event"
  }),
  newest_event: Schema.NullOr(Time).annotate({ description: "The newest event time of any partition" }),
  age_seconds: Schema.NullOr(Schema.Finite).annotate({ description: "How long ago the watermark is" })
}).annotate({ identifier: "Freshness", description: "How new the data is that the answer was made from" })

/** One thing, with how fresh it is. */
export const Answer = <S extends Schema.Top>(data: S) => Schema.Struct({ data, freshness: Freshness })

/** Rows in order; `next_cursor` is null at the end. */
export const Page = <S extends Schema.Top>(row: S) =>
  Schema.Struct({
    data: Schema.Array(row),
    next_cursor: Schema.NullOr(Schema.String).annotate({ description: "Ask with it for the next page; null: the end" }),
    freshness: Freshness
  })
