-- Records that became no event: too late, refused, or not readable. With their original, so that nothing is lost.
--
-- The key is the record's place in the log, so writing one again changes nothing. The month of the append time is a function
-- of the record; appended_at stands raw in the key, so FINAL prunes.

CREATE TABLE IF NOT EXISTS {database}.late_events (
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took the record' CODEC(Delta, ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition' CODEC(Delta, ZSTD(1)),
  event_id String COMMENT 'The idempotency key of the sender' CODEC(ZSTD(1)),
  visitor_id String COMMENT 'Who did it' CODEC(ZSTD(1)),
  event_ts DateTime64(3, 'UTC') COMMENT 'When it happened: before watermark - allowed lateness' CODEC(Delta, ZSTD(1)),
  event_type LowCardinality(String) COMMENT 'As in events_raw',
  item_id String COMMENT 'As in events_raw' CODEC(ZSTD(1)),
  category LowCardinality(String) COMMENT 'As in events_raw',
  price Decimal(18, 4) COMMENT 'Per unit; 0 when absent',
  currency LowCardinality(String) COMMENT 'ISO 4217; empty: the reporting currency',
  quantity UInt32 COMMENT 'Units bought',
  watermark DateTime64(3, 'UTC') COMMENT 'The watermark of its partition when it was read' CODEC(Delta, ZSTD(1)),
  original String COMMENT 'The value of the record, byte for byte' CODEC(ZSTD(3)),
  INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_time event_ts TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
ORDER BY (appended_at, partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Events that came after allowed lateness; they count in no session and no KPI';

-- event_ts_ms is a bare number: the very reason for a refusal may be a time that no DateTime64 holds.
CREATE TABLE IF NOT EXISTS {database}.rejected_records (
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took the record' CODEC(Delta, ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition' CODEC(Delta, ZSTD(1)),
  reason LowCardinality(String) COMMENT 'Why, as a word to group by',
  detail String COMMENT 'Why, as a sentence to act on' CODEC(ZSTD(1)),
  key String COMMENT 'The key of the record, byte for byte' CODEC(ZSTD(3)),
  value String COMMENT 'The value of the record, byte for byte' CODEC(ZSTD(3)),
  headers Map(String, String) COMMENT 'The headers of the record' CODEC(ZSTD(1)),
  event_id String COMMENT 'The idempotency key of the sender' CODEC(ZSTD(1)),
  visitor_id String COMMENT 'Who did it' CODEC(ZSTD(1)),
  event_ts_ms Int64 COMMENT 'When it is said to have happened, epoch ms' CODEC(ZSTD(1)),
  INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
ORDER BY (appended_at, partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Records that decode, but whose time cannot be: too far ahead of the log, or before 2000';

CREATE TABLE IF NOT EXISTS {database}.dead_letters (
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took the record' CODEC(Delta, ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition' CODEC(Delta, ZSTD(1)),
  reason LowCardinality(String) COMMENT 'Why, as a word to group by',
  detail String COMMENT 'Why, as a sentence to act on' CODEC(ZSTD(1)),
  key String COMMENT 'The key of the record, byte for byte' CODEC(ZSTD(3)),
  value String COMMENT 'The value of the record, byte for byte' CODEC(ZSTD(3)),
  headers Map(String, String) COMMENT 'The headers of the record' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended_at)
ORDER BY (appended_at, partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Records that are no event: bytes that do not decode, unknown schemas, broken fields. They can be replayed';
