/**
 * Where RudderStack's SDKs differ from Segment's, whose paths and messages they share (rudderstack.com/docs, "HTTP API"): they name
 * themselves in `context.library`, and send the anonymous id in a header of its own, in base64, too.
 */
import type { JsonObject } from "../JsonText.ts"
import { isObject } from "../JsonText.ts"
import type { Arrival } from "../Submission.ts"
import { plainText } from "./SdkMessages.ts"

export const isRudder = (message: JsonObject): boolean => {
  const context = message["context"]
  const library = isObject(context) ? context["library"] : undefined
  return isObject(library) && typeof library["name"] === "string" && /rudder/i.test(library["name"])
}

/** Who did it, when the message has no anonymous id. */
export const rudderVisitor = (message: JsonObject, { headers }: Arrival): string | undefined => {
  const encoded = headers["anonymousid"]
  const user = plainText(message["userId"])
  return user ?? (encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8") || undefined)
}
