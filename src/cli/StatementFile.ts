/**
 * Statements in files, as in `clickhouse/queries/`. Their comments say which parameters they take, with what holds when one is
 * not given: `-- {from:Date} = 2000-01-01  First day`. ClickHouse itself knows no defaults.
 */

export interface StatementFile {
  readonly statement: string
  readonly parameters: ReadonlyArray<Parameter>
}

export interface Parameter {
  readonly name: string
  /** ClickHouse's: "Date". */
  readonly type: string
  /** As it is written in the file. */
  readonly fallback: string
  readonly meaning: string
}

const declaration = /^--\s*\{(\w+):(.+)\}\s*=\s*(\S+)\s+(\S.*)$/

export const parseStatementFile = (text: string): StatementFile => ({
  statement: text,
  parameters: text.split(/\r?\n/).flatMap((line) => {
    const [, name, type, fallback, meaning] = declaration.exec(line) ?? []
    return name === undefined ? [] : [{ name, type: type!, fallback: fallback!, meaning: meaning! }]
  })
})

/** What to send: the given values, and the defaults of the others. */
export const parameterValues = (
  { parameters }: StatementFile,
  given: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(parameters.map(({ fallback, name }) => [name, fallback])),
  ...given
})
