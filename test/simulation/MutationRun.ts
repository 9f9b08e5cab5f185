/** Plants a mutation into a copy of the code, in a folder and processes of its own, and runs the simulator there. */
import { execFile } from "node:child_process"
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Mutation } from "./Mutations.ts"

const root = join(import.meta.dirname, "../..")

/** What the mutated simulator is asked. */
export type Question =
  /** How many random runs until the first failure? */
  | { readonly runs: number; readonly seed: number }
  /** Does this named scenario fail? */
  | { readonly scenario: string }

/** Each question's answer: the number of random runs, "caught" for a scenario, or "none". */
export const runMutation = async (
  mutation: Mutation,
  questions: ReadonlyArray<Question>
): Promise<ReadonlyArray<string>> => {
  const copy = await mkdtemp(join(tmpdir(), "guardian-mutation-"))
  try {
    await Promise.all([
      cp(join(root, "src"), join(copy, "src"), { recursive: true }),
      cp(join(root, "test/simulation"), join(copy, "test/simulation"), { recursive: true }),
      cp(join(root, "test/support/EventBatches.ts"), join(copy, "test/support/EventBatches.ts")),
      cp(join(root, "package.json"), join(copy, "package.json")),
      symlink(join(root, "node_modules"), join(copy, "node_modules"))
    ])
    for (const edit of mutation.edits) await plant(copy, mutation.mistake, edit)
    const answers: Array<string> = []
    for (const question of questions) answers.push(await ask(copy, question))
    return answers
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

const ask = async (copy: string, question: Question): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(copy, "test/simulation/main.ts"),
    ...("scenario" in question ?
      ["--named", question.scenario] :
      ["--count-until-failure", "--seed", String(question.seed), "--runs", String(question.runs)])
  ])
  return stdout.trim()
}

const plant = async (copy: string, mistake: string, [file, find, replace]: Mutation["edits"][number]) => {
  const text = await readFile(join(copy, file), "utf8")
  if (text.split(find).length !== 2) {
    throw new Error(`${mistake}: ${file} does not have exactly one of:\n${find}`)
  }
  await writeFile(join(copy, file), text.replace(find, () => replace))
}
