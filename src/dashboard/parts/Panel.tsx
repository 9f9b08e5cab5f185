import type { ComponentChildren } from "preact"

interface PanelProps {
  readonly title: string
  /** A word or two beside the title. */
  readonly note?: ComponentChildren
  readonly actions?: ComponentChildren
  readonly wide?: boolean
  readonly children: ComponentChildren
}

/** A part of a page with its heading. */
export const Panel = ({ actions, children, note, title, wide }: PanelProps) => (
  <section class={wide ? "panel wide" : "panel"}>
    <header>
      <h2>{title}</h2>
      {note !== undefined && <p class="note">{note}</p>}
      {actions !== undefined && <div class="actions">{actions}</div>}
    </header>
    {children}
  </section>
)

interface HeadProps {
  readonly title: string
  readonly children?: ComponentChildren
}

/** The head of a page: what it shows, and its choices. */
export const Head = ({ children, title }: HeadProps) => (
  <div class="head">
    <h1 id="title" tabIndex={-1}>{title}</h1>
    {children}
  </div>
)
