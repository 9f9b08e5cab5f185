import { useAnswer } from "../Answer.ts"
import { heightOf, spokenAmount } from "../Decimal.ts"
import { count, hundredths, share, spokenDay } from "../Format.ts"
import { Bar } from "../parts/Bar.tsx"
import { DayChoice, segment, SegmentSwitch, Switch } from "../parts/Choices.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { queryOf } from "../Questions.ts"
import { reporting } from "../Reporting.ts"
import { place } from "../Route.ts"
import type { CategoryRow, ItemRow, Rows, TrendingRow } from "../Shapes.ts"
import { chosenDay } from "./DayPage.tsx"

const everyMs = 10_000
const shown = 50

export const ItemsPage = () => {
  const day = chosenDay()
  return (
    <>
      <Head title="Items & categories">
        {day !== undefined && <DayChoice day={day} />}
        <SegmentSwitch />
      </Head>
      {day === undefined ? <Empty>There are no figures yet.</Empty> : (
        <div class="grid">
          <Popular day={day} kind="popular" title="Popular items" />
          <Popular day={day} kind="categories" title="Popular categories" />
          <Trending />
        </div>
      )}
    </>
  )
}

interface PopularProps {
  readonly day: string
  readonly kind: "popular" | "categories"
  readonly title: string
}

const Popular = ({ day, kind, title }: PopularProps) => {
  const answer = useAnswer<Rows<ItemRow | CategoryRow>>(
    `items/${kind}/${day}${queryOf({ segment: segment(), limit: shown })}`,
    everyMs
  )
  const { currency } = reporting.value
  return (
    <Panel title={title} note={`${spokenDay(day)}, by revenue, then clicks`}>
      <Answered answer={answer} lines={10}>
        {({ data }) => {
          const most = Math.max(1, ...data.map(({ clicks }) => clicks))
          const mostEarned = Math.max(...data.map(({ revenue }) => heightOf(revenue)))
          return data.length === 0 ? <Empty>Nothing was looked at.</Empty> : (
            <Table<ItemRow | CategoryRow>
              caption={title}
              rows={data}
              keyOf={({ rank }) => String(rank)}
              columns={[
                { title: "#", figure: true, cell: ({ rank }) => rank },
                ...(kind === "popular" ?
                  [{
                    title: "Item",
                    names: true,
                    text: true,
                    cell: (row: ItemRow | CategoryRow) => "item_id" in row ? row.item_id : ""
                  }] :
                  []),
                {
                  title: "Category",
                  names: kind === "categories",
                  text: true,
                  cell: ({ category }) => category || <span class="none">none</span>
                },
                {
                  title: `Revenue${currency && ` ${currency}`}`,
                  figure: true,
                  cell: ({ revenue }) => spokenAmount(revenue)
                },
                {
                  title: mostEarned > 0 ? "of most" : "Clicks of most",
                  cell: ({ clicks, revenue }) => (
                    <Bar of={mostEarned > 0 ? heightOf(revenue) / mostEarned : clicks / most} />
                  )
                },
                { title: "Clicks", figure: true, cell: ({ clicks }) => count(clicks) },
                { title: "Purchases", figure: true, cell: ({ purchases }) => count(purchases) },
                { title: "Visitors", figure: true, cell: ({ unique_visitors }) => count(unique_visitors) },
                { title: "Bought per click", figure: true, cell: (row) => share(row.click_to_purchase_ratio) }
              ]}
            />
          )
        }}
      </Answered>
    </Panel>
  )
}

const periods = { 1: "1 day", 7: "7 days", 31: "31 days" } as const

const Trending = () => {
  const given = place.value.parameters.get("days") ?? "1"
  const days = Object.hasOwn(periods, given) ? given : "1"
  const answer = useAnswer<Rows<TrendingRow>>(
    `items/trending${queryOf({ days, segment: segment(), limit: shown })}`,
    everyMs
  )
  return (
    <Panel
      title="Trending items"
      note="clicks of the newest days against those before"
      wide
      actions={<Switch label="Period" parameter="days" choices={periods} />}
    >
      <Answered answer={answer} lines={10}>
        {({ data }) =>
          data.length === 0 ? <Empty>Nothing was looked at in these days.</Empty> : (
            <Table
              caption="Items whose clicks grew most"
              rows={data}
              keyOf={({ item_id }) => item_id}
              columns={[
                { title: "Item", names: true, text: true, cell: ({ item_id }) => item_id },
                { title: "Category", text: true, cell: ({ category }) => category || <span class="none">none</span> },
                { title: "Growth", figure: true, cell: ({ growth }) => `× ${hundredths(growth)}` },
                { title: "Clicks", figure: true, cell: ({ clicks }) => count(clicks) },
                { title: "Before", figure: true, cell: ({ previous_clicks }) => count(previous_clicks) },
                { title: "Purchases", figure: true, cell: ({ purchases }) => count(purchases) },
                { title: "Revenue", figure: true, cell: ({ revenue }) => spokenAmount(revenue) }
              ]}
            />
          )}
      </Answered>
    </Panel>
  )
}
