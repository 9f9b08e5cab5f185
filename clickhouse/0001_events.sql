-- Accepted events: the state from which a restarted pipeline rebuilds everything else.
--
-- event_ts stands raw in the key AND in PARTITION BY: only then does FINAL prune partitions and skip merging across them.
-- toStartOfHour first keeps one hour together; inside it a visitor's events are neighbours. Because of it a filter on event_ts
-- would use the key only by the hour's function, so the minmax index by_time prunes hours inside a day.
-- Writing an event again changes nothing: its row has one possible content, so the engine needs no version.
-- No TTL: retention drops whole partitions.

CREATE TABLE IF NOT EXISTS {database}.events_raw (
  event_id String COMMENT 'The idempotency key of the sender, unique within a visitor while lateness remembers it' CODEC(ZSTD(1)),
  visitor_id String COMMENT 'Who did it; the partition key of the log' CODEC(ZSTD(1)),
  event_ts DateTime64(3, 'UTC') COMMENT 'When it happened, by the clock of the sender' CODEC(Delta, ZSTD(1)),
  event_type LowCardinality(String) COMMENT 'view, click, add_to_cart, purchase or another lower-case word; view and click count as clicks',
  item_id String COMMENT 'The item it is about; empty when absent' CODEC(ZSTD(1)),
  category LowCardinality(String) COMMENT 'The category of the item; empty when absent',
  price Decimal(18, 4) COMMENT 'Per unit; 0 when absent. Multiply as toDecimal128(price, 4) * quantity: Decimal(18, 4) overflows' CODEC(T64, ZSTD(1)),
  currency LowCardinality(String) COMMENT 'ISO 4217; empty: the reporting currency',
  quantity UInt32 COMMENT 'Units bought' CODEC(T64, ZSTD(1)),
  url String COMMENT 'Page, cut to 2,048 characters; empty when absent' CODEC(ZSTD(1)),
  referrer String COMMENT 'Where the visitor came from, cut to 2,048 characters; empty when absent' CODEC(ZSTD(1)),
  user_agent String COMMENT 'Browser or program, cut to 2,048 characters; empty when absent' CODEC(ZSTD(1)),
  properties Map(LowCardinality(String), String) COMMENT 'Anything else the sender told' CODEC(ZSTD(1)),
  truncated Bool COMMENT 'url, referrer or user_agent was longer and has been cut',
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took the record' CODEC(Delta, ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log' CODEC(ZSTD(1)),
  offset UInt64 COMMENT 'Position in the partition' CODEC(Delta, ZSTD(1)),
  session_id String COMMENT 'The session it had right after its own step; the view events resolves later merges' CODEC(ZSTD(1)),
  INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_visitor visitor_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_time event_ts TYPE minmax GRANULARITY 1,
  INDEX by_offset offset TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toDate(event_ts)
ORDER BY (toStartOfHour(event_ts), visitor_id, event_ts, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  -- A quiet day becomes one part: FINAL over it then costs a seventh.
  min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1
COMMENT 'Accepted events, one row each after replacement. Read them through the view events';
