/**
 * Access logs in Apache's common and combined format (also nginx's default), one request on each line. What follows the user agent is
 * ignored; lines wrapped in another pair of double quotes are read too. "-" is absent. Texts stay as the server logged them, escapes
 * and all. A request line that is none (TLS to a plain port, an empty connection) gives its text as url and no method.
 */
import { createHash } from "node:crypto"
import type { Row } from "./EventBuilder.ts"
import { Fault } from "./Fault.ts"
import type { RecordReader, RecordSink } from "./RecordReader.ts"
import { isBlank, trimEnd } from "./RecordReader.ts"
import { utf8Text } from "./Utf8.ts"

/** Columns of an access log; `ip_and_agent` is a hash of both, for visitors behind one address. */
export const apacheColumns = [
  "ip",
  "ident",
  "user",
  "time",
  "request",
  "method",
  "url",
  "protocol",
  "status",
  "bytes",
  "referrer",
  "user_agent",
  "ip_and_agent"
] as const

/** Each of these rules holds unless the user's mapping names its target. */
export const apacheMapping = "visitor_id=ip,event_ts=time:%d/%b/%Y:%H:%M:%S %z,event_type=const:view,url=url," +
  "referrer=referrer,user_agent=user_agent,properties.method=method,properties.status=status,properties.bytes=bytes"

const linePattern =
  /^(\S+) (\S+) ([^[]*) \[([^\]]*)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?(?: .*)?$/
const requestPattern = /^([A-Za-z]+) (.+?)(?: (HTTP\/[\d.]+))?$/

export class ApacheReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #hash: boolean

  /** `hash`: whether anything needs `ip_and_agent`. */
  constructor({ sink, hash }: { sink: RecordSink; hash: boolean }) {
    this.#sink = sink
    this.#hash = hash
  }

  line(bytes: Buffer, number: number): void {
    const trimmed = trimEnd(bytes)
    const text = utf8Text(trimmed)
    if (text === undefined) {
      return this.#sink.fault(new Fault("invalid_utf8", "the line is not UTF-8"), number, trimmed)
    }
    if (isBlank(text)) return this.#sink.blank()
    const row = apacheRow(text, this.#hash)
    if (row !== undefined) this.#sink.record([row], number, trimmed)
    else {
      this.#sink.fault(
        new Fault("invalid_log_line", "the line is no access log entry (common or combined)"),
        number,
        trimmed
      )
    }
  }

  end(): void {}
}

/** The fields of a line in the order of `apacheColumns`; undefined when it is no log entry. */
export const apacheRow = (text: string, hash: boolean): Row | undefined => {
  const match = linePattern.exec(text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text)
  if (match === null) return undefined
  const [
    ,
    ip = "",
    ident = "",
    user = "",
    time = "",
    request = "",
    status = "",
    bytes = "",
    referrer = "",
    agent = ""
  ] = match
  const parts = requestPattern.exec(request)
  const [method, url, protocol] = parts === null ? ["", request, ""] : [parts[1]!, parts[2]!, parts[3] ?? ""]
  return [
    ip,
    present(ident),
    present(user),
    time,
    request,
    method,
    present(url),
    protocol,
    present(status),
    present(bytes),
    present(referrer),
    present(agent),
    hash ? createHash("sha256").update(`${ip}\u001f${agent}`).digest("hex").slice(0, 20) : ""
  ]
}

const present = (text: string): string => text === "-" ? "" : text
