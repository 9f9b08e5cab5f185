/** Looks at all variables before a command begins: a value that cannot be is told at once, and a name that nothing reads, too. */
import { faultOf, variables } from "./Environment.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** A sentence for each variable whose value cannot be, whether or not the command would read it. */
export const environmentFaults = (environment: Environment): ReadonlyArray<string> =>
  variables.flatMap((variable) => faultOf(variable, environment[variable.name] ?? "") ?? [])

/** A sentence for each variable that looks like ours and is not. */
export const unknownVariables = (environment: Environment): ReadonlyArray<string> => {
  const known = new Set(variables.map(({ name }) => name))
  return Object.keys(environment).filter((name) => name.startsWith("GUARDIAN_") && !known.has(name)).map((name) => {
    const near = nearest(name, known)
    return `nothing reads ${name}${near === undefined ? "" : `: is ${near} meant?`} (guardian doctor lists them all)`
  })
}

/** Letters that may be wrong for a name still to be meant. */
const wrongLettersMax = 3

const nearest = (name: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let fewest = wrongLettersMax + 1
  for (const each of known) {
    const wrong = editDistance(name, each)
    if (wrong >= fewest) continue
    best = each
    fewest = wrong
  }
  return best
}

/** Letters to add, take away or change (Levenshtein). */
const editDistance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
