-- New or returning visitors, day by day: how many, and who buys?
--
-- A session is of a new visitor when it is her first one in the database, whatever days are asked for.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  toDate(started_at) AS day,
  if(session_id = first_session, 'new', 'returning') AS kind,
  count() AS sessions,
  uniqExact(visitor_id) AS visitors,
  round(countIf(purchases > 0) / count(), 4) AS conversion_rate,
  sum(revenue) AS total_revenue
FROM (
  SELECT
    session_id, visitor_id, started_at, purchases, revenue,
    argMin(session_id, started_at) OVER (PARTITION BY visitor_id) AS first_session
  FROM sessions
)
WHERE toDate(started_at) BETWEEN {from:Date} AND {to:Date}
GROUP BY day, kind
ORDER BY day, kind
