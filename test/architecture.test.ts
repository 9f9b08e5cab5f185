import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { arrows, importsOf, linesMax, violations } from "./support/Architecture.ts"

const root = join(import.meta.dirname, "..")
const sources = new Map(
  globSync("src/**/*.{ts,tsx}", { cwd: root, exclude: ["src/dashboard/dist"] }).map((
    file
  ) => [file, readFileSync(join(root, file), "utf8")])
)

/** What Effect says of itself in the head of each module it exports. */
const unstable = new Set(
  globSync("**/*.ts", { cwd: join(root, "node_modules/effect/src") }).filter((file) => {
    const text = readFileSync(join(root, "node_modules/effect/src", file), "utf8")
    const head = /^(?:\s*\/\/.*\n)*\s*\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? ""
    return /@stability (?:unstable|experimental)/.test(head)
  }).map((file) => file.replace(/\.ts$/, ""))
)
/** A folder of modules ("effect/cli") is as stable as the least stable of them. */
const isStable = (module: string): boolean =>
  !unstable.has(module) && ![...unstable].some((other) => other.startsWith(`${module}/`))

/** What the rules say of one more file, or of one file instead of another. */
const withFile = (file: string, text: string) => violations(new Map([...sources, [file, text]]), isStable)

describe("the sources", () => {
  it("keep to the arrows, the clocks, the stable part of Effect and the length of a file", () => {
    assert.isAbove(sources.size, 50)
    assert.deepStrictEqual(violations(sources, isStable), [])
  })

  it("live in folders that have arrows", () => {
    for (const file of sources.keys()) assert.property(arrows, file.split("/")[1]!)
  })
})

describe("the rules", () => {
  it("read imports in every form", () => {
    const text = [
      `import { Schema, type Effect } from "effect"`,
      `import type {\n  A,\n  B as C\n} from "./A.ts"`,
      `import * as Pool from "./Pool.ts"`,
      `export { x } from "../log/X.ts"`,
      `import "node:fs"`,
      `const y = await import("./Y.ts")`,
      `new Worker(new URL("./writer.ts", import.meta.url))`,
      ` * import { z } from "./Comment.ts"`
    ].join("\n")
    assert.deepStrictEqual(
      importsOf("src/domain/Z.ts", text).map(({ file, from, names, typeOnly }) => [file ?? from, names, typeOnly]),
      [
        ["effect", ["Schema", "Effect"], false],
        ["src/domain/A.ts", ["A", "B"], true],
        ["src/domain/Pool.ts", ["*"], false],
        ["src/log/X.ts", ["x"], false],
        ["node:fs", [], false],
        ["src/domain/Y.ts", [], false],
        ["src/domain/writer.ts", [], false]
      ]
    )
  })

  const bad: ReadonlyArray<readonly [what: string, file: string, text: string, says: RegExp]> = [
    [
      "an import against an arrow",
      "src/domain/A.ts",
      `import { x } from "../log/EventLog.ts"`,
      /no arrow domain -> log/
    ],
    [
      "an import of the command line",
      "src/pipeline/A.ts",
      `import type { x } from "../cli/Flags.ts"`,
      /no arrow pipeline -> cli/
    ],
    [
      "an adapter known outside it",
      "src/log/A.ts",
      `import { x } from "./sqlite/Frame.ts"`,
      /adapter src\/log\/sqlite/
    ],
    [
      "an adapter known to the pipeline",
      "src/pipeline/A.ts",
      `import { x } from "../warehouse/embedded/Ports.ts"`,
      /adapter src\/warehouse\/embedded/
    ],
    [
      "more than types of the contract in the page",
      "src/dashboard/A.ts",
      `import { GuardianApi } from "../api/contract/GuardianApi.ts"`,
      /only types of src\/api\/contract/
    ],
    ["a handler in the page", "src/dashboard/A.ts", `import type { Live } from "../api/Live.ts"`, /only types of src/],
    ["a file that is not there", "src/log/A.ts", `import { x } from "./Nowhere.ts"`, /does not exist/],
    ["test code in the product", "src/log/A.ts", `import { x } from "../../test/log/bench.ts"`, /outside src/],
    ["Effect in the core", "src/sessionizer/A.ts", `import { Effect } from "effect"`, /runs Effect of effect/],
    [
      "more of Effect in the domain",
      "src/domain/A.ts",
      `import { Schema, Clock } from "effect"`,
      /runs Clock of effect/
    ],
    ["an unstable part of Effect", "src/pipeline/A.ts", `import { Argument } from "effect/cli"`, /cli of Effect/],
    [
      "an unstable module of Effect",
      "src/pipeline/A.ts",
      `import { FileSystem } from "effect"`,
      /FileSystem of Effect/
    ],
    [
      "a platform below the rim",
      "src/log/A.ts",
      `import { NodeRuntime } from "@effect/platform-node"`,
      /only src\/cli/
    ],
    ["a clock", "src/pipeline/A.ts", `const now = Date.now()`, /A.ts:1 reads Date.now/],
    ["chance", "src/operations/A.ts", `\n  x = 1 + Math.random()`, /A.ts:2 reads Math.random/],
    ["a long file", "src/log/A.ts", "\n".repeat(linesMax + 1), /501 lines/],
    [
      "files that import each other",
      "src/domain/Money.ts",
      `import type { Price } from "./ClickEvent.ts"`,
      /cycle: src\/domain\/(Money|ClickEvent).ts -> /
    ]
  ]
  for (const [what, file, text, says] of bad) {
    it(`refuse ${what}`, () => {
      const found = withFile(file, text)
      assert.isTrue(found.some((violation) => says.test(violation)), found.join("\n"))
    })
  }

  it("let types, comments and the command line pass", () => {
    assert.deepStrictEqual(
      withFile("src/sessionizer/A.ts", `import type { Effect } from "effect"\n// Date.now()\n`),
      []
    )
    assert.deepStrictEqual(withFile("src/cli/A.ts", `import { Flag } from "effect/cli"\nnew Date()\n`), [])
  })
})
