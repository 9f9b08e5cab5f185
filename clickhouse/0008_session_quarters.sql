-- Sessions in mergeable quarters of an hour, by the start of the session, and which of them are flagged as a bot's.
--
-- The order of things, here and in 0009, so that no touch can be lost whatever is frozen or killed in between:
--   1. A plan view reads touched_quarters and commits what it saw (a pass has a number: plan).
--   2. A compute view computes planned quarters again and stores with each which pass it has taken in.
-- ClickHouse promises no order between the snapshots of two tables in one statement, so the compute view trusts only passes that
-- its own refresh before had seen: those were committed before this one began (refreshes of one view never overlap). No clock
-- decides anything; refreshed_at is a label.
--
-- Likewise the checkpoints behind the status of a day: a pass takes those that the pass before it had read, so touches that the
-- flushes below them wrote are certainly among what it reads.
-- Plans are fsynced: figures must not outlive, through a power cut, the plan they say they are from. Figures that are lost are due again.
-- One row per quarter and segment, replaced as a whole; index_granularity is small because rows are large.

CREATE TABLE IF NOT EXISTS {database}.kpi_frontier (
  pass UInt64 COMMENT 'Number of the reading; the greatest one holds',
  partitions Array(UInt16) COMMENT 'Partitions of the log that have a checkpoint',
  offsets Array(UInt64) COMMENT 'Newest checkpoint of each',
  decided_ms Array(Int64) COMMENT 'Watermark - lateness of each: events before this are decided, epoch ms',
  closed_ms Array(Int64) COMMENT 'Watermark - lateness - gap of each: sessions that ended before this are closed, epoch ms',
  log_partitions UInt16 COMMENT 'Partitions of the log',
  lateness_ms Int64 COMMENT 'Allowed lateness, ms',
  window_ms Int64 COMMENT 'Longest window of a rule, ms',
  written_at DateTime64(3, 'UTC') COMMENT 'Newest label of the checkpoints read; bounds the next reading'
) ENGINE = ReplacingMergeTree(pass)
ORDER BY tuple()
COMMENT 'The newest checkpoint of each partition, so that nobody has to search all checkpoints';

-- Checkpoints are many. Only those since an hour before the newest one known are read, by the index on their label; a label that
-- is wrong by more than an hour delays a status, it cannot advance one.
ALTER TABLE {database}.checkpoints ADD INDEX IF NOT EXISTS by_written written_at TYPE minmax GRANULARITY 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.refresh_frontier REFRESH EVERY 2 SECOND APPEND TO {database}.kpi_frontier AS
WITH
  (SELECT argMax((pass, partitions, offsets, decided_ms, closed_ms, log_partitions, lateness_ms, written_at, window_ms), pass)
    FROM {database}.kpi_frontier) AS known
SELECT
  known.1 + 1 AS pass,
  arrayMap(h -> h.1, heads) AS partitions, arrayMap(h -> h.2, heads) AS offsets,
  arrayMap(h -> h.3, heads) AS decided_ms, arrayMap(h -> h.4, heads) AS closed_ms,
  log_partitions, lateness_ms, window_ms, written_at
FROM (
  SELECT
    arraySort(groupArray((partition, offset, decided_ms, closed_ms))) AS heads,
    max(log_partitions) AS log_partitions, max(lateness_ms) AS lateness_ms, max(window_ms) AS window_ms,
    max(written_at) AS written_at
  FROM (
    SELECT
      partition, max(c.offset) AS offset, argMax(decided_ms, c.offset) AS decided_ms, argMax(closed_ms, c.offset) AS closed_ms,
      argMax(c.log_partitions, c.offset) AS log_partitions, argMax(c.lateness_ms, c.offset) AS lateness_ms,
      argMax(c.window_ms, c.offset) AS window_ms, max(c.written_at) AS written_at
    FROM (
      SELECT
        partition, offset, watermark_ms - JSONExtractInt(settings, 'latenessMs') AS decided_ms,
        watermark_ms - JSONExtractInt(settings, 'latenessMs') - JSONExtractInt(settings, 'gapMs') AS closed_ms,
        partitions AS log_partitions, JSONExtractInt(settings, 'latenessMs') AS lateness_ms,
        greatest(JSONExtractInt(settings, 'highFrequencyWindowMs'), JSONExtractInt(settings, 'botLikeWindowMs')) AS window_ms, written_at
      FROM {database}.checkpoints WHERE written_at >= known.8 - INTERVAL 1 HOUR
      UNION ALL
      SELECT h.1, h.2, h.3, h.4, known.6, known.7, known.9, known.8 FROM (SELECT arrayJoin(arrayZip(known.2, known.3, known.4, known.5)) AS h)
    ) AS c
    GROUP BY partition
  )
)
WHERE notEmpty(heads) AND (partitions != known.2 OR offsets != known.3)
SETTINGS max_threads = 1
COMMENT 'Reads the newest checkpoints';

CREATE TABLE IF NOT EXISTS {database}.session_plans (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour; 1970-01-01 is the row of the pass itself' CODEC(Delta, ZSTD(1)),
  plan UInt64 COMMENT 'Number of the pass that planned it' CODEC(Delta, ZSTD(1)),
  touched UInt64 COMMENT 'What touched_quarters said' CODEC(ZSTD(1)),
  decided_ms Int64 COMMENT 'Least watermark - lateness of all partitions that the pass stands for; 0: not all have one' CODEC(ZSTD(1)),
  closed_partitions Array(UInt16) COMMENT 'Partitions of closed_ms' CODEC(ZSTD(1)),
  closed_ms Array(Int64) COMMENT 'Sessions that ended before this are closed, by partition' CODEC(ZSTD(1)),
  next_decided_ms Int64 COMMENT 'What the next pass will stand for' CODEC(ZSTD(1)),
  next_closed_partitions Array(UInt16) COMMENT 'What the next pass will stand for' CODEC(ZSTD(1)),
  next_closed_ms Array(Int64) COMMENT 'What the next pass will stand for' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(plan)
ORDER BY quarter
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Which quarters of sessions must be computed';

CREATE TABLE IF NOT EXISTS {database}.session_quarters (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour in which the sessions started; 1970-01-01 holds what the last refresh had seen',
  segment LowCardinality(String) COMMENT 'clean or flagged',
  plan UInt64 COMMENT 'The pass whose touches are in it',
  sessions UInt64 COMMENT 'Sessions',
  purchase_sessions UInt64 COMMENT 'with a purchase',
  duration_ms UInt64 COMMENT 'Sum of their durations',
  session_clicks UInt64 COMMENT 'Sum of their clicks',
  bounces UInt64 COMMENT 'with one event',
  view_sessions UInt64 COMMENT 'with a click or more',
  multi_view_sessions UInt64 COMMENT 'with two clicks or more',
  cart_sessions UInt64 COMMENT 'with an add_to_cart',
  open_sessions UInt64 COMMENT 'that can still grow',
  open_ends Map(UInt16, Int64) COMMENT 'The end of the first of those to close, by partition, epoch ms',
  flagged Array(Tuple(session_id String, last_quarter DateTime('UTC'), source String))
    COMMENT 'Flagged sessions, and by what' CODEC(ZSTD(1)),
  flag_hashes Array(Tuple(quarter DateTime('UTC'), hash UInt64))
    COMMENT 'Sum of the hashes of the flagged sessions that reach into a quarter' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(plan)
PARTITION BY toYYYYMM(quarter)
ORDER BY (quarter, segment)
SETTINGS index_granularity = 32
COMMENT 'Sessions by quarter of an hour and segment, to merge';

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.plan_session_quarters
REFRESH EVERY 2 SECOND DEPENDS ON {database}.refresh_frontier APPEND TO {database}.session_plans AS
WITH
  (SELECT argMax((next_decided_ms, next_closed_partitions, next_closed_ms, decided_ms, closed_ms), plan)
    FROM {database}.session_plans WHERE quarter = toDateTime(0, 'UTC')) AS last,
  (SELECT max(plan) FROM {database}.session_plans) AS last_plan,
  (SELECT argMax((if(length(partitions) = log_partitions, arrayMin(decided_ms), 0), partitions, closed_ms), pass)
    FROM {database}.kpi_frontier) AS frontier
SELECT
  quarter, last_plan + 1 AS plan, touched, last.1 AS decided_ms, last.2 AS closed_partitions, last.3 AS closed_ms,
  toInt64(0) AS next_decided_ms, CAST([], 'Array(UInt16)') AS next_closed_partitions, CAST([], 'Array(Int64)') AS next_closed_ms
FROM {database}.touched_quarters AS t
LEFT JOIN (SELECT quarter, touched AS planned FROM {database}.session_plans FINAL) AS p USING quarter
LEFT JOIN (
  SELECT DISTINCT quarter, true AS closes FROM {database}.session_quarters FINAL
  WHERE open_sessions > 0 AND arrayExists(p -> last.3[indexOf(last.2, p)] > open_ends[p], mapKeys(open_ends))
) AS o USING quarter
WHERE kind = 'sessions' AND (touched != planned OR closes)
UNION ALL
SELECT
  toDateTime(0, 'UTC'), last_plan + 1, toUInt64(0), last.1, last.2, last.3,
  greatest(frontier.1, 0), frontier.2, frontier.3
WHERE frontier.1 != last.1 OR frontier.3 != last.3 OR last.1 != last.4 OR last.3 != last.5
SETTINGS max_threads = 1
COMMENT 'Plans quarters of sessions that were touched';

-- Newest first, so that a long history does not hold up what is live, and no more at a time than memory holds: rows are guessed from
-- those that the day has, as if it had 32 quarters. due_plan is the newest pass that may
-- be said to be taken in: a quarter planned only now is computed now, for freshness, and again by the next refresh, for certainty.
CREATE VIEW IF NOT EXISTS {database}.due_session_quarters (
  quarter DateTime('UTC') COMMENT 'Quarter of an hour',
  due_plan UInt64 COMMENT 'The pass that may be said to be taken in',
  closed_partitions Array(UInt16) COMMENT 'Partitions of closed_ms',
  closed_ms Array(Int64) COMMENT 'Sessions that ended before this are closed, by partition'
) AS
WITH assumeNotNull((SELECT max(plan) FROM {database}.session_quarters WHERE quarter = toDateTime(0, 'UTC'))) AS seen
SELECT quarter, due_plan, closed_partitions, closed_ms
FROM (
  SELECT
    p.quarter AS quarter, least(p.plan, seen) AS due_plan, p.closed_partitions AS closed_partitions, p.closed_ms AS closed_ms,
    sum(1 + intDiv(r.stored, 32)) OVER (ORDER BY quarter DESC) AS weight, row_number() OVER (ORDER BY quarter DESC) AS number
  FROM {database}.session_plans AS p FINAL
  LEFT JOIN (SELECT quarter, plan AS taken FROM {database}.session_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
  LEFT JOIN (
    SELECT toDate(partition) AS day, sum(rows) AS stored FROM system.parts
    WHERE database = '{database}' AND table = 'sessions_raw' AND active GROUP BY day
  ) AS r ON toDate(p.quarter) = r.day
  WHERE p.quarter != toDateTime(0, 'UTC') AND taken < p.plan
)
WHERE number = 1 OR (weight <= 4000000 AND number <= 1000)
COMMENT 'Quarters of sessions to compute now';

-- A person's verdict on the session, else a person's on the visitor, else a standing finding whose window overlaps the session, else
-- the user agent. due is a scalar: read once, so that the quarters read and the rows written are the same.
CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.compute_session_quarters
REFRESH EVERY 2 SECOND DEPENDS ON {database}.plan_session_quarters APPEND TO {database}.session_quarters AS
WITH
  (SELECT groupArray((quarter, due_plan, closed_partitions, closed_ms)) FROM {database}.due_session_quarters) AS due,
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
    WHERE merged_into = ''
      AND toStartOfFifteenMinutes(started_at) IN (SELECT arrayJoin(due).1)
      AND toDate(toDateTime(intDiv(reinterpretAsUInt64(reverse(unhex(substring(session_id, 1, 12)))), 1000), 'UTC')) IN (
        SELECT toDate(arrayJoin(due).1) + arrayJoin(range(2 + intDiv(toUInt64(lateness_ms), 86400000)))
      )
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
  f.open_ends AS open_ends, f.flagged AS flagged, arrayZip(f.flag_sums.1, f.flag_sums.2) AS flag_hashes
FROM (
  SELECT d.1 AS quarter, d.2 AS plan, arrayJoin(['clean', 'flagged']) AS segment FROM (SELECT arrayJoin(due) AS d)
) AS k
LEFT JOIN figures AS f ON k.quarter = f.quarter AND k.segment = f.segment
UNION ALL
SELECT toDateTime(0, 'UTC'), '', max(plan), 0, 0, 0, 0, 0, 0, 0, 0, 0, map(), [], []
FROM {database}.session_plans
HAVING max(plan) > (SELECT max(plan) FROM {database}.session_quarters WHERE quarter = toDateTime(0, 'UTC'))
SETTINGS max_threads = 1
COMMENT 'Computes planned quarters of sessions';

CREATE VIEW IF NOT EXISTS {database}.flagged_sessions (
  session_id String COMMENT 'A session that is a bot''s',
  source String COMMENT 'person, rule or user_agent: the strongest verdict',
  started_quarter DateTime('UTC') COMMENT 'Quarter of an hour in which it started'
) AS SELECT f.session_id AS session_id, f.source AS source, quarter AS started_quarter
FROM {database}.session_quarters FINAL
ARRAY JOIN flagged AS f
WHERE segment = 'flagged'
COMMENT 'Sessions that count in segment flagged';
