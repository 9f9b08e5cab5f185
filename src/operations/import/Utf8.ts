/** Text of bytes that must be UTF-8: anything else would change silently on its way into an event. */
import { isUtf8 } from "node:buffer"

/** Undefined when the bytes are not UTF-8. The check costs nothing for lines without U+FFFD. */
export const utf8Text = (bytes: Buffer): string | undefined => {
  const text = bytes.toString("utf8")
  return text.includes("\ufffd") && !isUtf8(bytes) ? undefined : text
}
