/** Dark or light: the system's, or what was chosen here; and its colours for canvases, which know no style sheet. */
import { signal } from "@preact/signals"

export const themes = ["system", "light", "dark"] as const
export type Theme = (typeof themes)[number]

const storedAs = "guardian.theme"
const stored = localStorage.getItem(storedAs)

export const theme = signal<Theme>(themes.find((each) => each === stored) ?? "system")
/** Grows whenever colours change. */
export const colourVersion = signal(0)

const apply = (): void => {
  if (theme.peek() === "system") document.documentElement.removeAttribute("data-theme")
  else document.documentElement.dataset["theme"] = theme.peek()
  colourVersion.value++
}

export const chooseTheme = (chosen: Theme): void => {
  theme.value = chosen
  localStorage.setItem(storedAs, chosen)
  apply()
}

export const followTheme = (): void => {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply)
  apply()
}

/** A colour of the style sheet by its name, as a canvas takes it. */
export const colour = (name: string): string => {
  const probe = document.createElement("i")
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const found = getComputedStyle(probe).color
  probe.remove()
  return found
}
