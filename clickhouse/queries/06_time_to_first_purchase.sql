-- How long do visitors think before they buy for the first time, and how many sessions do they need?
--
-- From a visitor's first event within the days asked for to her first purchase in them.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  multiIf(
    minutes < 5, '1: under 5 minutes',
    minutes < 60, '2: under an hour',
    minutes < 1440, '3: under a day',
    minutes < 10080, '4: under a week',
    '5: a week or more'
  ) AS time_to_purchase,
  count() AS visitors,
  round(avg(sessions_needed), 2) AS sessions_on_average,
  round(quantileExact(0.5)(minutes), 1) AS median_minutes
FROM (
  SELECT
    visitor_id,
    minIf(event_ts, event_type = 'purchase') AS bought_at,
    dateDiff('second', min(event_ts), bought_at) / 60 AS minutes,
    arrayUniq(arrayMap(e -> e.2, arrayFilter(e -> e.1 <= bought_at, groupArray((event_ts, session_id))))) AS sessions_needed
  FROM events
  WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
  GROUP BY visitor_id
  HAVING countIf(event_type = 'purchase') > 0
)
GROUP BY time_to_purchase
ORDER BY time_to_purchase
