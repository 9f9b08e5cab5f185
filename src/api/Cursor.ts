/** Cursors: the key of the last row of a page, opaque to clients, checked when they come back. */
import { Effect, Schema } from "effect"
import { BadParameters } from "./contract/Problems.ts"

/** `kind` keeps cursors of different lists apart. */
export const encodeCursor = (kind: string, key: ReadonlyArray<string | number>): string =>
  Buffer.from(JSON.stringify([kind, ...key])).toString("base64url")

/** The key in a cursor, undefined without one. */
export const decodeCursor = <S extends Schema.ConstraintDecoder<ReadonlyArray<string | number>>>(
  kind: string,
  key: S,
  cursor: string | undefined
): Effect.Effect<S["Type"] | undefined, BadParameters> =>
  cursor === undefined ? Effect.succeed(undefined) : Effect.try({
    try: () => {
      const [of, ...parts] = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")) as Array<unknown>
      if (of !== kind) throw new Error("of another list")
      return Schema.decodeUnknownSync(key)(parts)
    },
    catch: () =>
      new BadParameters({ detail: "cursor is none of this list: pass next_cursor of the page before, unchanged" })
  })
