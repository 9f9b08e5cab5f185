/** Questions to the API, and what they may end with. */
import { authorization, wanted } from "./Access.ts"

const base = "api/v1/"
/** A question that takes longer is given up, ms: the server's own limit is 10 s. */
const patienceMs = 15_000
/** A verdict finds all that it touches before it is written. */
const writePatienceMs = 60_000

/** What went wrong, in the server's words where it had any. */
export class Problem extends Error {
  readonly status: number | undefined

  constructor(title: string, status?: number) {
    super(title)
    this.status = status
  }
}

export interface Answered<A> {
  readonly body: A
  /** When the server answered, by its own clock. */
  readonly at: string | undefined
}

export const ask = async <A>(path: string, signal: AbortSignal): Promise<Answered<A>> => {
  const response = await request(path, { signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]) })
  const at = response.headers.get("date")
  return { body: await response.json() as A, at: at === null ? undefined : new Date(at).toISOString() }
}

export const tell = async (path: string, body: unknown): Promise<void> => {
  await request(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    signal: AbortSignal.timeout(writePatienceMs)
  })
}

/** The same rows as CSV. */
export const askCsv = async (path: string): Promise<Blob> =>
  (await request(path, { headers: { accept: "text/csv" }, signal: AbortSignal.timeout(patienceMs) })).blob()

export const request = async (path: string, init: RequestInit): Promise<Response> => {
  let response: Response
  try {
    response = await fetch(base + path, { ...init, headers: { ...init.headers, ...authorization() } })
  } catch (error) {
    if (init.signal?.aborted && (error as Error).name === "AbortError") throw error
    throw new Problem("The API does not answer.")
  }
  if (response.ok) return response
  if (response.status === 401) wanted.value = init.method === "POST" ? "admin" : "read"
  throw new Problem(await explanation(response), response.status)
}

const explanation = async (response: Response): Promise<string> => {
  try {
    const { detail, title } = await response.json() as { readonly title?: string; readonly detail?: string }
    return [title, detail].filter(Boolean).join(": ")
  } catch {
    return `The API answered ${response.status}.`
  }
}

/** `?a=1&b=2` of what is given. */
export const queryOf = (parameters: Readonly<Record<string, string | number | undefined>>): string => {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, String(value))
  }
  return query.size === 0 ? "" : `?${query}`
}
