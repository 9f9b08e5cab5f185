-- How long are sessions, in time and in events?
--
-- Sessions of one event have no length and stand apart; otherwise they would be most of every distribution.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  multiIf(
    events = 1, '0: one event',
    duration_sec < 60, '1: under a minute',
    duration_sec < 600, '2: under 10 minutes',
    duration_sec < 1800, '3: under half an hour',
    '4: half an hour or more'
  ) AS length,
  count() AS sessions,
  round(sessions / sum(sessions) OVER (), 4) AS share,
  round(quantileExact(0.5)(duration_sec), 1) AS median_sec,
  round(quantileExact(0.95)(duration_sec), 1) AS p95_sec,
  round(avg(events), 2) AS avg_events
FROM sessions
WHERE toDate(started_at) BETWEEN {from:Date} AND {to:Date}
GROUP BY length
ORDER BY length
