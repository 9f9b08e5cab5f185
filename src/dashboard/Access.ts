/** The key, where the server wants one: kept for this tab only, sent in a header, never in an address. */
import { signal } from "@preact/signals"

const storedAs = "guardian.key"

export const key = signal(sessionStorage.getItem(storedAs) ?? "")

/** What is asked for now: a read key before anything can be shown; an admin key before something can be written. */
export const wanted = signal<"read" | "admin" | undefined>(undefined)

export const giveKey = (given: string): void => {
  sessionStorage.setItem(storedAs, given)
  key.value = given
  wanted.value = undefined
}

export const forgetKey = (): void => {
  sessionStorage.removeItem(storedAs)
  key.value = ""
}

export const authorization = (): Record<string, string> =>
  key.peek() === "" ? {} : { authorization: `Bearer ${key.peek()}` }
