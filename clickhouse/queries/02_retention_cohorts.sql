-- Do visitors come back? Cohorts by the week of a visitor's first event, and how many of each were there again n weeks later.
--
-- A visitor is new in the first week in which the database has an event of hers, within the days asked for. Weeks begin on Monday.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {weeks:UInt8} = 8  How many weeks to follow

SELECT
  cohort,
  weeks_later,
  uniqExact(visitor_id) AS visitors,
  round(visitors / any(cohort_size), 4) AS share
FROM (
  SELECT
    visitor_id,
    min(week) OVER (PARTITION BY visitor_id) AS cohort,
    dateDiff('week', cohort, week) AS weeks_later
  FROM (
    SELECT DISTINCT visitor_id, toMonday(event_ts) AS week
    FROM events WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
  )
) AS active
INNER JOIN (
  SELECT cohort, count() AS cohort_size FROM (
    SELECT visitor_id, toMonday(min(event_ts)) AS cohort
    FROM events WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
    GROUP BY visitor_id
  ) GROUP BY cohort
) AS sizes USING (cohort)
WHERE weeks_later <= {weeks:UInt8}
GROUP BY cohort, weeks_later
ORDER BY cohort, weeks_later
