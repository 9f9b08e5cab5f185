/** Reads a request's body: bounded as sent, bounded when inflated, and counted against the budget while it comes in. */
import { Effect, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import { gunzip, gunzipSync } from "node:zlib"
import { CollectFault } from "./CollectFault.ts"
import type { CollectorLimits } from "./CollectorSettings.ts"
import { smallBodyBytes } from "./CollectorSettings.ts"
import type { Lease } from "./Intake.ts"
import { Refusal } from "./Refusal.ts"

/** The body, inflated when it is gzip, whatever its headers say; a fault when it looks like gzip and is not. */
export const readBody = (
  request: HttpServerRequest.HttpServerRequest,
  lease: Lease,
  limits: CollectorLimits
): Effect.Effect<Buffer | { readonly fault: CollectFault; readonly bytes: Buffer }, Refusal> =>
  Effect.flatMap(readSent(request, lease, limits), (sent) => inflate(sent, lease, limits))

const readSent = (
  request: HttpServerRequest.HttpServerRequest,
  lease: Lease,
  limits: CollectorLimits
): Effect.Effect<Buffer, Refusal> => {
  const declared = request.headers["content-length"]
  const length = declared === undefined ? undefined : Number(declared)
  if (length !== undefined && length > limits.bodyBytesMax) return Effect.fail(bodyTooLarge(limits))
  if (length !== undefined && length <= smallBodyBytes) {
    return Effect.flatMap(
      Effect.mapError(request.arrayBuffer, cutOff),
      (bytes) => lease.take(bytes.byteLength) ? Effect.succeed(Buffer.from(bytes)) : Effect.fail(Refusal.full)
    )
  }
  return Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    return request.stream.pipe(
      Stream.mapError(cutOff),
      Stream.runForEach((chunk) => {
        bytes += chunk.length
        if (bytes > limits.bodyBytesMax) return Effect.fail(bodyTooLarge(limits))
        if (!lease.take(chunk.length)) return Effect.fail(Refusal.full)
        chunks.push(chunk)
        return Effect.void
      }),
      Effect.map(() => Buffer.concat(chunks))
    )
  })
}

/** Up to this size inflating at once is cheaper than handing it to a thread, bytes as sent. */
const inflateAtOnceBytes = 4 * 1024

const inflate = (
  sent: Buffer,
  lease: Lease,
  limits: CollectorLimits
): Effect.Effect<Buffer | { readonly fault: CollectFault; readonly bytes: Buffer }, Refusal> => {
  if (sent[0] !== 0x1f || sent[1] !== 0x8b) return Effect.succeed(sent)
  return Effect.callback((resume) => {
    const done = (error: Error | null, body: Buffer) => {
      if (error === null) {
        return resume(lease.take(body.length) ? Effect.succeed(body) : Effect.fail(Refusal.full))
      }
      const isBomb = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
      resume(
        isBomb ?
          Effect.fail(
            new Refusal(413, "Body too large", `Inflated, the body has more than ${limits.inflatedBytesMax} bytes.`)
          ) :
          Effect.succeed({ fault: new CollectFault("invalid_compression", error.message), bytes: sent })
      )
    }
    const options = { maxOutputLength: limits.inflatedBytesMax }
    if (sent.length > inflateAtOnceBytes) gunzip(sent, options, done)
    else {
      try {
        done(null, gunzipSync(sent, options))
      } catch (error) {
        done(error as Error, sent)
      }
    }
  })
}

const bodyTooLarge = ({ bodyBytesMax }: CollectorLimits): Refusal =>
  new Refusal(413, "Body too large", `A body has at most ${bodyBytesMax} bytes.`)

/** Nobody may be there to read it. */
const cutOff = () => new Refusal(400, "Body cut off", "The body ended before it was complete.")
