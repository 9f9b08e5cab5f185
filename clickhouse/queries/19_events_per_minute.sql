-- How busy is it, minute by minute, and how long did events take to reach the log?
--
-- The delay is append time minus event_ts. It is the sender's: batches on a phone, a slow network, a wrong clock (below zero: its
-- clock is ahead). An import of history shows the age of the data.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  toStartOfMinute(event_ts) AS minute,
  count() AS events,
  uniqExact(visitor_id) AS visitors,
  round(quantileExact(0.5)(dateDiff('millisecond', event_ts, appended_at)) / 1000, 3) AS median_delay_sec,
  round(quantileExact(0.99)(dateDiff('millisecond', event_ts, appended_at)) / 1000, 3) AS p99_delay_sec,
  countIf(appended_at < event_ts) AS ahead_of_the_log
FROM events
WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
GROUP BY minute
ORDER BY minute DESC
LIMIT 1440
