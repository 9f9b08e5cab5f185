-- What analysts read: FINAL inside, tombstones and withdrawn findings left out, nothing to know about versions.
--
-- Merges are resolved by transform() over scalar subqueries: a look-up, not a join, so filters and LIMIT pass through to the
-- table. Only a filter on the resolved session_id cannot: ask session_events(session_id = '..') for one session.
-- A filter on time prunes whole days in events, whole months in anomalies, and by the index by_start in sessions. Sessions are
-- partitioned by the day inside session_id, so a range of session_id prunes whole days there: page by it.

CREATE VIEW IF NOT EXISTS {database}.events (
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
  offset UInt64 COMMENT 'Position in the partition'
) AS SELECT
  event_id, visitor_id,
  transform(
    e.session_id,
    (SELECT groupArray(absorbed_id) FROM (SELECT absorbed_id FROM {database}.session_aliases FINAL ORDER BY absorbed_id)),
    (SELECT groupArray(session_id) FROM (SELECT session_id FROM {database}.session_aliases FINAL ORDER BY absorbed_id)),
    e.session_id
  ) AS session_id,
  event_ts, event_type, item_id, category, price, currency, quantity, url, referrer, user_agent, properties, truncated,
  appended_at, partition, offset
FROM {database}.events_raw AS e FINAL
COMMENT 'Accepted events, each once, with the session that holds it now';

-- is_open comes from the newest checkpoint of the partition and the settings recorded with it. Without one all are open.
CREATE VIEW IF NOT EXISTS {database}.sessions (
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
  version UInt64 COMMENT 'Offset of the last record that changed it + 1'
) AS WITH
  (SELECT (groupArray(partition), groupArray(closed_before_ms)) FROM (
    SELECT
      partition,
      argMax(watermark_ms - JSONExtractInt(settings, 'latenessMs') - JSONExtractInt(settings, 'gapMs'), written_at) AS closed_before_ms
    FROM {database}.checkpoints
    WHERE (partition, offset) IN (SELECT partition, max(offset) FROM {database}.checkpoints GROUP BY partition)
    GROUP BY partition
  )) AS progress
SELECT
  session_id, visitor_id, started_at, ended_at,
  dateDiff('millisecond', started_at, ended_at) / 1000 AS duration_sec,
  events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url, first_referrer, user_agent,
  toBool(
    toUnixTimestamp64Milli(ended_at) >= transform(partition, progress.1, progress.2, toInt64(-9223372036854775808))
  ) AS is_open,
  partition, version
FROM {database}.sessions_raw FINAL
WHERE merged_into = ''
COMMENT 'Living sessions, newest state';

CREATE VIEW IF NOT EXISTS {database}.anomalies (
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
) AS SELECT
  finding_id, rule, visitor_id,
  transform(
    f.session_id,
    (SELECT groupArray(absorbed_id) FROM (SELECT absorbed_id FROM {database}.session_aliases FINAL ORDER BY absorbed_id)),
    (SELECT groupArray(session_id) FROM (SELECT session_id FROM {database}.session_aliases FINAL ORDER BY absorbed_id)),
    f.session_id
  ) AS session_id,
  window_start, window_end, clicks, unique_items, score, found_at_offset, appended_at, version
FROM {database}.findings_raw AS f FINAL
WHERE withdrawn = 0
COMMENT 'Findings that stand';

-- Visitor and time bound the reading first; the resolved id decides.
CREATE VIEW IF NOT EXISTS {database}.session_events AS SELECT
  event_id, visitor_id, session_id, event_ts, event_type, item_id, category, price, currency, quantity, url, referrer,
  user_agent, properties, truncated, appended_at, partition, offset
FROM {database}.events
WHERE session_id = {session_id:String}
  AND visitor_id = (SELECT visitor_id FROM {database}.sessions WHERE session_id = {session_id:String})
  AND event_ts >= (SELECT started_at FROM {database}.sessions WHERE session_id = {session_id:String})
  AND event_ts <= (SELECT ended_at FROM {database}.sessions WHERE session_id = {session_id:String})
ORDER BY event_ts, offset
COMMENT 'The events of one session: session_events(session_id = ''..'')';
