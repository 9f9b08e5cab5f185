-- How much of the traffic is bots, hour by hour?
--
-- A session counts as a bot's when a standing finding's window overlaps it. Its events then count as bot traffic, those outside
-- the window too.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  toStartOfHour(event_ts) AS hour,
  count() AS events,
  countIf(is_bot) AS bot_events,
  round(bot_events / events, 4) AS bot_share,
  uniqExactIf(visitor_id, is_bot) AS bot_visitors
FROM (
  SELECT event_ts, visitor_id, session_id IN (
    SELECT s.session_id
    FROM sessions AS s INNER JOIN anomalies AS a ON a.visitor_id = s.visitor_id
    WHERE s.started_at < a.window_end AND s.ended_at >= a.window_start
  ) AS is_bot
  FROM events
  WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
)
GROUP BY hour
ORDER BY hour
