/** A text as a literal of ClickHouse's SQL. */
export const sqlText = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\0", "\\0")}'`
