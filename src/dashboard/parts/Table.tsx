/** Tables: rows of a list under named columns; figures to the right, in figures of equal width. */
import type { ComponentChildren } from "preact"

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  /** Figures stand to the right. */
  readonly figure?: boolean
  /** The column that names the row. */
  readonly names?: boolean
  /** Long texts: as wide as there is room. */
  readonly text?: boolean
  /** Long texts that are whole elsewhere: on one line. */
  readonly cut?: boolean
  /** Whether a row has something here; a column that no row fills is left out. */
  readonly fills?: (row: Row) => boolean
}

interface TableProps<Row> {
  /** What the table shows, for those who cannot see its place. */
  readonly caption: string
  readonly columns: ReadonlyArray<Column<Row>>
  readonly rows: ReadonlyArray<Row>
  readonly keyOf: (row: Row) => string
  readonly foot?: ReadonlyArray<ComponentChildren>
}

export function Table<Row>({ caption, columns: all, foot, keyOf, rows }: TableProps<Row>) {
  const columns = all.filter(({ fills }) => fills === undefined || rows.some(fills))
  return (
    // The frame scrolls sideways, by keys too.
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => <th key={column.title} scope="col" class={classOf(column)}>{column.title}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) =>
                column.names ?
                  <th key={column.title} scope="row" class={classOf(column)}>{column.cell(row)}</th> :
                  <td key={column.title} class={classOf(column)}>{column.cell(row)}</td>
              )}
            </tr>
          ))}
        </tbody>
        {foot !== undefined && (
          <tfoot>
            <tr>{foot.map((cell, at) => <td key={at} class={classOf(columns[at]!)}>{cell}</td>)}</tr>
          </tfoot>
        )}
      </table>
    </div>
  )
}

const classOf = ({ cut, figure, text }: Column<never>): string => figure ? "figure" : text ? "text" : cut ? "cut" : ""
