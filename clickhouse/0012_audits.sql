-- What audits found. One row per check of an audit, written when all of its checks are done. Writing one again changes nothing.

CREATE TABLE IF NOT EXISTS {database}.audits (
  audit_id String COMMENT 'Random id of one audit; all of its checks share it',
  started_at DateTime64(3, 'UTC') COMMENT 'When the audit began',
  finished_at DateTime64(3, 'UTC') COMMENT 'When its last check was done',
  scope LowCardinality(String) COMMENT 'all, or the day that was audited',
  check_name LowCardinality(String) COMMENT 'Which promise was checked',
  promise String COMMENT 'The promise in words' CODEC(ZSTD(1)),
  examined UInt64 COMMENT 'How many things were looked at: rows, sessions, records',
  differences UInt64 COMMENT 'How many of them are not as they must be; 0 is the only good value',
  sample String COMMENT 'Some of the rows that differ, JSON' CODEC(ZSTD(1)),
  checkpoint Map(String, UInt64) COMMENT 'By partition: everything before this offset was audited' CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
ORDER BY (started_at, audit_id, check_name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Audits: each check with how many things it examined and how many differ';
