-- Accepted and late events in mergeable quarters of an hour, by the time of the event, each segment apart. Plan before compute, as 0008
-- explains. An event is flagged when the session that holds it now is.
--
-- The flagged sessions that a quarter is computed with stand in its plan: it is stale when it was touched or when they are others.

CREATE TABLE IF NOT EXISTS {database}.event_plans (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour; 1970-01-01 is the row of the pass itself' CODEC(Delta, ZSTD(1)),
  plan UInt64 COMMENT 'Number of the pass that planned it' CODEC(Delta, ZSTD(1)),
  touched UInt64 COMMENT 'What touched_quarters said' CODEC(ZSTD(1)),
  flags UInt64 COMMENT 'Sum of the hashes of the flagged sessions' CODEC(ZSTD(1)),
  flagged Array(String) COMMENT 'The flagged sessions that reach into it' CODEC(ZSTD(1)),
  flagged_from DateTime('UTC') COMMENT 'Where the first of them started' CODEC(ZSTD(1)),
  decided_ms Int64 COMMENT 'Least watermark - lateness of all partitions that the pass stands for; 0: not all have one' CODEC(ZSTD(1)),
  next_decided_ms Int64 COMMENT 'What the next pass will stand for' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(plan)
ORDER BY quarter
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Which quarters of events must be computed, and with which sessions flagged';

-- Visitors are counted by sipHash64: among ten million of a day two are taken for one with a chance of 3 in a million.
CREATE TABLE IF NOT EXISTS {database}.event_quarters (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour of the events; 1970-01-01 holds what the last refresh had seen',
  segment LowCardinality(String) COMMENT 'clean or flagged',
  plan UInt64 COMMENT 'The pass whose touches are in it',
  events UInt64 COMMENT 'Events',
  clicks UInt64 COMMENT 'Events of type view or click',
  purchases UInt64 COMMENT 'Events of type purchase',
  visitors AggregateFunction(uniqExact, UInt64) COMMENT 'Different visitors',
  items_seen AggregateFunction(uniqExact, String) COMMENT 'Different items',
  revenue Decimal(38, 4) COMMENT 'Purchases in the reporting currency',
  revenue_by_currency Map(String, Decimal(38, 4)) COMMENT 'Purchases in others',
  late_events UInt64 COMMENT 'Events that came too late',
  late_revenue Decimal(38, 4) COMMENT 'Their purchases in the reporting currency',
  items Array(Tuple(item_id String, category String, events UInt64, clicks UInt64, purchases UInt64, revenue Decimal(38, 4), visitors Array(UInt64)))
    COMMENT 'By item and category' CODEC(ZSTD(1)),
  currency LowCardinality(String) COMMENT 'The reporting currency it was computed with'
) ENGINE = ReplacingMergeTree(plan)
PARTITION BY toYYYYMM(quarter)
ORDER BY (quarter, segment)
SETTINGS index_granularity = 32
COMMENT 'Events by quarter of an hour and segment, to merge';

CREATE VIEW IF NOT EXISTS {database}.reporting (
  time_zone String COMMENT 'Days are those of this zone',
  currency String COMMENT 'Figures are in this currency'
) AS SELECT
  if(countIf(name = 'time_zone') = 0, 'UTC', argMaxIf(value, version, name = 'time_zone')) AS time_zone,
  if(countIf(name = 'currency') = 0, 'USD', argMaxIf(value, version, name = 'currency')) AS currency
FROM {database}.reporting_settings
COMMENT 'How KPIs are reported';

CREATE VIEW IF NOT EXISTS {database}.quarter_flags (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour',
  flags UInt64 COMMENT 'Sum of the hashes of the flagged sessions that reach into it'
) AS
SELECT f.quarter AS quarter, sum(f.hash) AS flags
FROM (SELECT flag_hashes FROM {database}.session_quarters FINAL WHERE segment = 'flagged')
ARRAY JOIN flag_hashes AS f
GROUP BY quarter
COMMENT 'Which sessions are flagged, as a hash by the quarters they reach into';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.plan_event_quarters
REFRESH EVERY 2 SECOND DEPENDS ON {database}.compute_session_quarters APPEND TO {database}.event_plans AS
WITH
  (SELECT argMax((next_decided_ms, decided_ms), plan) FROM {database}.event_plans WHERE quarter = toDateTime(0, 'UTC')) AS last,
  (SELECT max(plan) FROM {database}.event_plans) AS last_plan,
  (SELECT argMax(if(length(partitions) = log_partitions, greatest(arrayMin(decided_ms), 0), 0), pass) FROM {database}.kpi_frontier) AS frontier,
  (SELECT currency FROM {database}.reporting) AS currency,
  -- The flags are read once, together with the sessions that they are made of.
  (SELECT groupArray((quarter, touched)) FROM (
    SELECT if(t.quarter = toDateTime(0, 'UTC'), f.quarter, t.quarter) AS quarter, t.touched AS touched
    FROM (SELECT quarter, touched FROM {database}.touched_quarters WHERE kind = 'events') AS t
    FULL JOIN {database}.quarter_flags AS f ON t.quarter = f.quarter
    LEFT JOIN (SELECT quarter, touched, flags FROM {database}.event_plans FINAL) AS p
      ON if(t.quarter = toDateTime(0, 'UTC'), f.quarter, t.quarter) = p.quarter
    WHERE t.touched != p.touched OR f.flags != p.flags
      OR p.quarter IN (
        SELECT quarter FROM {database}.event_quarters FINAL
        WHERE segment = 'clean' AND currency != (SELECT currency FROM {database}.reporting)
      )
  )) AS stale
SELECT
  s.quarter AS quarter, last_plan + 1 AS plan, s.touched AS touched, sumIf(cityHash64(f.session_id), f.session_id != '') AS flags,
  groupArrayIf(f.session_id, f.session_id != '') AS flagged, minIf(f.started_quarter, f.session_id != '') AS flagged_from,
  last.1 AS decided_ms, toInt64(0) AS next_decided_ms
FROM (SELECT d.1 AS quarter, d.2 AS touched FROM (SELECT arrayJoin(stale) AS d)) AS s
LEFT JOIN (
  SELECT arrayJoin(arrayMap(n -> quarter + 900 * n, range(1 + intDiv(dateDiff('second', quarter, f.last_quarter), 900)))) AS reaches,
    f.session_id AS session_id, quarter AS started_quarter
  FROM {database}.session_quarters FINAL
  ARRAY JOIN flagged AS f
  WHERE segment = 'flagged' AND quarter IN (
    SELECT quarter FROM {database}.session_quarters
    WHERE segment = 'flagged' AND arrayExists(x -> x.1 IN (SELECT arrayJoin(stale).1), flag_hashes)
  )
) AS f ON s.quarter = f.reaches
GROUP BY s.quarter, s.touched
UNION ALL
SELECT toDateTime(0, 'UTC'), last_plan + 1, toUInt64(0), toUInt64(0), CAST([], 'Array(String)'), toDateTime(0, 'UTC'), last.1, frontier
WHERE frontier != last.1 OR last.1 != last.2
SETTINGS max_threads = 1
COMMENT 'Plans quarters of events that were touched or have other flagged sessions';

CREATE VIEW IF NOT EXISTS {database}.due_event_quarters (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour',
  due_plan UInt64 COMMENT 'The pass that may be said to be taken in',
  flagged Array(String) COMMENT 'The flagged sessions that reach into it',
  flagged_from DateTime('UTC') COMMENT 'Where the first of them started'
) AS
WITH assumeNotNull((SELECT max(plan) FROM {database}.event_quarters WHERE quarter = toDateTime(0, 'UTC'))) AS seen
SELECT quarter, due_plan, flagged, flagged_from
FROM (
  SELECT
    p.quarter AS quarter, least(p.plan, seen) AS due_plan, p.flagged AS flagged, p.flagged_from AS flagged_from,
    sum(1 + intDiv(r.stored, 32)) OVER (ORDER BY quarter DESC) AS weight, row_number() OVER (ORDER BY quarter DESC) AS number
  FROM {database}.event_plans AS p FINAL
  LEFT JOIN (SELECT quarter, plan AS taken FROM {database}.event_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
  LEFT JOIN (
    SELECT toDate(partition) AS day, sum(rows) AS stored FROM system.parts
    WHERE database = '{database}' AND table = 'events_raw' AND active GROUP BY day
  ) AS r ON toDate(p.quarter) = r.day
  WHERE p.quarter != toDateTime(0, 'UTC') AND taken < p.plan
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 1000)
COMMENT 'Quarters of events to compute now';

-- An event carries the session it had at acceptance, so what the flagged sessions absorbed counts too. Absorbed ids are in time
-- order: one opened at or after the start of the session that holds its events now, and before the end of the quarter and lateness.
CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.compute_event_quarters
REFRESH EVERY 2 SECOND DEPENDS ON {database}.plan_event_quarters APPEND TO {database}.event_quarters AS
WITH
  (SELECT groupArray((quarter, due_plan, flagged, flagged_from)) FROM {database}.due_event_quarters) AS due,
  (SELECT currency FROM {database}.reporting) AS reporting_currency,
  (SELECT if(count() = 0, 604800000, max(lateness_ms)) FROM {database}.kpi_frontier) AS lateness_ms,
  arrayMin(arrayMap(d -> d.4, arrayFilter(d -> notEmpty(d.3), due))) AS flagged_from,
  arrayMax(arrayMap(d -> d.1, due)) AS due_to,
  flagged_pairs AS (SELECT d.1 AS quarter, arrayJoin(d.3) AS session_id FROM (SELECT arrayJoin(due) AS d)),
  flagged_ids AS (
    SELECT quarter, session_id FROM flagged_pairs
    UNION ALL
    SELECT p.quarter, a.absorbed_id
    FROM (
      SELECT absorbed_id, session_id FROM {database}.session_aliases FINAL
      WHERE session_id IN (SELECT session_id FROM flagged_pairs)
        AND absorbed_id >= leftPad(lower(hex(toUnixTimestamp(flagged_from) * 1000)), 12, '0')
        AND absorbed_id < leftPad(lower(hex((toUnixTimestamp(due_to) + 900) * 1000 + lateness_ms + 1)), 12, '0')
    ) AS a
    INNER JOIN flagged_pairs AS p ON p.session_id = a.session_id
  ),
  by_item AS (
    SELECT
      quarter, segment, item_id, category, count() AS events, countIf(event_type IN ('view', 'click')) AS clicks,
      countIf(event_type = 'purchase') AS purchases,
      sumIf(toDecimal128(price, 4) * quantity, event_type = 'purchase' AND currency IN ('', reporting_currency)) AS revenue,
      sumMapIf(
        map(toString(currency), toDecimal128(price, 4) * quantity), event_type = 'purchase' AND currency NOT IN ('', reporting_currency)
      ) AS by_currency,
      groupUniqArray(sipHash64(visitor_id)) AS visitors
    FROM (
      SELECT
        toStartOfFifteenMinutes(event_ts) AS quarter,
        if((quarter, session_id) IN (SELECT quarter, session_id FROM flagged_ids), 'flagged', 'clean') AS segment,
        visitor_id, item_id, category, event_type, price, quantity, currency
      FROM {database}.events_raw FINAL
      WHERE toDate(event_ts) IN (SELECT toDate(arrayJoin(due).1))
        AND toStartOfHour(event_ts) IN (SELECT toStartOfHour(arrayJoin(due).1))
        AND toStartOfFifteenMinutes(event_ts) IN (SELECT arrayJoin(due).1)
    )
    GROUP BY quarter, segment, item_id, category
  ),
  figures AS (
    SELECT
      quarter, segment, sum(b.events) AS events, sum(b.clicks) AS clicks, sum(b.purchases) AS purchases, uniqExactArrayState(b.visitors) AS visitors,
      uniqExactIfState(item_id, item_id != '') AS items_seen, sum(b.revenue) AS revenue, sumMap(b.by_currency) AS revenue_by_currency,
      arraySort(groupArrayIf(
        (item_id, toString(category), b.events, b.clicks, b.purchases, b.revenue, b.visitors), item_id != '' OR category != ''
      )) AS items
    FROM by_item AS b
    GROUP BY quarter, segment
  ),
  too_late AS (
    SELECT
      toStartOfFifteenMinutes(event_ts) AS quarter,
      if(visitor_id IN (SELECT id FROM {database}.standing_verdicts WHERE scope = 'visitor' AND verdict = 'bot'), 'flagged', 'clean') AS segment,
      count() AS events,
      sumIf(toDecimal128(price, 4) * quantity, event_type = 'purchase' AND currency IN ('', reporting_currency)) AS revenue
    FROM {database}.late_events FINAL
    WHERE toStartOfFifteenMinutes(event_ts) IN (SELECT arrayJoin(due).1)
    GROUP BY quarter, segment
  )
SELECT
  k.quarter AS quarter, k.segment AS segment, k.plan AS plan, f.events AS events, f.clicks AS clicks, f.purchases AS purchases, f.visitors AS visitors,
  f.items_seen AS items_seen, f.revenue AS revenue, f.revenue_by_currency AS revenue_by_currency, l.events AS late_events,
  l.revenue AS late_revenue, f.items AS items, reporting_currency AS currency
FROM (
  SELECT d.1 AS quarter, d.2 AS plan, arrayJoin(['clean', 'flagged']) AS segment FROM (SELECT arrayJoin(due) AS d)
) AS k
LEFT JOIN figures AS f ON k.quarter = f.quarter AND k.segment = f.segment
LEFT JOIN too_late AS l ON k.quarter = l.quarter AND k.segment = l.segment
UNION ALL
SELECT
  toDateTime(0, 'UTC'), '', max(plan), 0, 0, 0, uniqExactStateIf(toUInt64(0), false), uniqExactStateIf('', false), toDecimal128(0, 4), map(),
  0, toDecimal128(0, 4), [], ''
FROM {database}.event_plans
HAVING max(plan) > (SELECT max(plan) FROM {database}.event_quarters WHERE quarter = toDateTime(0, 'UTC'))
SETTINGS max_threads = 1
COMMENT 'Computes planned quarters of events';
