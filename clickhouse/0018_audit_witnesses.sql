-- What audits could not look at, and a second witness of each amendment.

ALTER TABLE {database}.audits
  ADD COLUMN IF NOT EXISTS unchecked String COMMENT 'What the check could not look at, and why, in words; empty: it looked at all' CODEC(ZSTD(1));

-- A change without its row in amendments is one that died, so a row that was deleted would look as if it had never been. It is
-- written after that row, and changes that died in between are added by the next one: a change may lack its witness, a witness
-- never its change.
CREATE TABLE IF NOT EXISTS {database}.counted_changes (
  change_id String COMMENT 'As in amendments',
  amendment_id String COMMENT 'As in amendments',
  action LowCardinality(String) COMMENT 'As in amendments',
  version UInt64 COMMENT 'As in amendments'
) ENGINE = ReplacingMergeTree
ORDER BY (version, change_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1
COMMENT 'Changes that amendments has had: what is missing there now was deleted';

INSERT INTO {database}.counted_changes (change_id, amendment_id, action, version)
SELECT change_id, amendment_id, action, version FROM {database}.amendments;
