-- Days follow what a quarter was computed for, too: see 0019. All days are merged once more, as their rows know nothing of it yet.

CREATE OR REPLACE VIEW {database}.due_days (
  day Date COMMENT 'Day of the reporting time zone',
  time_zone String COMMENT 'The reporting time zone',
  from_events UInt64 COMMENT 'Which quarters of events there are',
  from_sessions UInt64 COMMENT 'Which quarters of sessions there are',
  verdicts UInt64 COMMENT 'Verdicts of persons that touched the day',
  amendments UInt64 COMMENT 'Amendments and reversals that touched the day',
  reopened_at DateTime64(3, 'UTC') COMMENT 'When a person last changed the day while it was final',
  reopened_by String COMMENT 'Who',
  old_status LowCardinality(String) COMMENT 'The status it has',
  new_status LowCardinality(String) COMMENT 'The status it is due'
) AS
WITH
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  events AS (
    SELECT
      toDate(quarter, zone) AS day, sumIf(cityHash64(quarter, plan), segment = 'clean') AS hash,
      sumIf(cityHash64(quarter, plan, computed), segment = 'clean') AS made_of, sum(e.events + e.late_events + e.late_repeats) AS filled
    FROM {database}.event_quarters AS e FINAL WHERE segment != '' GROUP BY day
  ),
  sessions AS (
    SELECT
      toDate(quarter, zone) AS day, sumIf(cityHash64(quarter, plan), segment = 'clean') AS hash,
      sumIf(cityHash64(quarter, plan, computed), segment = 'clean') AS made_of, sum(open_sessions) AS open,
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
    SELECT day, uniqExactIf(act, is_verdict) AS verdicts, uniqExactIf(act, NOT is_verdict) AS amendments,
      argMax((at, author), (at, act)) AS last
    FROM (
      SELECT toDate(arrayJoin(quarters), zone) AS day, true AS is_verdict, verdict_id AS act, set_at AS at, author
      FROM {database}.verdicts FINAL
      UNION ALL
      SELECT toDate(arrayJoin(arrayConcat(event_quarters, session_quarters)), zone) AS day, false AS is_verdict, change_id AS act,
        made_at AS at, author
      FROM {database}.amendments FINAL
    )
    GROUP BY day
  ),
  -- Quarters may be touched in which nothing is; a day that has a row keeps it.
  days AS (
    SELECT day FROM events WHERE filled > 0
    UNION DISTINCT
    SELECT day FROM sessions WHERE filled > 0
    UNION DISTINCT
    SELECT metric_date AS day FROM {database}.daily_metrics_raw WHERE time_zone = zone
  )
SELECT day, time_zone, from_events, from_sessions, verdicts, amendments, reopened_at, reopened_by, old_status, new_status
FROM (
  SELECT
    row_number() OVER (ORDER BY d.day DESC) AS number, sum(p.stored) OVER (ORDER BY d.day DESC) AS weight,
    d.day AS day, zone AS time_zone, e.made_of AS from_events, s.made_of AS from_sessions, v.verdicts AS verdicts,
    v.amendments AS amendments, r.status = 'final' AND (r.verdicts != v.verdicts OR r.amendments != v.amendments) AS is_reopened,
    if(is_reopened, v.last.1, r.reopened_at) AS reopened_at, if(is_reopened, v.last.2, r.reopened_by) AS reopened_by,
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
    SELECT metric_date, time_zone, from_events, from_sessions, status, verdicts, amendments, reopened_at, reopened_by FROM {database}.daily_metrics_raw FINAL WHERE segment = 'all'
  ) AS r ON d.day = r.metric_date
  WHERE r.from_events != e.made_of OR r.from_sessions != s.made_of OR r.time_zone != zone OR r.status != new_status OR r.verdicts != v.verdicts
    OR r.amendments != v.amendments
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 100)
COMMENT 'Days to merge now';

DROP VIEW IF EXISTS {database}.refresh_daily_metrics;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.refresh_daily_metrics
REFRESH EVERY 2 SECOND DEPENDS ON {database}.compute_event_quarters APPEND TO {database}.daily_metrics_raw AS
WITH
  (SELECT groupArray((day, from_events, from_sessions, new_status, old_status, verdicts, amendments, reopened_at, reopened_by)) FROM {database}.due_days) AS due,
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  (SELECT max(revision) FROM {database}.daily_metrics_raw) AS last_revision,
  -- Two days to each side, since no zone is further from UTC; nothing when nothing is due.
  if(empty(due), toDate('2100-01-01'), arrayMin(arrayMap(d -> d.1, due)) - 2) AS day_from,
  if(empty(due), toDate('2100-01-01'), arrayMax(arrayMap(d -> d.1, due)) + 2) AS day_to,
  event_hours AS (
    SELECT
      toDate(quarter, zone) AS day, if(grouping(segment) = 1, 'all', segment) AS part,
      quarter - toIntervalMinute(toMinute(quarter, zone)) AS hour_start,
      sumIf(cityHash64(quarter, plan, computed), segment = 'clean') AS hash, sum(e.clicks) AS clicks, sum(e.purchases) AS purchases,
      uniqExactMergeState(e.visitors) AS visitors, uniqExactMergeState(e.items_seen) AS items_seen, sum(e.revenue) AS revenue,
      sumMap(e.revenue_by_currency) AS revenue_by_currency, sum(e.late_events) AS late_events, sum(e.late_revenue) AS late_revenue,
      sum(e.late_repeats) AS late_repeats, sum(e.amended_events) AS amended_events
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
      sum(h.late_repeats) AS repeats, sum(h.amended_events) AS amended,
      arraySort(groupArrayIf(
        (hour_start, h.clicks, h.purchases, finalizeAggregation(h.visitors), h.revenue), finalizeAggregation(h.visitors) > 0
      )) AS hours
    FROM event_hours AS h
    GROUP BY day, part
  ),
  sessions AS (
    SELECT
      toDate(quarter, zone) AS day, if(grouping(segment) = 1, 'all', segment) AS part,
      max(sumIf(cityHash64(quarter, plan, computed), segment = 'clean') * (part = 'all')) OVER (PARTITION BY day) AS from_all,
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
  e.late_amount AS late_revenue, e.repeats AS late_repeat, e.amended AS amended_events, s.sessions AS sessions, s.purchase_sessions AS purchase_sessions, s.duration_ms AS duration_ms,
  s.session_clicks AS session_clicks, s.bounces AS bounces, s.view_sessions AS view_sessions,
  s.multi_view_sessions AS multi_view_sessions, s.cart_sessions AS cart_sessions, s.open_sessions AS open_sessions, e.hours AS hours,
  k.d.6 AS verdicts, k.d.7 AS amendments, k.d.8 AS reopened_at, k.d.9 AS reopened_by, now64(3, 'UTC') AS refreshed_at
FROM (SELECT arrayJoin(due) AS d, arrayJoin(['all', 'clean', 'flagged']) AS part) AS k
LEFT JOIN events AS e ON k.d.1 = e.day AND k.part = e.part
LEFT JOIN sessions AS s ON k.d.1 = s.day AND k.part = s.part
SETTINGS max_threads = 1
COMMENT 'Merges days';

CREATE OR REPLACE VIEW {database}.due_popular_days (day Date COMMENT 'Day of the reporting time zone') AS
WITH
  assumeNotNull((SELECT time_zone FROM {database}.reporting)) AS zone,
  events AS (
    SELECT
      toDate(quarter, zone) AS day, sumIf(cityHash64(quarter, plan, computed), segment = 'clean') AS hash, sum(e.events + e.late_events + e.late_repeats) AS filled
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

DROP VIEW IF EXISTS {database}.refresh_popular;

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
      sumIf(cityHash64(quarter, plan, computed), position <= 1 AND segment = 'clean') AS hash,
      sumMapIf(map(g.category, g.events), is_item_row AND g.category != '') AS categories,
      sum(g.clicks) AS clicks, sum(g.purchases) AS purchases, uniqExactArray(g.visitors) AS unique_visitors, sum(g.revenue) AS revenue
    FROM (
      SELECT
        toDate(quarter, zone) AS day, quarter, plan, computed, segment, position, i.item_id AS item_id, i.category AS category, i.events AS events,
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

-- Zero everywhere: the KPIs say what events, sessions, verdicts and checkpoints say; what retention left behind waits for nothing.
CREATE OR REPLACE VIEW {database}.kpi_backlog (
  stage LowCardinality(String) COMMENT 'What waits',
  waiting UInt64 COMMENT 'How many quarters, days or checkpoints'
) AS
WITH
  (SELECT argMax((partitions, offsets, written_at), pass) FROM {database}.kpi_frontier) AS frontier,
  (SELECT argMax((if(length(partitions) = log_partitions, greatest(arrayMin(decided_ms), 0), 0), closed_ms), pass) FROM {database}.kpi_frontier) AS newest
SELECT 'checkpoints' AS stage, countIf(offset > frontier.2[indexOf(frontier.1, partition)]) AS waiting
FROM {database}.checkpoints WHERE written_at >= frontier.3 - INTERVAL 1 HOUR
UNION ALL
SELECT 'passes', toUInt64(ifNull(
  (SELECT argMax((decided_ms, closed_ms, next_decided_ms, next_closed_ms), plan) FROM {database}.session_plans WHERE quarter = toDateTime(0, 'UTC')) !=
    (newest.1, newest.2, newest.1, newest.2)
  OR (SELECT argMax((decided_ms, next_decided_ms), plan) FROM {database}.event_plans WHERE quarter = toDateTime(0, 'UTC')) != (newest.1, newest.1),
  false
))
UNION ALL
SELECT 'session quarters to plan', count()
FROM {database}.touched_quarters AS t
LEFT JOIN (SELECT quarter, touched FROM {database}.session_plans FINAL) AS p ON t.quarter = p.quarter
WHERE t.kind = 'sessions' AND t.touched != p.touched
UNION ALL
SELECT 'session quarters to compute', count()
FROM {database}.session_plans AS p FINAL
LEFT JOIN (SELECT quarter, plan FROM {database}.session_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
WHERE p.quarter != toDateTime(0, 'UTC') AND p.plan != s.plan
  AND p.quarter NOT IN (SELECT quarter FROM {database}.frozen_quarters WHERE kind = 'sessions')
UNION ALL
SELECT 'session quarters to close', count()
FROM {database}.session_quarters FINAL
WHERE open_sessions > 0 AND arrayExists(p -> newest.2[indexOf(frontier.1, p)] > open_ends[p], mapKeys(open_ends))
UNION ALL
SELECT 'event quarters to plan', count()
FROM (SELECT quarter, touched FROM {database}.touched_quarters WHERE kind = 'events') AS t
FULL JOIN {database}.quarter_flags AS f ON t.quarter = f.quarter
LEFT JOIN (SELECT quarter, touched, flags FROM {database}.event_plans FINAL) AS p
  ON if(t.quarter = toDateTime(0, 'UTC'), f.quarter, t.quarter) = p.quarter
WHERE t.touched != p.touched OR f.flags != p.flags
UNION ALL
SELECT 'event quarters to compute', count()
FROM {database}.event_plans AS p FINAL
LEFT JOIN (SELECT quarter, plan FROM {database}.event_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
WHERE p.quarter != toDateTime(0, 'UTC') AND p.plan != s.plan
  AND p.quarter NOT IN (SELECT quarter FROM {database}.frozen_quarters WHERE kind = 'events')
UNION ALL
SELECT 'days', count() FROM {database}.due_days
UNION ALL
SELECT 'rankings', count() FROM {database}.due_popular_days
COMMENT 'What the KPIs have yet to take in';
