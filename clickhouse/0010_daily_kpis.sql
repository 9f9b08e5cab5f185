-- Days of the reporting time zone, merged from quarters: one row per day and segment, lists as arrays inside it, replaced as a whole. So
-- an item that left the ranking is gone with the row that had it. What a row was computed from stands in it (from_events,
-- from_sessions: hashes of the passes of its quarters, taken in the same reading as the figures), and that decides whether it is stale.

CREATE TABLE IF NOT EXISTS {database}.daily_metrics_raw (
  metric_date Date COMMENT 'Day of the reporting time zone',
  segment LowCardinality(String) COMMENT 'all, clean or flagged',
  revision UInt64 COMMENT 'The greatest one holds',
  time_zone LowCardinality(String) COMMENT 'Of the day',
  from_events UInt64 COMMENT 'Which quarters of events it was merged from',
  from_sessions UInt64 COMMENT 'Which quarters of sessions it was merged from',
  status LowCardinality(String) COMMENT 'provisional, settled or final',
  total_clicks UInt64 COMMENT 'Events of type view or click on the day',
  total_purchases UInt64 COMMENT 'Events of type purchase on the day',
  unique_visitors UInt64 COMMENT 'Different visitors with an event on the day',
  unique_items UInt64 COMMENT 'Different items with an event on the day',
  total_revenue Decimal(38, 4) COMMENT 'Purchases of the day in the reporting currency',
  revenue_by_currency Map(String, Decimal(38, 4)) COMMENT 'Purchases of the day in other currencies',
  late_events UInt64 COMMENT 'Events of the day that came too late; they count in nothing else',
  late_revenue Decimal(38, 4) COMMENT 'Their purchases in the reporting currency',
  sessions UInt64 COMMENT 'Sessions that started on the day',
  purchase_sessions UInt64 COMMENT 'of them with a purchase',
  duration_ms UInt64 COMMENT 'Sum of their durations',
  session_clicks UInt64 COMMENT 'Sum of their clicks',
  bounces UInt64 COMMENT 'of them with one event',
  view_sessions UInt64 COMMENT 'of them with a click or more',
  multi_view_sessions UInt64 COMMENT 'of them with two clicks or more',
  cart_sessions UInt64 COMMENT 'of them with an add_to_cart',
  open_sessions UInt64 COMMENT 'of them that can still grow',
  hours Array(Tuple(hour_start DateTime('UTC'), clicks UInt64, purchases UInt64, unique_visitors UInt64, revenue Decimal(38, 4)))
    COMMENT 'Events by hour of the reporting time zone' CODEC(ZSTD(1)),
  verdicts UInt64 COMMENT 'Verdicts of persons that touched the day',
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When it was computed; a label'
) ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYear(metric_date)
ORDER BY (metric_date, segment)
SETTINGS index_granularity = 256
COMMENT 'Figures of a day and segment. Read them through daily_metrics, session_funnel and hourly_traffic';

CREATE TABLE IF NOT EXISTS {database}.popular_raw (
  metric_date Date COMMENT 'Day of the reporting time zone',
  segment LowCardinality(String) COMMENT 'all, clean or flagged',
  revision UInt64 COMMENT 'The greatest one holds',
  time_zone LowCardinality(String) COMMENT 'Of the day',
  from_events UInt64 COMMENT 'Which quarters of events it was merged from',
  items Array(Tuple(name String, category String, clicks UInt64, purchases UInt64, unique_visitors UInt64, revenue Decimal(38, 4)))
    COMMENT 'The first thousand by revenue, clicks and name' CODEC(ZSTD(1)),
  categories Array(Tuple(name String, category String, clicks UInt64, purchases UInt64, unique_visitors UInt64, revenue Decimal(38, 4)))
    COMMENT 'The first thousand by revenue, clicks and name' CODEC(ZSTD(1)),
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When it was computed; a label'
) ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(metric_date)
ORDER BY (metric_date, segment)
SETTINGS index_granularity = 32
COMMENT 'Rankings of a day and segment. Read them through popular_items and popular_categories';

-- in_sync: everything planned is computed, and the flagged sessions are those that were planned with. Only then is the status that of
-- the checkpoints which the passes stand for; otherwise the day keeps the one it has. Each table is read once for one purpose.
CREATE VIEW IF NOT EXISTS {database}.due_days (
  day Date COMMENT 'Day of the reporting time zone',
  time_zone String COMMENT 'The reporting time zone',
  from_events UInt64 COMMENT 'Which quarters of events there are',
  from_sessions UInt64 COMMENT 'Which quarters of sessions there are',
  verdicts UInt64 COMMENT 'Verdicts of persons that touched the day',
  old_status LowCardinality(String) COMMENT 'The status it has',
  new_status LowCardinality(String) COMMENT 'The status it is due'
) AS
WITH
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  events AS (
    SELECT
      toDate(quarter, zone) AS day, sumIf(cityHash64(quarter, plan), segment = 'clean') AS hash, sum(e.events + e.late_events) AS filled
    FROM {database}.event_quarters AS e FINAL WHERE segment != '' GROUP BY day
  ),
  sessions AS (
    SELECT
      toDate(quarter, zone) AS day, sumIf(cityHash64(quarter, plan), segment = 'clean') AS hash, sum(open_sessions) AS open,
      sum(s.sessions) AS filled
    FROM {database}.session_quarters AS s FINAL WHERE segment != '' GROUP BY day
  ),
  planned_events AS (
    SELECT toDate(quarter, zone) AS day, sum(cityHash64(quarter, plan)) AS hash, any(decided) AS decided, countIf(flags != now_flags) AS other
    FROM (
      SELECT if(p.quarter = toDateTime(0, 'UTC'), f.quarter, p.quarter) AS quarter, p.plan AS plan, p.flags AS flags, f.flags AS now_flags,
        max(p.decided) OVER () AS decided
      FROM (SELECT quarter, plan, flags, maxIf(decided_ms, quarter = toDateTime(0, 'UTC')) OVER () AS decided FROM {database}.event_plans FINAL) AS p
      FULL JOIN {database}.quarter_flags AS f ON p.quarter = f.quarter
    )
    WHERE quarter != toDateTime(0, 'UTC') GROUP BY day
  ),
  planned_sessions AS (
    SELECT toDate(quarter, zone) AS day, sum(cityHash64(quarter, plan)) AS hash, any(decided) AS decided
    FROM (SELECT quarter, plan, maxIf(decided_ms, quarter = toDateTime(0, 'UTC')) OVER () AS decided FROM {database}.session_plans FINAL)
    WHERE quarter != toDateTime(0, 'UTC') GROUP BY day
  ),
  persons AS (
    SELECT toDate(arrayJoin(quarters), zone) AS day, uniqExact((scope, id, version, verdict_id)) AS verdicts
    FROM {database}.verdicts FINAL GROUP BY day
  ),
  -- Quarters may be touched in which nothing is; a day that has a row keeps it.
  days AS (
    SELECT day FROM events WHERE filled > 0
    UNION DISTINCT
    SELECT day FROM sessions WHERE filled > 0
    UNION DISTINCT
    SELECT metric_date AS day FROM {database}.daily_metrics_raw WHERE time_zone = zone
  )
SELECT day, time_zone, from_events, from_sessions, verdicts, old_status, new_status
FROM (
  SELECT
    row_number() OVER (ORDER BY d.day DESC) AS number, sum(p.stored) OVER (ORDER BY d.day DESC) AS weight,
    d.day AS day, zone AS time_zone, e.hash AS from_events, s.hash AS from_sessions, v.verdicts AS verdicts,
    if(r.status = '' OR r.time_zone != zone, 'provisional', r.status) AS old_status,
    multiIf(
      e.hash != pe.hash OR s.hash != ps.hash OR pe.other > 0, old_status,
      -- A day without sessions was decided by its events alone.
      least(pe.decided, if(ps.hash = 0, pe.decided, ps.decided)) < toInt64(toUnixTimestamp(toDateTime(d.day + 1, zone))) * 1000, 'provisional',
      s.open > 0, 'settled',
      'final'
    ) AS new_status
  FROM days AS d
  LEFT JOIN events AS e ON d.day = e.day
  LEFT JOIN sessions AS s ON d.day = s.day
  LEFT JOIN planned_events AS pe ON d.day = pe.day
  LEFT JOIN planned_sessions AS ps ON d.day = ps.day
  LEFT JOIN persons AS v ON d.day = v.day
  LEFT JOIN (
    SELECT toDate(partition) AS day, sum(rows) AS stored FROM system.parts
    WHERE database = '{database}' AND table = 'events_raw' AND active GROUP BY day
  ) AS p ON d.day = p.day
  LEFT JOIN (
    SELECT metric_date, time_zone, from_events, from_sessions, status, verdicts FROM {database}.daily_metrics_raw FINAL WHERE segment = 'all'
  ) AS r ON d.day = r.metric_date
  WHERE r.from_events != e.hash OR r.from_sessions != s.hash OR r.time_zone != zone OR r.status != new_status OR r.verdicts != v.verdicts
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 100)
COMMENT 'Days to merge now';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.refresh_daily_metrics
REFRESH EVERY 2 SECOND DEPENDS ON {database}.compute_event_quarters APPEND TO {database}.daily_metrics_raw AS
WITH
  (SELECT groupArray((day, from_events, from_sessions, new_status, old_status, verdicts)) FROM {database}.due_days) AS due,
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  (SELECT max(revision) FROM {database}.daily_metrics_raw) AS last_revision,
  -- Two days to each side, since no zone is further from UTC; nothing when nothing is due.
  if(empty(due), toDate('2100-01-01'), arrayMin(arrayMap(d -> d.1, due)) - 2) AS day_from,
  if(empty(due), toDate('2100-01-01'), arrayMax(arrayMap(d -> d.1, due)) + 2) AS day_to,
  event_hours AS (
    SELECT
      toDate(quarter, zone) AS day, if(grouping(segment) = 1, 'all', segment) AS part,
      quarter - toIntervalMinute(toMinute(quarter, zone)) AS hour_start,
      sumIf(cityHash64(quarter, plan), segment = 'clean') AS hash, sum(e.clicks) AS clicks, sum(e.purchases) AS purchases,
      uniqExactMergeState(e.visitors) AS visitors, uniqExactMergeState(e.items_seen) AS items_seen, sum(e.revenue) AS revenue,
      sumMap(e.revenue_by_currency) AS revenue_by_currency, sum(e.late_events) AS late_events, sum(e.late_revenue) AS late_revenue
    FROM {database}.event_quarters AS e FINAL
    WHERE quarter >= toDateTime(day_from, 'UTC') AND quarter < toDateTime(day_to, 'UTC') AND segment != ''
      AND toDate(quarter, zone) IN (SELECT arrayJoin(due).1)
    GROUP BY GROUPING SETS ((day, hour_start), (day, hour_start, segment))
  ),
  events AS (
    SELECT
      day, part, max(sum(hash) * (part = 'all')) OVER (PARTITION BY day) AS from_all, sum(h.clicks) AS total_clicks,
      sum(h.purchases) AS total_purchases,
      uniqExactMerge(h.visitors) AS unique_visitors, uniqExactMerge(h.items_seen) AS unique_items, sum(h.revenue) AS total_revenue,
      sumMap(h.revenue_by_currency) AS by_currency, sum(h.late_events) AS late, sum(h.late_revenue) AS late_amount,
      arraySort(groupArrayIf(
        (hour_start, h.clicks, h.purchases, finalizeAggregation(h.visitors), h.revenue), finalizeAggregation(h.visitors) > 0
      )) AS hours
    FROM event_hours AS h
    GROUP BY day, part
  ),
  sessions AS (
    SELECT
      toDate(quarter, zone) AS day, if(grouping(segment) = 1, 'all', segment) AS part,
      max(sumIf(cityHash64(quarter, plan), segment = 'clean') * (part = 'all')) OVER (PARTITION BY day) AS from_all,
      sum(s.sessions) AS sessions, sum(s.purchase_sessions) AS purchase_sessions, sum(s.duration_ms) AS duration_ms,
      sum(s.session_clicks) AS session_clicks, sum(s.bounces) AS bounces, sum(s.view_sessions) AS view_sessions,
      sum(s.multi_view_sessions) AS multi_view_sessions, sum(s.cart_sessions) AS cart_sessions, sum(s.open_sessions) AS open_sessions
    FROM {database}.session_quarters AS s FINAL
    WHERE quarter >= toDateTime(day_from, 'UTC') AND quarter < toDateTime(day_to, 'UTC') AND segment != ''
      AND toDate(quarter, zone) IN (SELECT arrayJoin(due).1)
    GROUP BY GROUPING SETS ((day), (day, segment))
  )
SELECT
  k.d.1 AS metric_date, k.part AS segment, last_revision + 1 AS revision, zone AS time_zone,
  e.from_all AS from_events, s.from_all AS from_sessions,
  -- The new status is that of these very figures, or it must wait for the next refresh.
  if(e.from_all = k.d.2 AND s.from_all = k.d.3, k.d.4, k.d.5) AS status,
  e.total_clicks AS total_clicks, e.total_purchases AS total_purchases, e.unique_visitors AS unique_visitors,
  e.unique_items AS unique_items, e.total_revenue AS total_revenue, e.by_currency AS revenue_by_currency, e.late AS late_events,
  e.late_amount AS late_revenue, s.sessions AS sessions, s.purchase_sessions AS purchase_sessions, s.duration_ms AS duration_ms,
  s.session_clicks AS session_clicks, s.bounces AS bounces, s.view_sessions AS view_sessions,
  s.multi_view_sessions AS multi_view_sessions, s.cart_sessions AS cart_sessions, s.open_sessions AS open_sessions, e.hours AS hours,
  k.d.6 AS verdicts, now64(3, 'UTC') AS refreshed_at
FROM (SELECT arrayJoin(due) AS d, arrayJoin(['all', 'clean', 'flagged']) AS part) AS k
LEFT JOIN events AS e ON k.d.1 = e.day AND k.part = e.part
LEFT JOIN sessions AS s ON k.d.1 = s.day AND k.part = s.part
SETTINGS max_threads = 1
COMMENT 'Merges days';

CREATE VIEW IF NOT EXISTS {database}.due_popular_days (day Date COMMENT 'Day of the reporting time zone') AS
WITH
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  events AS (
    SELECT
      toDate(quarter, zone) AS day, sumIf(cityHash64(quarter, plan), segment = 'clean') AS hash, sum(e.events + e.late_events) AS filled
    FROM {database}.event_quarters AS e FINAL WHERE segment != '' GROUP BY day
  )
SELECT day
FROM (
  SELECT
    e.day AS day, row_number() OVER (ORDER BY e.day DESC) AS number, sum(p.stored) OVER (ORDER BY e.day DESC) AS weight
  FROM events AS e
  LEFT JOIN (
    SELECT toDate(partition) AS day, sum(rows) AS stored FROM system.parts
    WHERE database = '{database}' AND table = 'events_raw' AND active GROUP BY day
  ) AS p ON e.day = p.day
  LEFT JOIN (SELECT metric_date, time_zone, from_events FROM {database}.popular_raw FINAL WHERE segment = 'all') AS r
    ON e.day = r.metric_date
  WHERE e.filled > 0 AND (r.from_events != e.hash OR r.time_zone != zone)
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 100)
COMMENT 'Days whose rankings to merge now';

-- Rankings cost more than the other figures, so they come less often. All groupings are made from one reading: the passes in
-- from_events are those of the figures.
CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.refresh_popular REFRESH EVERY 4 SECOND APPEND TO {database}.popular_raw AS
WITH
  (SELECT groupArray(day) FROM {database}.due_popular_days) AS due,
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  (SELECT max(revision) FROM {database}.popular_raw) AS last_revision,
  if(empty(due), toDate('2100-01-01'), arrayMin(due) - 2) AS day_from,
  if(empty(due), toDate('2100-01-01'), arrayMax(due) + 2) AS day_to,
  grouped AS (
    SELECT
      day, if(grouping(segment) = 1, 'all', segment) AS part, grouping(item_id) = 0 AS is_item, grouping(category) = 0 AS is_category,
      if(is_item, item_id, category) AS name,
      sumIf(cityHash64(quarter, plan), position <= 1 AND segment = 'clean') AS hash,
      sumMapIf(map(g.category, g.events), is_item_row AND g.category != '') AS categories,
      sum(g.clicks) AS clicks, sum(g.purchases) AS purchases, uniqExactArray(g.visitors) AS unique_visitors, sum(g.revenue) AS revenue
    FROM (
      SELECT
        toDate(quarter, zone) AS day, quarter, plan, segment, position, i.item_id AS item_id, i.category AS category, i.events AS events,
        i.clicks AS clicks, i.purchases AS purchases, i.revenue AS revenue, i.visitors AS visitors, i.item_id != '' AS is_item_row
      FROM {database}.event_quarters FINAL
      LEFT ARRAY JOIN items AS i, arrayEnumerate(items) AS position
      WHERE quarter >= toDateTime(day_from, 'UTC') AND quarter < toDateTime(day_to, 'UTC') AND segment != ''
        AND toDate(quarter, zone) IN (SELECT arrayJoin(due))
    ) AS g
    GROUP BY GROUPING SETS ((day), (day, item_id), (day, segment, item_id), (day, category), (day, segment, category))
  ),
  ranked AS (
    SELECT
      day, part, sumIf(hash, NOT is_item AND NOT is_category) AS from_events,
      arraySlice(arraySort(x -> (-x.6, -toInt64(x.3), x.1), groupArrayIf(
        (name, arraySort(c -> (-toInt64(c.2), c.1), CAST(categories, 'Array(Tuple(String, UInt64))'))[1].1, clicks, purchases, unique_visitors, revenue),
        is_item AND name != ''
      )), 1, 1000) AS items,
      arraySlice(arraySort(x -> (-x.6, -toInt64(x.3), x.1), groupArrayIf(
        (name, '', clicks, purchases, unique_visitors, revenue), is_category AND name != ''
      )), 1, 1000) AS top_categories
    FROM grouped
    GROUP BY day, part
  )
SELECT
  k.day AS metric_date, k.part AS segment, last_revision + 1 AS revision, zone AS time_zone, r.from_events AS from_events,
  r.items AS items, r.top_categories AS categories, now64(3, 'UTC') AS refreshed_at
FROM (SELECT arrayJoin(due) AS day, arrayJoin(['all', 'clean', 'flagged']) AS part) AS k
LEFT JOIN ranked AS r ON k.day = r.day AND k.part = r.part
SETTINGS max_threads = 1
COMMENT 'Merges the rankings of days';
