-- Verdicts of rules on a visitor's window. Month partitions: findings are few. window_start stands raw in the key, so FINAL
-- prunes. A withdrawn finding is an ordinary row, so that a delayed older version cannot bring it back.

CREATE TABLE IF NOT EXISTS {database}.findings_raw (
  finding_id String COMMENT '20 hex digits: a hash of rule, visitor and window start',
  rule LowCardinality(String) COMMENT 'HIGH_FREQUENCY or BOT_LIKE',
  visitor_id String COMMENT 'Whom it is about' CODEC(ZSTD(1)),
  session_id String COMMENT 'The session at the time of the verdict; the view anomalies resolves later merges' CODEC(ZSTD(1)),
  window_start DateTime64(3, 'UTC') COMMENT 'First instant of the window, aligned to the epoch' CODEC(Delta, ZSTD(1)),
  window_end DateTime64(3, 'UTC') COMMENT 'First instant after the window' CODEC(Delta, ZSTD(1)),
  clicks UInt32 COMMENT 'Accepted clicks in the window',
  unique_items UInt32 COMMENT 'Different item ids among them',
  score Float64 COMMENT 'How far beyond the threshold: 1 is the threshold itself',
  found_at_offset UInt64 COMMENT 'The record at which the standing verdict last became true',
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took that record' CODEC(Delta, ZSTD(1)),
  withdrawn UInt8 COMMENT '1: later events made the verdict untrue',
  partition UInt16 COMMENT 'Partition of the log',
  version UInt64 COMMENT 'Offset of the last record that changed it + 1' CODEC(Delta, ZSTD(1)),
  INDEX by_visitor visitor_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (window_start, rule, visitor_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Findings and withdrawn findings, newest version after replacement. Read them through the view anomalies';
