/** The frame around every page: where one can go, how fresh the data is, in which zone times are. */
import type { ComponentType } from "preact"
import { useEffect, useLayoutEffect, useRef } from "preact/hooks"
import { forgetKey, key, wanted } from "./Access.ts"
import { useAnswer } from "./Answer.ts"
import type { Answer } from "./Answer.ts"
import { count, dateTime, duration } from "./Format.ts"
import { connection, live } from "./LiveFeed.ts"
import { DayPage } from "./pages/DayPage.tsx"
import { ItemsPage } from "./pages/ItemsPage.tsx"
import { LivePage } from "./pages/LivePage.tsx"
import { OperationsPage } from "./pages/OperationsPage.tsx"
import { RangePage } from "./pages/RangePage.tsx"
import { SessionPage } from "./pages/SessionPage.tsx"
import { SessionsPage } from "./pages/SessionsPage.tsx"
import { TracePage } from "./pages/TracePage.tsx"
import { VisitorPage } from "./pages/VisitorPage.tsx"
import { KeyForm } from "./parts/KeyForm.tsx"
import { Head } from "./parts/Panel.tsx"
import { Answered, Loading } from "./parts/States.tsx"
import { noteStanding, reporting } from "./Reporting.ts"
import { href, innerPages, pages, place } from "./Route.ts"
import type { PageName } from "./Route.ts"
import type { One, Standing } from "./Shapes.ts"
import { chooseTheme, theme, themes } from "./Theme.ts"

const components: Readonly<Record<PageName, ComponentType>> = {
  live: LivePage,
  day: DayPage,
  range: RangePage,
  sessions: SessionsPage,
  session: SessionPage,
  visitor: VisitorPage,
  items: ItemsPage,
  trace: TracePage,
  operations: OperationsPage
}

/** How often it is asked which days there are. */
const standingEveryMs = 15_000

export const App = () => {
  const standing = useAnswer<One<Standing>>("stats", standingEveryMs)
  useLayoutEffect(() => {
    if (standing.body !== undefined) noteStanding(standing.body.data)
  }, [standing.body])
  const { page, parameters } = place.value
  useArrival(page, parameters.get("id") ?? "")
  const Page = components[page]
  return (
    <>
      <a class="skip" href="#main">To the figures</a>
      <header class="top">
        <a class="brand" href={href("live")}>
          Clickstream <b>Guardian</b>
        </a>
        <Pages />
        <Standings />
      </header>
      <main id="main" tabIndex={-1}>
        <KeyForm />
        {/* Before the zone and the days are known nothing could be named right. */}
        {wanted.value === "read" ?
          null :
          reporting.value.isKnown || page === "live" ?
          <Page /> :
          <Arriving title={{ ...pages, ...innerPages }[page]} standing={standing} />}
      </main>
      <Foot />
    </>
  )
}

interface ArrivingProps {
  readonly title: string
  readonly standing: Answer<One<Standing>>
}

const Arriving = ({ standing, title }: ArrivingProps) => (
  <>
    <Head title={title} />
    <Answered answer={standing} lines={6}>{() => <Loading lines={6} />}</Answered>
  </>
)

/** Whoever arrives at another page is told which, and begins at its top. */
const useArrival = (page: PageName, id: string): void => {
  const first = useRef(true)
  useEffect(() => {
    document.title = `${{ ...pages, ...innerPages }[page]} · Clickstream Guardian`
    if (first.current) first.current = false
    else {
      scrollTo(0, 0)
      document.querySelector<HTMLElement>("#title")?.focus({ preventScroll: true })
    }
  }, [page, id])
}

const belongsTo: Partial<Record<PageName, PageName>> = { session: "sessions", visitor: "sessions" }

const Pages = () => {
  const { page, parameters } = place.value
  const current = belongsTo[page] ?? page
  // The segment and the day are carried along: they are what one looks at, not where.
  const carried = { segment: parameters.get("segment"), date: parameters.get("date") }
  return (
    <nav class="pages" aria-label="Pages">
      {Object.entries(pages).map(([name, word]) => (
        <a
          key={name}
          href={href(
            name as PageName,
            name === "day" || name === "items" ? carried : name === "range" ? { segment: carried.segment } : {}
          )}
          aria-current={name === current ? "page" : undefined}
        >
          {word}
        </a>
      ))}
    </nav>
  )
}

const words = { connecting: "connecting", open: "live", lost: "API away" } as const

const Standings = () => {
  const state = live.value
  const { zone } = reporting.value
  const fresh = state?.freshness
  const isAway = connection.value === "lost"
  return (
    <div class="standings">
      <span class={`lamp ${connection.value}`} role="status">{words[connection.value]}</span>
      {fresh?.watermark && (
        <span class={isAway ? "aged" : ""}>
          data up to {dateTime(fresh.watermark, zone)}
          {fresh.age_seconds !== null && fresh.age_seconds < 86_400 && `, ${duration(fresh.age_seconds)} ago`}
        </span>
      )}
      {state?.lag !== undefined && state.lag !== null && state.lag > 0 && <span>lag {count(state.lag)}</span>}
    </div>
  )
}

const Foot = () => (
  <footer class="foot">
    <span>
      All times in <b>{reporting.value.zone}</b>, unless said otherwise
    </span>
    <span>
      <a href="docs">API</a>
    </span>
    <label>
      Colours{" "}
      <select value={theme.value} onChange={({ currentTarget }) => chooseTheme(themes[currentTarget.selectedIndex]!)}>
        {themes.map((each) => <option key={each} value={each}>{each}</option>)}
      </select>
    </label>
    {key.value !== "" && <button type="button" onClick={forgetKey}>Forget the key</button>}
  </footer>
)
