-- How far the pipeline is, what it touched, and proof that two runs over the same log agree.
--
-- None of these is partitioned: one insert for all partitions of the log is then one part. No TTL: the newest row of an idle
-- partition must stay.

-- Written after the rows of a flush and before its checkpoint. Stale KPI days are found by these versions, never by a clock.
CREATE TABLE IF NOT EXISTS {database}.touched_days (
  day Date COMMENT 'A day whose figures may have changed',
  partition UInt16 COMMENT 'Partition of the log whose records touched it',
  cause LowCardinality(String) COMMENT 'pipeline, verdict or amendment',
  version UInt64 COMMENT 'Greatest version of what touched it; for the pipeline the offset + 1'
) ENGINE = ReplacingMergeTree(version)
ORDER BY (day, partition, cause)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Days whose KPIs must be computed again';

-- The newest row of a partition (greatest offset) is where a restarted pipeline goes on. 27 bytes a row.
CREATE TABLE IF NOT EXISTS {database}.checkpoints (
  partition UInt16 COMMENT 'Partition of the log' CODEC(ZSTD(1)),
  offset UInt64 COMMENT 'Everything before this offset is in the warehouse' CODEC(Delta, ZSTD(1)),
  watermark_ms Int64 COMMENT 'Greatest event_ts accepted so far, epoch ms; -9007199254740991: none yet' CODEC(Delta, ZSTD(1)),
  counters Map(LowCardinality(String), UInt64) COMMENT 'Records so far, by outcome' CODEC(ZSTD(1)),
  decision_hash UInt64 COMMENT 'Running hash over every decision before offset' CODEC(ZSTD(1)),
  record_hash String COMMENT 'Hex SHA-256 of the bytes of the record at offset - 1; empty at the beginning' CODEC(ZSTD(1)),
  log_id String COMMENT 'The log this database belongs to' CODEC(ZSTD(1)),
  partitions UInt16 COMMENT 'How many partitions that log has' CODEC(ZSTD(1)),
  settings String COMMENT 'The settings that decide results, JSON' CODEC(ZSTD(1)),
  core_version UInt32 COMMENT 'Version of the function from log to result' CODEC(ZSTD(1)),
  run_id String COMMENT 'The run that wrote it' CODEC(ZSTD(1)),
  written_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was written; decides nothing but which of two equal rows stays' CODEC(Delta, ZSTD(1))
) ENGINE = ReplacingMergeTree(written_at)
ORDER BY (partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'How far each partition of the log is in the warehouse';

-- Never replaced: two hashes for one offset are the determinism alarm. A flush done twice may repeat a row; that does no harm.
CREATE TABLE IF NOT EXISTS {database}.decision_hashes (
  partition UInt16 COMMENT 'Partition of the log' CODEC(ZSTD(1)),
  offset UInt64 COMMENT 'A checkpoint or a multiple of 65,536' CODEC(Delta, ZSTD(1)),
  run_id String COMMENT 'The run that computed it' CODEC(ZSTD(1)),
  hash UInt64 COMMENT 'Running hash over offset, outcome and session_id of every record before offset' CODEC(ZSTD(1)),
  core_version UInt32 COMMENT 'Version of the function from log to result' CODEC(ZSTD(1))
) ENGINE = MergeTree
ORDER BY (partition, offset, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'What each run decided, as hashes: runs that disagree at one offset are a bug';

CREATE TABLE IF NOT EXISTS {database}.pipeline_runs (
  run_id String COMMENT 'Random id of one start of the pipeline',
  started_at DateTime64(3, 'UTC') COMMENT 'When it started',
  changed_at DateTime64(3, 'UTC') COMMENT 'When this row was written',
  state LowCardinality(String) COMMENT 'running, stopped or failed; a killed run stays running',
  host String COMMENT 'Where it ran',
  process_id UInt32 COMMENT 'Process id there',
  log_id String COMMENT 'The log it read',
  core_version UInt32 COMMENT 'Version of the function from log to result',
  settings String COMMENT 'The settings that decide results, JSON' CODEC(ZSTD(1)),
  detail String COMMENT 'Why it stopped or failed' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(changed_at)
ORDER BY (started_at, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Every start of the pipeline and how it ended';
