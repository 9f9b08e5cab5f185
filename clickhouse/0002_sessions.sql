-- Sessions, newest revision by version, and the ids that merges absorbed.
--
-- session_id starts with the opening event's time (12 hex digits of epoch ms): the key is in time order, a look-up by id reads
-- one granule, and the partition is a function of the key itself, so no revision can move a row to another partition.
-- A tombstone (the session was absorbed) is an ordinary row with merged_into. It is never cleaned up: a delayed insert of an
-- older revision would rise again. Hence no is_deleted, no CLEANUP, no TTL; retention drops whole partitions.

CREATE TABLE IF NOT EXISTS {database}.sessions_raw (
  session_id String COMMENT '12 hex digits of the opening event''s epoch ms, 20 of a hash: ids are in time order' CODEC(ZSTD(1)),
  visitor_id String COMMENT 'Whose session it is' CODEC(ZSTD(1)),
  started_at DateTime64(3, 'UTC') COMMENT 'Time of its first event' CODEC(Delta, ZSTD(1)),
  ended_at DateTime64(3, 'UTC') COMMENT 'Time of its last event' CODEC(Delta, ZSTD(1)),
  events UInt32 COMMENT 'Accepted events in it' CODEC(T64, ZSTD(1)),
  clicks UInt32 COMMENT 'Events of type view or click' CODEC(T64, ZSTD(1)),
  carts UInt32 COMMENT 'Events of type add_to_cart' CODEC(T64, ZSTD(1)),
  purchases UInt32 COMMENT 'Events of type purchase' CODEC(T64, ZSTD(1)),
  unique_items UInt32 COMMENT 'Different item ids' CODEC(T64, ZSTD(1)),
  revenue Decimal(38, 4) COMMENT 'Price times quantity of its purchases in the reporting currency' CODEC(ZSTD(1)),
  revenue_by_currency Map(LowCardinality(String), Decimal(38, 4)) COMMENT 'The same for purchases in other currencies' CODEC(ZSTD(1)),
  entry_url String COMMENT 'url of its first event by time, then offset' CODEC(ZSTD(1)),
  exit_url String COMMENT 'url of its last event by time, then offset' CODEC(ZSTD(1)),
  first_referrer String COMMENT 'referrer of its first event' CODEC(ZSTD(1)),
  user_agent String COMMENT 'user_agent of its first event' CODEC(ZSTD(1)),
  merged_into String COMMENT 'The session that absorbed this one; empty while it lives' CODEC(ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log' CODEC(ZSTD(1)),
  version UInt64 COMMENT 'Offset of the last record that changed it + 1' CODEC(Delta, ZSTD(1)),
  INDEX by_visitor visitor_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_start started_at TYPE minmax GRANULARITY 1,
  INDEX by_end ended_at TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(toDateTime(intDiv(reinterpretAsUInt64(reverse(unhex(substring(session_id, 1, 12)))), 1000), 'UTC'))
ORDER BY session_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
  min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1
COMMENT 'Sessions and their tombstones, newest version after replacement. Read them through the view sessions';

-- A closure: when A absorbs B, every id that B had absorbed before points to A as well. So one look-up resolves any id.
CREATE TABLE IF NOT EXISTS {database}.session_aliases (
  absorbed_id String COMMENT 'The session that is no more' CODEC(ZSTD(1)),
  session_id String COMMENT 'The living session that holds its events' CODEC(ZSTD(1)),
  partition UInt16 COMMENT 'Partition of the log' CODEC(ZSTD(1)),
  version UInt64 COMMENT 'Offset of the merging record + 1' CODEC(Delta, ZSTD(1))
) ENGINE = ReplacingMergeTree(version)
ORDER BY absorbed_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Absorbed session ids and where they went; output for the views, never read by recovery';
