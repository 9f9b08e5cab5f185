/**
 * The rules of the house, as a function from source texts to broken rules: which folder may import from which, where a clock may
 * be read, where Effect may be unstable, how long a file may be. `test/architecture.test.ts` holds `src/` to them.
 */
import { dirname, join } from "node:path/posix"

/** Folder of `src/` -> folders it may import from, besides itself. */
export const arrows: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: [],
  sessionizer: ["domain"],
  log: ["domain"],
  warehouse: ["domain", "sessionizer"],
  pipeline: ["domain", "sessionizer", "log", "warehouse"],
  operations: ["domain", "sessionizer", "log", "warehouse", "pipeline"],
  collector: ["domain", "log"],
  api: ["domain", "log", "warehouse", "operations"],
  dashboard: ["api"],
  cli: ["domain", "sessionizer", "log", "warehouse", "pipeline", "operations", "collector", "api"]
}

/** Adapters: nothing outside such a folder knows it, but the folder that wires everything. */
const adapters = ["src/log/sqlite/", "src/log/kafka/", "src/log/registry/", "src/warehouse/embedded/"]
const wiring = "src/cli/"
/** What the browser's side shares with the server: shapes, nothing that runs. */
const contract = "src/api/contract/"

/** Unstable parts of Effect that a folder needs all the same: pinned, and nowhere else. */
const unstableIn: Readonly<Record<string, ReadonlyArray<string>>> = {
  collector: ["http"],
  api: ["http", "http-api", "observability", "ByteSize"]
}

/** What may be imported at run time where results are decided. */
const runtimeOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: ["effect:Schema", "node:crypto:hash"],
  sessionizer: ["node:buffer:isUtf8"]
}

/** Most lines of a file. */
export const linesMax = 500

export interface Import {
  /** As written: "./Session.ts", "effect", "node:fs". */
  readonly from: string
  /** Path of the imported file from the repository's root, when it is one of ours. */
  readonly file: string | undefined
  readonly names: ReadonlyArray<string>
  readonly typeOnly: boolean
}

/** Path from the repository's root -> text. */
export type Sources = ReadonlyMap<string, string>

/** Every broken rule, in words; none is good. `isStable` answers for a module of Effect ("Stream", "cli"). */
export const violations = (sources: Sources, isStable: (module: string) => boolean): ReadonlyArray<string> => [
  ...[...sources].flatMap(([file, text]) => {
    const imports = importsOf(file, text)
    return [
      ...imports.flatMap((each) => wrongImport(file, each, sources)),
      ...imports.flatMap((each) => wrongRuntime(file, each)),
      ...imports.flatMap((each) => wrongStability(file, each, isStable)),
      ...wrongClock(file, text),
      ...wrongLength(file, text)
    ]
  }),
  ...cycles(sources)
]

const statement =
  /^(?:import|export)\s+(type\s)?([^"';]*?)\sfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)|new URL\(\s*"(\.[^"]+\.ts)"/gm

export const importsOf = (file: string, text: string): ReadonlyArray<Import> =>
  [...text.matchAll(statement)].map((match) => {
    const from = (match[3] ?? match[4] ?? match[5] ?? match[6])!
    const names = (match[2] ?? "").replaceAll(/[{}]/g, " ").split(",").map((name) => name.trim()).filter((name) =>
      name !== ""
    )
    return {
      from,
      file: from.startsWith(".") ? join(dirname(file), from) : undefined,
      names: names.map((name) => name.replace(/^type\s+/, "").replace(/\s+as\s.*$/, "")),
      typeOnly: match[1] !== undefined || (names.length > 0 && names.every((name) => name.startsWith("type ")))
    }
  })

const folderOf = (file: string): string => file.split("/")[1]!

const wrongImport = (file: string, { file: target, typeOnly }: Import, sources: Sources): ReadonlyArray<string> => {
  if (target === undefined) return []
  if (!target.startsWith("src/")) return target === "package.json" ? [] : [`${file} imports ${target}, outside src/`]
  if (!sources.has(target)) return [`${file} imports ${target}, which does not exist`]
  const from = folderOf(file)
  const to = folderOf(target)
  if (from !== to && !(arrows[from] ?? []).includes(to)) return [`${file} imports ${target}: no arrow ${from} -> ${to}`]
  if (from === "dashboard" && to !== from && !(typeOnly && target.startsWith(contract))) {
    return [`${file} imports ${target}: a page knows only types of ${contract}`]
  }
  return adapters.filter((folder) => target.startsWith(folder) && !file.startsWith(folder) && !file.startsWith(wiring))
    .map((folder) => `${file} imports ${target}: only ${wiring} may know the adapter ${folder}`)
}

const wrongRuntime = (file: string, { file: target, from, names, typeOnly }: Import): ReadonlyArray<string> => {
  const allowed = runtimeOf[folderOf(file)]
  if (allowed === undefined || typeOnly || target !== undefined) return []
  if (names.length === 0) return [`${file} loads ${from}`]
  return names.filter((name) => !allowed.includes(`${from}:${name}`)).map((name) => `${file} runs ${name} of ${from}`)
}

const wrongStability = (
  file: string,
  { from, names }: Import,
  isStable: (module: string) => boolean
): ReadonlyArray<string> => {
  if (file.startsWith(wiring)) return []
  if (from.startsWith("@effect/")) return [`${file} imports ${from}: only ${wiring} may`]
  const modules = from === "effect" ? names : from.startsWith("effect/") ? [from.slice("effect/".length)] : []
  const granted = unstableIn[folderOf(file)] ?? []
  return modules.filter((module) => !isStable(module) && !granted.includes(module)).map((module) =>
    `${file} imports ${module} of Effect, which is not stable: only ${wiring} may`
  )
}

const clock = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b|\bprocess\.hrtime\b/

/** Time and chance come through Effect's services or not at all; adapters live in the world, and the command line shows it. */
const wrongClock = (file: string, text: string): ReadonlyArray<string> => {
  if (file.startsWith(wiring) || adapters.some((folder) => file.startsWith(folder))) return []
  return text.split("\n").flatMap((line, i) => {
    const found = clock.exec(line.replace(/^\s*(\/?\*|\/\/).*/, ""))
    return found === null ? [] : [`${file}:${i + 1} reads ${found[0]}`]
  })
}

const wrongLength = (file: string, text: string): ReadonlyArray<string> => {
  const lines = text.split("\n").length - 1
  return lines > linesMax ? [`${file} has ${lines} lines, more than ${linesMax}`] : []
}

/** Files that import each other, types included: they are one idea in several files, or two that know too much. */
const cycles = (sources: Sources): ReadonlyArray<string> => {
  const done = new Set<string>()
  const path: Array<string> = []
  const found: Array<string> = []
  const visit = (file: string): void => {
    const at = path.indexOf(file)
    if (at >= 0) found.push(`cycle: ${[...path.slice(at), file].join(" -> ")}`)
    if (at >= 0 || done.has(file)) return
    path.push(file)
    for (const { file: target } of importsOf(file, sources.get(file) ?? "")) {
      if (target !== undefined && sources.has(target)) visit(target)
    }
    path.pop()
    done.add(file)
  }
  for (const file of sources.keys()) visit(file)
  return found
}
