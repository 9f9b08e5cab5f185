-- A day shows what has just been computed, without waiting for the refresh that may claim it.
--
-- What is planned in a cycle is computed at once, and claimed a cycle later (0008 says why). A day was merged when what its quarters
-- claim had changed, so a single touch of a quarter that was quiet before was seen only then: two cycles, not one. Now a quarter also
-- says which pass it was computed for, and a day is merged when either is other than its row knows. What decides the status is what
-- is claimed, as before.

ALTER TABLE {database}.session_quarters
  ADD COLUMN IF NOT EXISTS computed UInt64 COMMENT 'The pass it was computed for; beyond plan it is not certain that all of it is in';

ALTER TABLE {database}.event_quarters
  ADD COLUMN IF NOT EXISTS computed UInt64 COMMENT 'The pass it was computed for; beyond plan it is not certain that all of it is in';

-- Retention drops whole old days. What their quarters hold stays as it is: computed again, by a late event or a verdict, it would be
-- nothing. A session may start on the day before the one that it is stored in (the day that it was opened), so a day of sessions was
-- dropped only if its events were, too.
CREATE VIEW IF NOT EXISTS {database}.frozen_quarters (
  kind LowCardinality(String) COMMENT 'events or sessions',
  quarter DateTime('UTC') COMMENT 'Quarter of an hour whose rows are no longer kept, though it counted some'
) AS
SELECT 'events' AS kind, quarter FROM {database}.event_quarters AS e FINAL
WHERE quarter != toDateTime(0, 'UTC') AND e.events > e.amended_events AND quarter < (
  SELECT toDateTime(min(toDate(partition)), 'UTC') FROM system.parts
  WHERE database = '{database}' AND table = 'events_raw' AND active
)
UNION ALL
SELECT 'sessions' AS kind, quarter FROM {database}.session_quarters AS s FINAL
WHERE quarter != toDateTime(0, 'UTC') AND s.sessions > 0 AND quarter < (
  SELECT toDateTime(min(toDate(partition)), 'UTC') FROM system.parts
  WHERE database = '{database}' AND table = 'sessions_raw' AND active
) AND quarter < (
  SELECT toDateTime(min(toDate(partition)), 'UTC') FROM system.parts
  WHERE database = '{database}' AND table = 'events_raw' AND active
)
COMMENT 'Quarters that retention has left behind: their figures stay';

CREATE OR REPLACE VIEW {database}.due_session_quarters (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour',
  due_plan UInt64 COMMENT 'The pass that may be said to be taken in',
  planned UInt64 COMMENT 'The pass that planned it',
  closed_partitions Array(UInt16) COMMENT 'Partitions of closed_ms',
  closed_ms Array(Int64) COMMENT 'Sessions that ended before this are closed, by partition'
) AS
WITH assumeNotNull((SELECT max(plan) FROM {database}.session_quarters WHERE quarter = toDateTime(0, 'UTC'))) AS seen
SELECT quarter, due_plan, planned, closed_partitions, closed_ms
FROM (
  SELECT
    p.quarter AS quarter, least(p.plan, seen) AS due_plan, p.plan AS planned, p.closed_partitions AS closed_partitions, p.closed_ms AS closed_ms,
    sum(1 + intDiv(r.stored, 32)) OVER (ORDER BY quarter DESC) AS weight, row_number() OVER (ORDER BY quarter DESC) AS number
  FROM {database}.session_plans AS p FINAL
  LEFT JOIN (SELECT quarter, plan AS taken FROM {database}.session_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
  LEFT JOIN (
    SELECT toDate(partition) AS day, sum(rows) AS stored FROM system.parts
    WHERE database = '{database}' AND table = 'sessions_raw' AND active GROUP BY day
  ) AS r ON toDate(p.quarter) = r.day
  WHERE p.quarter != toDateTime(0, 'UTC') AND taken < p.plan
    AND p.quarter NOT IN (SELECT quarter FROM {database}.frozen_quarters WHERE kind = 'sessions')
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 1000)
COMMENT 'Quarters of sessions to compute now';

CREATE OR REPLACE VIEW {database}.due_event_quarters (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour',
  due_plan UInt64 COMMENT 'The pass that may be said to be taken in',
  planned UInt64 COMMENT 'The pass that planned it',
  flagged Array(String) COMMENT 'The flagged sessions that reach into it',
  flagged_from DateTime('UTC') COMMENT 'Where the first of them started'
) AS
WITH assumeNotNull((SELECT max(plan) FROM {database}.event_quarters WHERE quarter = toDateTime(0, 'UTC'))) AS seen
SELECT quarter, due_plan, planned, flagged, flagged_from
FROM (
  SELECT
    p.quarter AS quarter, least(p.plan, seen) AS due_plan, p.plan AS planned, p.flagged AS flagged, p.flagged_from AS flagged_from,
    sum(1 + intDiv(r.stored, 32)) OVER (ORDER BY quarter DESC) AS weight, row_number() OVER (ORDER BY quarter DESC) AS number
  FROM {database}.event_plans AS p FINAL
  LEFT JOIN (SELECT quarter, plan AS taken FROM {database}.event_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
  LEFT JOIN (
    SELECT toDate(partition) AS day, sum(rows) AS stored FROM system.parts
    WHERE database = '{database}' AND table = 'events_raw' AND active GROUP BY day
  ) AS r ON toDate(p.quarter) = r.day
  WHERE p.quarter != toDateTime(0, 'UTC') AND taken < p.plan
    AND p.quarter NOT IN (SELECT quarter FROM {database}.frozen_quarters WHERE kind = 'events')
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 1000)
COMMENT 'Quarters of events to compute now';

DROP VIEW IF EXISTS {database}.compute_session_quarters;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.compute_session_quarters
REFRESH EVERY 2 SECOND DEPENDS ON {database}.plan_session_quarters APPEND TO {database}.session_quarters AS
WITH
  (SELECT groupArray((quarter, due_plan, closed_partitions, closed_ms, planned)) FROM {database}.due_session_quarters) AS due,
  (SELECT if(count() = 0, 604800000, max(lateness_ms)) FROM {database}.kpi_frontier) AS lateness_ms,
  (SELECT if(count() = 0, 604800000, max(window_ms)) FROM {database}.kpi_frontier) AS window_ms,
  (SELECT (
      groupArrayIf(id, scope = 'session'), groupArrayIf(toString(verdict), scope = 'session'),
      groupArrayIf(id, scope = 'visitor'), groupArrayIf(toString(verdict), scope = 'visitor')
    ) FROM {database}.standing_verdicts) AS persons,
  (SELECT groupArray(since) FROM (SELECT since FROM {database}.crawler_lists FINAL ORDER BY list)) AS list_since,
  (SELECT argMax(patterns, list) FROM {database}.crawler_lists) AS crawlers,
  arrayMin(arrayMap(d -> d.1, due)) AS due_from,
  candidates AS (
    SELECT
      toStartOfFifteenMinutes(started_at) AS quarter, session_id, visitor_id, started_at, ended_at, events, clicks, carts, purchases,
      user_agent, partition,
      transform(session_id, persons.1, persons.2, transform(visitor_id, persons.3, persons.4, '')) AS person, arrayCount(since -> since <= opened_at, list_since) AS list,
      fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(unhex(concat('0000', substring(session_id, 1, 12))))), 'UTC') AS opened_at
    FROM {database}.sessions_raw FINAL
    WHERE merged_into = '' AND session_id NOT IN (SELECT arrayJoin(replaces) FROM {database}.standing_amended_sessions)
      AND toStartOfFifteenMinutes(started_at) IN (SELECT arrayJoin(due).1)
      AND toDate(toDateTime(intDiv(reinterpretAsUInt64(reverse(unhex(substring(session_id, 1, 12)))), 1000), 'UTC')) IN (
        SELECT toDate(arrayJoin(due).1) + arrayJoin(range(2 + intDiv(toUInt64(lateness_ms), 86400000)))
      )
    UNION ALL
    SELECT
      toStartOfFifteenMinutes(started_at) AS quarter, session_id, visitor_id, started_at, ended_at, events, clicks, carts, purchases,
      user_agent, partition,
      transform(session_id, persons.1, persons.2, transform(visitor_id, persons.3, persons.4, '')) AS person, arrayCount(since -> since <= opened_at, list_since) AS list,
      fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(unhex(concat('0000', substring(session_id, 1, 12))))), 'UTC') AS opened_at
    FROM {database}.standing_amended_sessions
    WHERE toStartOfFifteenMinutes(started_at) IN (SELECT arrayJoin(due).1)
  ),
  found AS (
    SELECT visitor_id, groupArray((window_start, window_end)) AS windows
    FROM {database}.findings_raw FINAL
    WHERE withdrawn = 0 AND window_start >= due_from - toIntervalMillisecond(window_ms)
    GROUP BY visitor_id
  ),
  judged AS (
    SELECT
      c.quarter AS quarter, c.session_id AS session_id, c.started_at AS started_at, c.ended_at AS ended_at, c.events AS events,
      c.clicks AS clicks, c.carts AS carts, c.purchases AS purchases, c.partition AS partition,
      multiIf(
        c.person != '', if(c.person = 'bot', 'person', ''),
        arrayExists(w -> w.1 <= c.ended_at AND w.2 > c.started_at, f.windows), 'rule',
        c.list = 0 OR c.user_agent = '', '',
        c.list = length(list_since), if(multiMatchAny(c.user_agent, crawlers), 'user_agent', ''),
        (c.list, c.user_agent) IN (
          SELECT l.list, u.user_agent
          FROM (SELECT DISTINCT list, user_agent FROM candidates WHERE length(list_since) > 1 AND list < length(list_since)) AS u
          INNER JOIN (SELECT list, patterns FROM {database}.crawler_lists FINAL) AS l ON u.list = l.list
          WHERE multiMatchAny(u.user_agent, l.patterns)
        ), 'user_agent',
        ''
      ) AS source
    FROM candidates AS c
    LEFT JOIN found AS f ON c.visitor_id = f.visitor_id
  ),
  figures AS (
    SELECT
      quarter, if(source = '', 'clean', 'flagged') AS segment,
      count() AS sessions, countIf(purchases > 0) AS purchase_sessions, sum(toUInt64(dateDiff('millisecond', started_at, ended_at))) AS duration_ms,
      sum(clicks) AS session_clicks, countIf(events = 1) AS bounces, countIf(clicks >= 1) AS view_sessions,
      countIf(clicks >= 2) AS multi_view_sessions, countIf(carts > 0) AS cart_sessions,
      countIf(is_open) AS open_sessions, minMapIf(map(partition, toUnixTimestamp64Milli(ended_at)), is_open) AS open_ends,
      arraySort(groupArrayIf((session_id, toStartOfFifteenMinutes(ended_at), source), source != '')) AS flagged,
      sumMapIf(
        arrayMap(n -> quarter + 900 * n, range(1 + intDiv(dateDiff('second', quarter, toStartOfFifteenMinutes(ended_at)), 900))),
        arrayMap(n -> cityHash64(session_id), range(1 + intDiv(dateDiff('second', quarter, toStartOfFifteenMinutes(ended_at)), 900))),
        source != ''
      ) AS flag_sums
    FROM (
      SELECT j.*, toUnixTimestamp64Milli(ended_at) >= d.closed_ms[indexOf(d.closed_partitions, partition)] AS is_open
      FROM judged AS j
      INNER JOIN (SELECT d.1 AS due_quarter, d.3 AS closed_partitions, d.4 AS closed_ms FROM (SELECT arrayJoin(due) AS d)) AS d
        ON j.quarter = d.due_quarter
    )
    GROUP BY quarter, segment
  )
SELECT
  k.quarter AS quarter, k.segment AS segment, k.plan AS plan, f.sessions AS sessions, f.purchase_sessions AS purchase_sessions,
  f.duration_ms AS duration_ms, f.session_clicks AS session_clicks, f.bounces AS bounces, f.view_sessions AS view_sessions,
  f.multi_view_sessions AS multi_view_sessions, f.cart_sessions AS cart_sessions, f.open_sessions AS open_sessions,
  f.open_ends AS open_ends, f.flagged AS flagged, arrayZip(f.flag_sums.1, f.flag_sums.2) AS flag_hashes,
  k.computed AS computed
FROM (
  SELECT d.1 AS quarter, d.2 AS plan, d.5 AS computed, arrayJoin(['clean', 'flagged']) AS segment FROM (SELECT arrayJoin(due) AS d)
) AS k
LEFT JOIN figures AS f ON k.quarter = f.quarter AND k.segment = f.segment
UNION ALL
SELECT toDateTime(0, 'UTC'), '', max(plan), 0, 0, 0, 0, 0, 0, 0, 0, 0, map(), [], [], 0
FROM {database}.session_plans
HAVING max(plan) > (SELECT max(plan) FROM {database}.session_quarters WHERE quarter = toDateTime(0, 'UTC'))
SETTINGS max_threads = 1
COMMENT 'Computes planned quarters of sessions';

DROP VIEW IF EXISTS {database}.compute_event_quarters;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.compute_event_quarters
REFRESH EVERY 2 SECOND DEPENDS ON {database}.plan_event_quarters APPEND TO {database}.event_quarters AS
WITH
  (SELECT groupArray((quarter, due_plan, flagged, flagged_from, planned)) FROM {database}.due_event_quarters) AS due,
  (SELECT currency FROM {database}.reporting) AS reporting_currency,
  (SELECT if(count() = 0, 604800000, max(lateness_ms)) FROM {database}.kpi_frontier) AS lateness_ms,
  arrayMin(arrayMap(d -> d.4, arrayFilter(d -> notEmpty(d.3), due))) AS flagged_from,
  arrayMin(arrayMap(d -> d.1, due)) AS due_from,
  arrayMax(arrayMap(d -> d.1, due)) AS due_to,
  flagged_pairs AS (SELECT d.1 AS quarter, arrayJoin(d.3) AS session_id FROM (SELECT arrayJoin(due) AS d)),
  with_amended AS (
    SELECT quarter, session_id FROM flagged_pairs
    UNION ALL
    SELECT p.quarter AS quarter, m.absorbed_id AS session_id
    FROM (SELECT absorbed_id, session_id FROM {database}.amended_merges WHERE session_id IN (SELECT session_id FROM flagged_pairs)) AS m
    INNER JOIN flagged_pairs AS p ON p.session_id = m.session_id
  ),
  flagged_ids AS (
    SELECT quarter, session_id FROM with_amended
    UNION ALL
    SELECT p.quarter, a.absorbed_id
    FROM (
      SELECT absorbed_id, session_id FROM {database}.session_aliases FINAL
      WHERE session_id IN (SELECT session_id FROM with_amended)
        AND absorbed_id >= leftPad(lower(hex(toUnixTimestamp(flagged_from) * 1000)), 12, '0')
        AND absorbed_id < leftPad(lower(hex((toUnixTimestamp(due_to) + 900) * 1000 + lateness_ms + 1)), 12, '0')
    ) AS a
    INNER JOIN with_amended AS p ON p.session_id = a.session_id
  ),
  by_item AS (
    SELECT
      quarter, segment, item_id, category, count() AS events, sum(is_amended) AS amended, countIf(event_type IN ('view', 'click')) AS clicks,
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
        visitor_id, item_id, category, event_type, price, quantity, currency, 0 AS is_amended
      FROM {database}.events_raw FINAL
      WHERE toDate(event_ts) IN (SELECT toDate(arrayJoin(due).1))
        AND toStartOfHour(event_ts) IN (SELECT toStartOfHour(arrayJoin(due).1))
        AND toStartOfFifteenMinutes(event_ts) IN (SELECT arrayJoin(due).1)
      UNION ALL
      SELECT
        toStartOfFifteenMinutes(event_ts) AS quarter,
        if((quarter, session_id) IN (SELECT quarter, session_id FROM flagged_ids), 'flagged', 'clean') AS segment,
        visitor_id, item_id, category, event_type, price, quantity, currency, 1 AS is_amended
      FROM {database}.standing_amended_events
      WHERE toStartOfHour(event_ts) IN (SELECT toStartOfHour(arrayJoin(due).1))
        AND toStartOfFifteenMinutes(event_ts) IN (SELECT arrayJoin(due).1)
    )
    GROUP BY quarter, segment, item_id, category
  ),
  figures AS (
    SELECT
      quarter, segment, sum(b.events) AS events, sum(b.amended) AS amended, sum(b.clicks) AS clicks, sum(b.purchases) AS purchases, uniqExactArrayState(b.visitors) AS visitors,
      uniqExactIfState(item_id, item_id != '') AS items_seen, sum(b.revenue) AS revenue, sumMap(b.by_currency) AS revenue_by_currency,
      arraySort(groupArrayIf(
        (item_id, toString(category), b.events, b.clicks, b.purchases, b.revenue, b.visitors), item_id != '' OR category != ''
      )) AS items
    FROM by_item AS b
    GROUP BY quarter, segment
  ),
  due_late AS (
    SELECT visitor_id, event_id, event_ts, partition, offset, event_type, price, quantity, currency
    FROM {database}.late_events FINAL
    WHERE event_ts >= due_from AND event_ts < due_to + 900 AND toStartOfFifteenMinutes(event_ts) IN (SELECT arrayJoin(due).1)
  ),
  repeated AS (
    SELECT l.partition AS partition, l.offset AS offset
    FROM due_late AS l
    INNER JOIN (
      SELECT visitor_id, event_id, event_ts, offset FROM {database}.events_raw
      WHERE toDate(event_ts) IN (SELECT arrayJoin([toDate(event_ts - INTERVAL 1 HOUR), toDate(event_ts + INTERVAL 1 HOUR)]) FROM due_late)
        AND toStartOfHour(event_ts) IN (SELECT toStartOfHour(event_ts) + toIntervalHour(arrayJoin([-1, 0, 1])) FROM due_late)
        AND visitor_id IN (SELECT visitor_id FROM due_late) AND event_id IN (SELECT event_id FROM due_late)
      UNION ALL
      SELECT visitor_id, event_id, event_ts, offset FROM {database}.late_events
      WHERE event_ts >= due_from - INTERVAL 1 HOUR AND event_ts < due_to + INTERVAL 2 HOUR AND event_id IN (SELECT event_id FROM due_late)
    ) AS earlier ON l.visitor_id = earlier.visitor_id AND l.event_id = earlier.event_id
    WHERE earlier.offset < l.offset AND abs(dateDiff('millisecond', earlier.event_ts, l.event_ts)) <= 3600000
  ),
  too_late AS (
    SELECT
      toStartOfFifteenMinutes(event_ts) AS quarter,
      if(visitor_id IN (SELECT id FROM {database}.standing_verdicts WHERE scope = 'visitor' AND verdict = 'bot'), 'flagged', 'clean') AS segment,
      countIf(NOT is_repeat) AS events, countIf(is_repeat) AS repeats,
      sumIf(
        toDecimal128(price, 4) * quantity, NOT is_repeat AND event_type = 'purchase' AND currency IN ('', reporting_currency)
      ) AS revenue
    FROM (SELECT *, (partition, offset) IN (SELECT partition, offset FROM repeated) AS is_repeat FROM due_late)
    GROUP BY quarter, segment
  )
SELECT
  k.quarter AS quarter, k.segment AS segment, k.plan AS plan, f.events AS events, f.clicks AS clicks, f.purchases AS purchases, f.visitors AS visitors,
  f.items_seen AS items_seen, f.revenue AS revenue, f.revenue_by_currency AS revenue_by_currency, l.events AS late_events,
  l.revenue AS late_revenue, l.repeats AS late_repeats, f.amended AS amended_events, f.items AS items, reporting_currency AS currency, k.computed AS computed
FROM (
  SELECT d.1 AS quarter, d.2 AS plan, d.5 AS computed, arrayJoin(['clean', 'flagged']) AS segment FROM (SELECT arrayJoin(due) AS d)
) AS k
LEFT JOIN figures AS f ON k.quarter = f.quarter AND k.segment = f.segment
LEFT JOIN too_late AS l ON k.quarter = l.quarter AND k.segment = l.segment
UNION ALL
SELECT
  toDateTime(0, 'UTC'), '', max(plan), 0, 0, 0, uniqExactStateIf(toUInt64(0), false), uniqExactStateIf('', false), toDecimal128(0, 4), map(),
  0, toDecimal128(0, 4), 0, 0, [], '', 0
FROM {database}.event_plans
HAVING max(plan) > (SELECT max(plan) FROM {database}.event_quarters WHERE quarter = toDateTime(0, 'UTC'))
SETTINGS max_threads = 1
COMMENT 'Computes planned quarters of events';
