import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { makeKey } from "../../collector/WriteKeys.ts"
import type { WriteKey } from "../../collector/WriteKeys.ts"
import { dataDir, json, print, printJson, table } from "../Flags.ts"
import { InstallationError } from "../Installation.ts"
import { changeKeys, readKeys } from "../WriteKeysFile.ts"

const name = Argument.String("name").pipe(Argument.withDescription("Letters, digits, dot, dash, underscore"))
const origin = Flag.String("origin").pipe(
  Flag.withDescription("Origin whose pages may use it, such as https://shop.example; may be repeated (default: any)"),
  Flag.atLeast(0)
)
const rate = Flag.Finite("rate").pipe(
  Flag.withDescription("Events per second, on average (else GUARDIAN_COLLECTOR_KEY_RATE)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const add = Command.make(
  "add",
  { name, origin, rate, dataDir, json },
  Effect.fn(function*({ dataDir, json, name, origin, rate }) {
    if (!namePattern.test(name)) {
      return yield* refuse(`"${name}" is no name for a key: letters, digits, dot, dash and underscore, at most 64`)
    }
    if (rate !== undefined && !(rate > 0)) return yield* refuse("--rate must be above 0")
    for (const each of origin) {
      if (!/^https?:\/\/[^/]+$/.test(each)) {
        return yield* refuse(`"${each}" is no origin: scheme and host only, such as https://shop.example`)
      }
    }
    const { kept, key } = makeKey({
      name,
      created_at: new Date().toISOString(),
      ...(origin.length > 0 && { origins: origin }),
      ...(rate !== undefined && { events_per_second: rate })
    })
    yield* changeKeys(dataDir, (keys) =>
      isActive(keys, name) ?
        refuse(`There is a key ${name}; revoke it first, or take another name`) :
        Effect.succeed([...keys.filter((known) => known.name !== name), kept]))
    yield* json ?
      printJson({ name, key }) :
      print(`${key}\n\nThis is shown once. Senders use it as Authorization: Bearer.`)
  })
).pipe(Command.withDescription("Make a write key; only its hash is kept"))

const revoke = Command.make(
  "revoke",
  { name, dataDir },
  Effect.fn(function*({ dataDir, name }) {
    const now = new Date().toISOString()
    yield* changeKeys(dataDir, (keys) =>
      isActive(keys, name) ?
        Effect.succeed(keys.map((key) => key.name === name ? { ...key, revoked_at: now } : key)) :
        refuse(`There is no key ${name} to revoke`))
    yield* print(`${name} is revoked; running collectors refuse it within a second`)
  })
).pipe(Command.withDescription("Refuse a write key from now on"))

const list = Command.make(
  "list",
  { dataDir, json },
  Effect.fn(function*({ dataDir, json }) {
    const keys = (yield* readKeys(dataDir)).map(({ hash: _hash, ...key }) => key)
    if (json) return yield* printJson(keys)
    if (keys.length === 0) return yield* print("no write keys")
    yield* print(table(keys.map((key) => ({
      name: key.name,
      created_at: key.created_at,
      state: key.revoked_at === undefined ? "active" : `revoked ${key.revoked_at}`,
      origins: key.origins?.join(" ") ?? "any",
      events_per_second: key.events_per_second ?? "default"
    }))))
  })
).pipe(Command.withDescription("Names of the write keys, and whether they hold"))

const isActive = (keys: ReadonlyArray<WriteKey>, name: string): boolean =>
  keys.some((key) => key.name === name && key.revoked_at === undefined)

const refuse = (message: string) => Effect.fail(new InstallationError({ message }))

/** Who may send to the collector. */
export const keys = Command.make("keys").pipe(
  Command.withDescription("Write keys of the collector"),
  Command.withSubcommands([add, revoke, list])
)
