-- Late events that a person folded into their days. They live apart from what the pipeline keeps: recovery and the checks of its
-- exactness never see them, and taking an amendment back leaves no trace but its history.
--
-- An amendment or its reversal is a change. It writes the events and the sessions that are different after it, and last its row in
-- amendments: only then does anything of it count (one insert of one row is there or not). Rows of a change that died before are
-- never read. The newest version of an event or a session that counts holds, so nothing is ever replaced or deleted.
-- touches of a change stand in its own row, as with verdicts.

CREATE TABLE IF NOT EXISTS {database}.amendments (
  amendment_id String COMMENT 'What guardian late revert takes; a reversal has that of what it takes back',
  change_id String COMMENT 'Random; ties the rows of the change together',
  version UInt64 COMMENT 'Grows with each change',
  action LowCardinality(String) COMMENT 'amend or revert',
  day Date COMMENT 'Day whose late events were folded in',
  time_zone LowCardinality(String) COMMENT 'Reporting time zone of the day',
  status LowCardinality(String) COMMENT 'Status of the day when it was made; final: it reopened the day',
  events UInt64 COMMENT 'Late events it folds in or takes out',
  revenue Decimal(38, 4) COMMENT 'Their purchases in the reporting currency',
  offsets Map(UInt16, Tuple(UInt64, UInt64)) COMMENT 'By partition: the first and the last of their records; all stand in amended_events',
  reason String COMMENT 'Why' CODEC(ZSTD(1)),
  author String COMMENT 'Who' CODEC(ZSTD(1)),
  made_at DateTime64(3, 'UTC') COMMENT 'When',
  event_quarters Array(DateTime('UTC')) COMMENT 'Quarters of an hour whose events are different after it' CODEC(ZSTD(1)),
  session_quarters Array(DateTime('UTC')) COMMENT 'Quarters in which sessions started that are different after it' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
ORDER BY (version, change_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Amendments and their reversals, all that there were';

CREATE TABLE IF NOT EXISTS {database}.amended_events (
  event_id String COMMENT 'As in late_events' CODEC(ZSTD(1)),
  visitor_id String COMMENT 'As in late_events' CODEC(ZSTD(1)),
  event_ts DateTime64(3, 'UTC') COMMENT 'As in late_events' CODEC(Delta, ZSTD(1)),
  event_type LowCardinality(String) COMMENT 'As in late_events',
  item_id String COMMENT 'As in late_events' CODEC(ZSTD(1)),
  category LowCardinality(String) COMMENT 'As in late_events',
  price Decimal(18, 4) COMMENT 'As in late_events',
  currency LowCardinality(String) COMMENT 'As in late_events',
  quantity UInt32 COMMENT 'As in late_events',
  url String COMMENT 'From the original of the record' CODEC(ZSTD(1)),
  referrer String COMMENT 'From the original of the record' CODEC(ZSTD(1)),
  user_agent String COMMENT 'From the original of the record' CODEC(ZSTD(1)),
  properties Map(LowCardinality(String), String) COMMENT 'From the original of the record' CODEC(ZSTD(1)),
  truncated Bool COMMENT 'url, referrer or user_agent was longer and has been cut',
  appended_at DateTime64(3, 'UTC') COMMENT 'As in late_events' CODEC(Delta, ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition' CODEC(Delta, ZSTD(1)),
  session_id String COMMENT 'The session that holds it after the change' CODEC(ZSTD(1)),
  amendment_id String COMMENT 'The amendment that folded it in' CODEC(ZSTD(1)),
  standing Bool COMMENT 'false: the change took it out',
  change_id String COMMENT 'The change that wrote the row' CODEC(ZSTD(1)),
  version UInt64 COMMENT 'Version of that change'
) ENGINE = ReplacingMergeTree
ORDER BY (toStartOfHour(event_ts), event_ts, partition, offset, version, change_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Late events as each change left them. Read them through standing_amended_events';

CREATE TABLE IF NOT EXISTS {database}.amended_sessions (
  session_id String COMMENT 'That of the earliest session in it; without one made from its first late event' CODEC(ZSTD(1)),
  visitor_id String COMMENT 'Whose session it is' CODEC(ZSTD(1)),
  started_at DateTime64(3, 'UTC') COMMENT 'Time of its first event' CODEC(Delta, ZSTD(1)),
  ended_at DateTime64(3, 'UTC') COMMENT 'Time of its last event' CODEC(Delta, ZSTD(1)),
  events UInt32 COMMENT 'Events in it, late ones included',
  clicks UInt32 COMMENT 'Events of type view or click',
  carts UInt32 COMMENT 'Events of type add_to_cart',
  purchases UInt32 COMMENT 'Events of type purchase',
  unique_items UInt32 COMMENT 'Different item ids',
  revenue Decimal(38, 4) COMMENT 'Price times quantity of its purchases in the reporting currency',
  revenue_by_currency Map(LowCardinality(String), Decimal(38, 4)) COMMENT 'The same for purchases in other currencies',
  entry_url String COMMENT 'url of its first event by time, then offset' CODEC(ZSTD(1)),
  exit_url String COMMENT 'url of its last event by time, then offset' CODEC(ZSTD(1)),
  first_referrer String COMMENT 'referrer of its first event' CODEC(ZSTD(1)),
  user_agent String COMMENT 'user_agent of its first event' CODEC(ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log',
  late_events UInt32 COMMENT 'of its events those that were folded in',
  replaces Array(String) COMMENT 'Sessions of the pipeline that are part of it, in time order' CODEC(ZSTD(1)),
  standing Bool COMMENT 'false: after the change there is no such session',
  change_id String COMMENT 'The change that wrote the row' CODEC(ZSTD(1)),
  version UInt64 COMMENT 'Version of that change'
) ENGINE = ReplacingMergeTree
ORDER BY (session_id, version, change_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Sessions with late events in them as each change left them. Read them through sessions';

CREATE VIEW IF NOT EXISTS {database}.standing_amended_events (
  event_id String COMMENT 'As in late_events',
  visitor_id String COMMENT 'As in late_events',
  event_ts DateTime64(3, 'UTC') COMMENT 'As in late_events',
  event_type LowCardinality(String) COMMENT 'As in late_events',
  item_id String COMMENT 'As in late_events',
  category LowCardinality(String) COMMENT 'As in late_events',
  price Decimal(18, 4) COMMENT 'As in late_events',
  currency LowCardinality(String) COMMENT 'As in late_events',
  quantity UInt32 COMMENT 'As in late_events',
  url String COMMENT 'From the original of the record',
  referrer String COMMENT 'From the original of the record',
  user_agent String COMMENT 'From the original of the record',
  properties Map(LowCardinality(String), String) COMMENT 'From the original of the record',
  truncated Bool COMMENT 'url, referrer or user_agent was longer and has been cut',
  appended_at DateTime64(3, 'UTC') COMMENT 'As in late_events',
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition',
  session_id String COMMENT 'The session that holds it now',
  amendment_id String COMMENT 'The amendment that folded it in'
) AS SELECT event_id, visitor_id, event_ts, event_type, item_id, category, price, currency, quantity, url, referrer, user_agent, properties,
  truncated, appended_at, partition, offset, session_id, amendment_id
FROM {database}.amended_events FINAL
WHERE standing AND change_id IN (SELECT change_id FROM {database}.amendments) AND (partition, offset, version) IN (
  SELECT partition, offset, max(version) FROM {database}.amended_events
  WHERE change_id IN (SELECT change_id FROM {database}.amendments) GROUP BY partition, offset
)
COMMENT 'Late events that amendments have folded in, as they are now';

CREATE VIEW IF NOT EXISTS {database}.standing_amended_sessions (
  session_id String COMMENT 'That of the earliest session in it; without one made from its first late event',
  visitor_id String COMMENT 'Whose session it is',
  started_at DateTime64(3, 'UTC') COMMENT 'Time of its first event',
  ended_at DateTime64(3, 'UTC') COMMENT 'Time of its last event',
  events UInt32 COMMENT 'Events in it, late ones included',
  clicks UInt32 COMMENT 'Events of type view or click',
  carts UInt32 COMMENT 'Events of type add_to_cart',
  purchases UInt32 COMMENT 'Events of type purchase',
  unique_items UInt32 COMMENT 'Different item ids',
  revenue Decimal(38, 4) COMMENT 'Price times quantity of its purchases in the reporting currency',
  revenue_by_currency Map(LowCardinality(String), Decimal(38, 4)) COMMENT 'The same for purchases in other currencies',
  entry_url String COMMENT 'url of its first event by time, then offset',
  exit_url String COMMENT 'url of its last event by time, then offset',
  first_referrer String COMMENT 'referrer of its first event',
  user_agent String COMMENT 'user_agent of its first event',
  partition UInt16 COMMENT 'Partition of the log',
  late_events UInt32 COMMENT 'of its events those that were folded in',
  replaces Array(String) COMMENT 'Sessions of the pipeline that are part of it, in time order',
  version UInt64 COMMENT 'Version of the change that made it so'
) AS SELECT session_id, visitor_id, started_at, ended_at, events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url,
  exit_url, first_referrer, user_agent, partition, late_events, replaces, version
FROM {database}.amended_sessions FINAL
WHERE standing AND change_id IN (SELECT change_id FROM {database}.amendments) AND (session_id, version) IN (
  SELECT session_id, max(version) FROM {database}.amended_sessions
  WHERE change_id IN (SELECT change_id FROM {database}.amendments) GROUP BY session_id
)
COMMENT 'Sessions with late events in them, as they are now; each stands for those in replaces';

CREATE VIEW IF NOT EXISTS {database}.amended_merges (
  absorbed_id String COMMENT 'A session of the pipeline that an amendment merged into another',
  session_id String COMMENT 'The session that has its events now'
) AS SELECT absorbed_id, session_id
FROM {database}.standing_amended_sessions
ARRAY JOIN replaces AS absorbed_id
WHERE absorbed_id != session_id
COMMENT 'What amendments merged';

CREATE OR REPLACE VIEW {database}.standing_verdicts (
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
    v.scope AS scope, if(m.session_id = '', v.living_id, m.session_id) AS id,
    argMax((v.verdict, v.reason, v.author, v.set_at, v.version), (v.version, v.verdict_id)) AS holds
  FROM (
    SELECT w.scope AS scope, if(a.session_id = '', w.id, a.session_id) AS living_id, w.verdict AS verdict, w.reason AS reason,
      w.author AS author, w.set_at AS set_at, w.version AS version, w.verdict_id AS verdict_id
    FROM {database}.verdicts AS w
    LEFT JOIN (
      SELECT absorbed_id, session_id FROM {database}.session_aliases FINAL
      WHERE absorbed_id IN (SELECT id FROM {database}.verdicts WHERE scope = 'session')
    ) AS a ON w.id = a.absorbed_id AND w.scope = 'session'
  ) AS v
  LEFT JOIN (SELECT absorbed_id, session_id FROM {database}.amended_merges) AS m ON v.living_id = m.absorbed_id AND v.scope = 'session'
  GROUP BY scope, id
)
WHERE holds.1 != ''
COMMENT 'Verdicts of persons that hold now';

CREATE OR REPLACE VIEW {database}.touched_quarters (
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
  UNION ALL
  SELECT 'events' AS kind, arrayJoin(event_quarters) AS quarter, version FROM {database}.amendments FINAL
  UNION ALL
  SELECT 'sessions' AS kind, arrayJoin(session_quarters) AS quarter, version FROM {database}.amendments FINAL
)
GROUP BY kind, quarter
COMMENT 'What has been touched, by content';
