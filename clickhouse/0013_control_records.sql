-- Records of the log that are no events but carry time through quiet partitions. Kept, so that every watermark can be worked out
-- again from tables alone. The key is the record's place in the log: writing one again changes nothing.

CREATE TABLE IF NOT EXISTS {database}.control_records (
  partition UInt16 COMMENT 'Partition of the log',
  offset UInt64 COMMENT 'Position in the partition' CODEC(Delta, ZSTD(1)),
  appended_at DateTime64(3, 'UTC') COMMENT 'When the log took the record' CODEC(Delta, ZSTD(1)),
  watermark_ms Int64 COMMENT 'What the watermark of its partition is at least from here on, epoch ms' CODEC(Delta, ZSTD(1))
) ENGINE = ReplacingMergeTree
ORDER BY (partition, offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Heartbeats and ends of imports: they count neither as received nor as anything else';
