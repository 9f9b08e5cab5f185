/** One thing that `doctor` looked at. */

export type Verdict = "OK" | "WARN" | "FAIL"

export interface Check {
  readonly area: "versions" | "settings" | "data directory" | "log" | "ports" | "warehouse" | "pipeline"
  readonly name: string
  readonly verdict: Verdict
  /** What was found, and what to do unless it is OK. */
  readonly detail: string
}

/** Checks of one area. */
export const checksOf = (area: Check["area"]) => ({
  ok: (name: string, detail: string): Check => ({ area, name, verdict: "OK", detail }),
  warn: (name: string, detail: string): Check => ({ area, name, verdict: "WARN", detail }),
  fail: (name: string, detail: string): Check => ({ area, name, verdict: "FAIL", detail })
})
