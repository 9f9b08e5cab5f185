/**
 * One request to the engine and its whole answer. Not by `fetch`: it refuses the ports that browsers keep for other protocols, and
 * whoever names one of those would wait in vain.
 */
import { request } from "node:http"
import type { IncomingHttpHeaders } from "node:http"

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Rejects when there is no whole answer. With a body it is a POST. */
export const exchange = (
  url: string,
  options: {
    readonly signal: AbortSignal
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
  }
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { body, headers = {}, signal } = options
    const method = body === undefined ? "GET" : "POST"
    request(url, { method, headers, signal, agent: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("error", reject)
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString("utf8")
        }))
    }).once("error", reject).end(body)
  })
