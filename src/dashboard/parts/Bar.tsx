/** A share as a bar behind or beside its figure. Decoration: the figure stands in words. */
export const Bar = ({ colour = "series-1", of }: { readonly of: number; readonly colour?: string }) => (
  <svg class={`bar ${colour}`} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect class="track" width="100" height="8" />
    <rect class="part" width={Math.max(0, Math.min(1, of)) * 100} height="8" />
  </svg>
)
