-- How fresh is what I see? Per partition of the log: up to where it is processed, and how old the newest event is.
--
-- Event time stands still when nobody clicks, so an old watermark alone is no fault: see checkpoint_age_sec, and guardian lag for
-- what still waits in the log.
--
-- {at:String} = now  Ages as of this instant: now, or a time like 2026-01-31T12:00:00Z

WITH coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), now64(3, 'UTC')) AS at
SELECT
  partition,
  offset AS processed_below,
  counters['accepted'] AS accepted_so_far,
  if(watermark_ms < 0, NULL, fromUnixTimestamp64Milli(watermark_ms, 'UTC')) AS watermark,
  dateDiff('second', watermark, at) AS watermark_age_sec,
  dateDiff('second', written_at, at) AS checkpoint_age_sec
FROM checkpoints FINAL
WHERE (partition, offset) IN (SELECT partition, max(offset) FROM checkpoints GROUP BY partition)
ORDER BY partition
