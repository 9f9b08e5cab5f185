-- What KPIs depend on besides events and sessions: how figures are reported, who is a bot, and what has been touched.

-- KPIs are computed in quarters of an hour, which lie within one local hour and day of every time zone since 2000. Rows from before
-- this migration have no quarter: they touch all of their day.
ALTER TABLE {database}.touched_days
  ADD COLUMN IF NOT EXISTS kind LowCardinality(String) COMMENT 'events (accepted and late) or sessions; empty: both',
  ADD COLUMN IF NOT EXISTS quarter DateTime('UTC') COMMENT 'The quarter of an hour that was touched; 1970-01-01: all of the day',
  MODIFY ORDER BY (day, partition, cause, kind, quarter);

-- Written by guardian from its environment. A change shows itself in every day, since each says what it was computed with.
CREATE TABLE IF NOT EXISTS {database}.reporting_settings (
  name LowCardinality(String) COMMENT 'time_zone (IANA) or currency (ISO 4217)',
  value String COMMENT 'Its value',
  version UInt64 COMMENT 'The greatest one holds'
) ENGINE = ReplacingMergeTree(version)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Time zone and currency of the KPIs';

-- A list judges the sessions that opened at or after since, until the next list does. So a newer library changes no past day.
CREATE TABLE IF NOT EXISTS {database}.crawler_lists (
  list UInt32 COMMENT 'Number of the list, from 1',
  since DateTime64(3, 'UTC') COMMENT 'It judges sessions that opened at or after this',
  source String COMMENT 'Package and version it comes from',
  patterns Array(String) COMMENT 'Regular expressions; a session whose user_agent matches one is a bot''s' CODEC(ZSTD(3))
) ENGINE = ReplacingMergeTree
ORDER BY list
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'User agents of crawlers';

-- Nothing is replaced: rows are the history. The greatest (version, verdict_id) of a scope and id holds, so a later clear beats a
-- delayed set. quarters stands in the same row, hence in the same insert: a verdict cannot be there without its touches.
CREATE TABLE IF NOT EXISTS {database}.verdicts (
  scope LowCardinality(String) COMMENT 'visitor or session',
  id String COMMENT 'visitor_id or session_id; an absorbed session means the one that holds its events now',
  source LowCardinality(String) COMMENT 'person. Those of rules and user agents follow from findings and sessions: see flagged_sessions',
  verdict LowCardinality(String) COMMENT 'bot, human or unknown; empty: cleared, so automatic verdicts hold again',
  reason String COMMENT 'Why' CODEC(ZSTD(1)),
  author String COMMENT 'Who' CODEC(ZSTD(1)),
  set_at DateTime64(3, 'UTC') COMMENT 'When',
  version UInt64 COMMENT 'Grows with each verdict on the same scope and id',
  verdict_id String COMMENT 'Random; tells verdicts of one version apart',
  quarters Array(DateTime('UTC')) COMMENT 'Where the sessions it is about started, and where late events of the visitor lie' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
ORDER BY (scope, id, source, version, verdict_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Verdicts of persons on visitors and sessions, all that there were';

CREATE VIEW IF NOT EXISTS {database}.standing_verdicts (
  scope LowCardinality(String) COMMENT 'visitor or session',
  id String COMMENT 'visitor_id, or the session that holds the events now',
  verdict LowCardinality(String) COMMENT 'bot, human or unknown',
  reason String COMMENT 'Why',
  author String COMMENT 'Who',
  set_at DateTime64(3, 'UTC') COMMENT 'When',
  version UInt64 COMMENT 'Of the newest verdict'
) AS SELECT
  scope, id, holds.1 AS verdict, holds.2 AS reason, holds.3 AS author, holds.4 AS set_at, holds.5 AS version
FROM (
  SELECT
    v.scope AS scope, if(a.session_id = '', v.id, a.session_id) AS id,
    argMax((v.verdict, v.reason, v.author, v.set_at, v.version), (v.version, v.verdict_id)) AS holds
  FROM {database}.verdicts AS v
  LEFT JOIN (
    SELECT absorbed_id, session_id FROM {database}.session_aliases FINAL
    WHERE absorbed_id IN (SELECT id FROM {database}.verdicts WHERE scope = 'session')
  ) AS a ON v.id = a.absorbed_id AND v.scope = 'session'
  GROUP BY scope, id
)
WHERE holds.1 != ''
COMMENT 'Verdicts of persons that hold now';

-- Versions only grow and no row vanishes, so a sum of greatest versions changes exactly when one of them does.
CREATE VIEW IF NOT EXISTS {database}.touched_quarters (
  kind LowCardinality(String) COMMENT 'events or sessions',
  quarter DateTime('UTC') COMMENT 'A quarter of an hour',
  touched UInt64 COMMENT 'Grows whenever it is touched'
) AS SELECT kind, quarter, sum(version) AS touched
FROM (
  SELECT kind, quarter, max(version) AS version
  FROM {database}.touched_days WHERE quarter != toDateTime(0, 'UTC')
  GROUP BY day, partition, cause, kind, quarter
  UNION ALL
  SELECT arrayJoin(['events', 'sessions']) AS kind, toDateTime(day, 'UTC') + arrayJoin(range(0, 86400, 900)) AS quarter, version
  FROM (
    SELECT day, max(version) AS version FROM {database}.touched_days WHERE quarter = toDateTime(0, 'UTC')
    GROUP BY day, partition, cause
  )
  UNION ALL
  SELECT arrayJoin(['events', 'sessions']) AS kind, arrayJoin(quarters) AS quarter, version FROM {database}.verdicts FINAL
)
GROUP BY kind, quarter
COMMENT 'What has been touched, by content';
