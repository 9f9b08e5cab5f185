-- The same views at less cost, and two for few sessions.
--
-- Views are opened up in every statement that names them. What they look up is read once: session_merges reads amendments once
-- instead of three times, events and anomalies read merges once instead of twice. What holds does not change.
--
-- Checkpoints are many (a million a day with six partitions): whoever wants the newest ones reads those of the last hour, as 0008
-- explains, and takes the rest from kpi_frontier. Watermarks never fall, so of two the greater one is newer.

CREATE VIEW IF NOT EXISTS {database}.newest_checkpoints (
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Everything before this offset is in the warehouse',
  watermark_ms Int64 COMMENT 'Greatest event_ts accepted so far, epoch ms; -9007199254740991: none yet',
  counters Map(LowCardinality(String), UInt64) COMMENT 'Records so far, by outcome',
  settings String COMMENT 'The settings that decide results, JSON',
  written_at DateTime64(3, 'UTC') COMMENT 'When it was written'
) AS WITH
  (SELECT argMax((partitions, offsets, written_at), pass) FROM {database}.kpi_frontier) AS known
SELECT partition, offset, watermark_ms, counters, settings, written_at
FROM {database}.checkpoints
WHERE (partition, offset) IN (
  SELECT partition, max(offset)
  FROM (
    SELECT partition, offset FROM {database}.checkpoints WHERE written_at >= known.3 - INTERVAL 1 HOUR
    UNION ALL
    SELECT k.1 AS partition, k.2 AS offset FROM (SELECT arrayJoin(arrayZip(known.1, known.2)) AS k)
  )
  GROUP BY partition
)
ORDER BY partition, written_at DESC
LIMIT 1 BY partition
COMMENT 'How far each partition of the log is in the warehouse: its newest checkpoint';

CREATE OR REPLACE VIEW {database}.session_merges (
  absorbed_id String COMMENT 'The session that is no more',
  session_id String COMMENT 'The session that holds its events now'
) AS
WITH (
  SELECT (groupArray(absorbed_id), groupArray(session_id))
  FROM (SELECT absorbed_id, session_id FROM {database}.amended_merges ORDER BY absorbed_id)
) AS merged
SELECT absorbed_id, transform(a.session_id, merged.1, merged.2, a.session_id) AS session_id
FROM {database}.session_aliases AS a FINAL
UNION ALL
SELECT m.1 AS absorbed_id, m.2 AS session_id FROM (SELECT arrayJoin(arrayZip(merged.1, merged.2)) AS m)
COMMENT 'Absorbed sessions and where they went, by the pipeline or by an amendment';

CREATE OR REPLACE VIEW {database}.events (
  event_id String COMMENT 'The idempotency key of the sender, unique within a visitor while lateness remembers it',
  visitor_id String COMMENT 'Who did it',
  session_id String COMMENT 'The session that holds it now. To find the events of one: session_events(session_id = ''..'')',
  event_ts DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the sender',
  event_type LowCardinality(String) COMMENT 'view, click, add_to_cart, purchase or another word; view and click count as clicks',
  item_id String COMMENT 'The item it is about; empty when absent',
  category LowCardinality(String) COMMENT 'The category of the item; empty when absent',
  price Decimal(18, 4) COMMENT 'Per unit. Multiply as toDecimal128(price, 4) * quantity: Decimal(18, 4) overflows',
  currency LowCardinality(String) COMMENT 'ISO 4217; empty: the reporting currency',
  quantity UInt32 COMMENT 'Units bought',
  url String COMMENT 'Page; empty when absent',
  referrer String COMMENT 'Where the visitor came from; empty when absent',
  user_agent String COMMENT 'Browser or program; empty when absent',
  properties Map(LowCardinality(String), String) COMMENT 'Anything else the sender told',
  truncated Bool COMMENT 'url, referrer or user_agent was longer than 2,048 characters and has been cut',
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took the record',
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition',
  amendment_id String COMMENT 'The amendment that folded it in; empty: it was in time'
) AS WITH (
  SELECT (groupArray(absorbed_id), groupArray(session_id))
  FROM (SELECT absorbed_id, session_id FROM {database}.session_merges ORDER BY absorbed_id)
) AS merges
SELECT
  event_id, visitor_id, transform(e.session_id, merges.1, merges.2, e.session_id) AS session_id,
  event_ts, event_type, item_id, category, price, currency, quantity, url, referrer, user_agent, properties, truncated,
  appended_at, partition, offset, '' AS amendment_id
FROM {database}.events_raw AS e FINAL
UNION ALL
SELECT
  event_id, visitor_id, session_id, event_ts, event_type, item_id, category, price, currency, quantity, url, referrer, user_agent,
  properties, truncated, appended_at, partition, offset, amendment_id
FROM {database}.standing_amended_events
COMMENT 'Events that count, each once, with the session that holds it now: accepted ones, and late ones that an amendment folded in';

CREATE OR REPLACE VIEW {database}.anomalies (
  finding_id String COMMENT 'Stable for a rule, visitor and window',
  rule LowCardinality(String) COMMENT 'HIGH_FREQUENCY or BOT_LIKE',
  visitor_id String COMMENT 'Whom it is about',
  session_id String COMMENT 'The session that holds the record that was found',
  window_start DateTime64(3, 'UTC') COMMENT 'First instant of the window',
  window_end DateTime64(3, 'UTC') COMMENT 'First instant after the window',
  clicks UInt32 COMMENT 'Accepted clicks in the window',
  unique_items UInt32 COMMENT 'Different item ids among them',
  score Float64 COMMENT 'How far beyond the threshold: 1 is the threshold itself',
  found_at_offset UInt64 COMMENT 'The record at which the verdict last became true',
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took that record',
  version UInt64 COMMENT 'Offset of the last record that changed it + 1'
) AS WITH (
  SELECT (groupArray(absorbed_id), groupArray(session_id))
  FROM (SELECT absorbed_id, session_id FROM {database}.session_merges ORDER BY absorbed_id)
) AS merges
SELECT
  finding_id, rule, visitor_id, transform(f.session_id, merges.1, merges.2, f.session_id) AS session_id,
  window_start, window_end, clicks, unique_items, score, found_at_offset, appended_at, version
FROM {database}.findings_raw AS f FINAL
WHERE withdrawn = 0
COMMENT 'Findings that stand';

CREATE OR REPLACE VIEW {database}.sessions (
  session_id String COMMENT '12 hex digits of the opening event''s epoch ms, 20 of a hash: ids are in time order',
  visitor_id String COMMENT 'Whose session it is',
  started_at DateTime64(3, 'UTC') COMMENT 'Time of its first event',
  ended_at DateTime64(3, 'UTC') COMMENT 'Time of its last event',
  duration_sec Float64 COMMENT 'From the first event to the last, seconds',
  events UInt32 COMMENT 'Accepted events in it',
  clicks UInt32 COMMENT 'Events of type view or click',
  carts UInt32 COMMENT 'Events of type add_to_cart',
  purchases UInt32 COMMENT 'Events of type purchase',
  unique_items UInt32 COMMENT 'Different item ids',
  revenue Decimal(38, 4) COMMENT 'Price times quantity of its purchases in the reporting currency',
  revenue_by_currency Map(LowCardinality(String), Decimal(38, 4)) COMMENT 'The same for purchases in other currencies',
  entry_url String COMMENT 'url of its first event',
  exit_url String COMMENT 'url of its last event',
  first_referrer String COMMENT 'referrer of its first event',
  user_agent String COMMENT 'user_agent of its first event',
  is_open Bool COMMENT 'An event that is not yet late could still extend it',
  partition UInt16 COMMENT 'Partition of the log',
  version UInt64 COMMENT 'Offset of the last record that changed it + 1; of an amended one that of the change',
  late_events UInt32 COMMENT 'of its events those that amendments folded in'
) AS WITH
  (SELECT argMax((partitions, closed_ms, written_at), pass) FROM {database}.kpi_frontier) AS known,
  (SELECT JSONExtractInt(settings, 'latenessMs') + JSONExtractInt(settings, 'gapMs') FROM {database}.checkpoints LIMIT 1) AS settling_ms,
  (SELECT (groupArray(partition), groupArray(closed_before_ms)) FROM (
    SELECT partition, max(watermark_ms) - settling_ms AS closed_before_ms
    FROM {database}.checkpoints WHERE written_at >= known.3 - INTERVAL 1 HOUR GROUP BY partition
  )) AS recent
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  toBool(toUnixTimestamp64Milli(ended_at) >= greatest(
    transform(partition, recent.1, recent.2, toInt64(-9223372036854775808)),
    transform(partition, known.1, known.2, toInt64(-9223372036854775808))
  )) AS is_open,
  partition, version, toUInt32(0) AS late_events
FROM {database}.sessions_raw FINAL
WHERE merged_into = '' AND session_id NOT IN (SELECT arrayJoin(replaces) FROM {database}.standing_amended_sessions)
UNION ALL
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  false AS is_open, partition, version, late_events
FROM {database}.standing_amended_sessions
COMMENT 'Living sessions, newest state';

-- The same for few sessions: FINAL merges all that lies where one of them may lie, which costs much while the newest parts are not merged
-- yet. These take the newest version of what they find; of an amended session too, whose visitor never changes.

CREATE VIEW IF NOT EXISTS {database}.visitor_sessions AS WITH
  (SELECT argMax((partitions, closed_ms, written_at), pass) FROM {database}.kpi_frontier) AS known,
  (SELECT JSONExtractInt(settings, 'latenessMs') + JSONExtractInt(settings, 'gapMs') FROM {database}.checkpoints LIMIT 1) AS settling_ms,
  (SELECT (groupArray(partition), groupArray(closed_before_ms)) FROM (
    SELECT partition, max(watermark_ms) - settling_ms AS closed_before_ms
    FROM {database}.checkpoints WHERE written_at >= known.3 - INTERVAL 1 HOUR GROUP BY partition
  )) AS recent
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  toBool(toUnixTimestamp64Milli(ended_at) >= greatest(
    transform(partition, recent.1, recent.2, toInt64(-9223372036854775808)),
    transform(partition, known.1, known.2, toInt64(-9223372036854775808))
  )) AS is_open,
  partition, version, toUInt32(0) AS late_events
FROM (
  SELECT * FROM {database}.sessions_raw WHERE visitor_id = {visitor_id:String}
  ORDER BY version DESC LIMIT 1 BY session_id
)
WHERE merged_into = '' AND session_id NOT IN (
  SELECT arrayJoin(replaces) FROM (
    SELECT replaces, standing, session_id FROM {database}.amended_sessions
    WHERE visitor_id = {visitor_id:String} AND change_id IN (SELECT change_id FROM {database}.amendments) ORDER BY version DESC LIMIT 1 BY session_id
  )
  WHERE standing
)
UNION ALL
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  false AS is_open, partition, version, late_events
FROM (
  SELECT * FROM {database}.amended_sessions
  WHERE visitor_id = {visitor_id:String} AND change_id IN (SELECT change_id FROM {database}.amendments)
  ORDER BY version DESC LIMIT 1 BY session_id
)
WHERE standing
COMMENT 'The sessions of one visitor: visitor_sessions(visitor_id = ''..'')';

CREATE VIEW IF NOT EXISTS {database}.listed_sessions AS WITH
  (SELECT argMax((partitions, closed_ms, written_at), pass) FROM {database}.kpi_frontier) AS known,
  (SELECT JSONExtractInt(settings, 'latenessMs') + JSONExtractInt(settings, 'gapMs') FROM {database}.checkpoints LIMIT 1) AS settling_ms,
  (SELECT (groupArray(partition), groupArray(closed_before_ms)) FROM (
    SELECT partition, max(watermark_ms) - settling_ms AS closed_before_ms
    FROM {database}.checkpoints WHERE written_at >= known.3 - INTERVAL 1 HOUR GROUP BY partition
  )) AS recent
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  toBool(toUnixTimestamp64Milli(ended_at) >= greatest(
    transform(partition, recent.1, recent.2, toInt64(-9223372036854775808)),
    transform(partition, known.1, known.2, toInt64(-9223372036854775808))
  )) AS is_open,
  partition, version, toUInt32(0) AS late_events
FROM (
  SELECT * FROM {database}.sessions_raw WHERE session_id IN {ids:Array(String)}
  ORDER BY version DESC LIMIT 1 BY session_id
)
WHERE merged_into = '' AND session_id NOT IN (
  SELECT arrayJoin(replaces) FROM (
    SELECT replaces, standing, session_id FROM {database}.amended_sessions
    WHERE change_id IN (SELECT change_id FROM {database}.amendments) ORDER BY version DESC LIMIT 1 BY session_id
  )
  WHERE standing
)
UNION ALL
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  false AS is_open, partition, version, late_events
FROM (
  SELECT * FROM {database}.amended_sessions
  WHERE session_id IN {ids:Array(String)} AND change_id IN (SELECT change_id FROM {database}.amendments)
  ORDER BY version DESC LIMIT 1 BY session_id
)
WHERE standing
COMMENT 'The sessions of a list of ids: listed_sessions(ids = [''..''])';
