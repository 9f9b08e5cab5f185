/** Where one is: the page and all its choices stand in the URL's query, so that a link, a reload and "back" show the same. */
import { signal } from "@preact/signals"

export const pages = {
  live: "Live",
  day: "Day",
  range: "Range",
  sessions: "Sessions & anomalies",
  items: "Items",
  trace: "Trace",
  operations: "Operations"
} as const

/** Pages that other pages lead to. */
export const innerPages = { session: "Session", visitor: "Visitor" } as const

export type PageName = keyof typeof pages | keyof typeof innerPages

export interface Place {
  readonly page: PageName
  readonly parameters: ReadonlyMap<string, string>
}

const placeOf = (query: string): Place => {
  const parameters = new Map(new URLSearchParams(query))
  const name = parameters.get("page") ?? "live"
  parameters.delete("page")
  return { page: Object.hasOwn(pages, name) || Object.hasOwn(innerPages, name) ? name as PageName : "live", parameters }
}

export const place = signal(placeOf(location.search))

export type Parameters = Readonly<Record<string, string | undefined>>

/** The address of a page. */
export const href = (page: PageName, parameters: Parameters = {}): string => {
  const query = new URLSearchParams({ page })
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value)
  return `?${query}`
}

/** The address of this page with other choices; a choice of undefined or "" is taken out. */
export const hrefWith = (changes: Parameters): string => {
  const { page, parameters } = place.peek()
  return href(page, { ...Object.fromEntries(parameters), ...changes })
}

/** Goes there without loading anew. */
export const go = (address: string): void => {
  if (address === location.search) return
  history.pushState(null, "", address)
  place.value = placeOf(address)
}

/** Follows "back", "forward" and plain clicks on links to pages. */
export const followLinks = (): void => {
  addEventListener("popstate", () => {
    place.value = placeOf(location.search)
  })
  document.addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest<HTMLAnchorElement>("a[href^='?']")
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    go(link.getAttribute("href")!)
  })
}
