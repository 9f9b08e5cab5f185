/** compose.yaml as Compose reads it: merge keys resolved, and the variables that it takes from .env. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"

export const folder = join(import.meta.dirname, "..", "..", "docker")

export interface Service {
  readonly image?: string
  readonly command?: ReadonlyArray<string>
  readonly mem_limit?: string
  readonly restart?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: ReadonlyArray<string>
  readonly volumes?: ReadonlyArray<string>
  readonly healthcheck?: { readonly test: ReadonlyArray<string> }
  readonly depends_on?: ReadonlyArray<string> | Readonly<Record<string, { readonly condition: string }>>
  readonly read_only?: boolean
  readonly cap_drop?: ReadonlyArray<string>
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

export const text = readFileSync(join(folder, "compose.yaml"), "utf8")

export const read = (yaml: string): ComposeFile => parse(yaml, { merge: true }) as ComposeFile

export interface Interpolation {
  readonly name: string
  /** Compose refuses to start without it. */
  readonly required: boolean
}

/** What stands as `${NAME...}` in it. */
export const interpolations = (yaml: string): ReadonlyArray<Interpolation> =>
  [...yaml.matchAll(/\$\{(\w+)(:\?)?/g)].map(([, name, required]) => ({
    name: name!,
    required: required !== undefined
  }))

/** The text with its variables put in, as `NAME:-default` and `NAME:?why` say. */
export const interpolate = (value: string, environment: Readonly<Record<string, string>>): string =>
  value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind: string | undefined, rest: string) => {
    const set = environment[name] ?? ""
    if (set !== "") return set
    if (kind === "?") throw new Error(`${name}: ${rest}`)
    return kind === "-" ? rest : ""
  })
