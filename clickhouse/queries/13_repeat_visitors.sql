-- How loyal are visitors? Visitors by how many sessions they had, with what they bring.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  if(sessions_of_visitor >= 10, '10+', toString(sessions_of_visitor)) AS sessions,
  count() AS visitors,
  round(visitors / sum(visitors) OVER (), 4) AS share_of_visitors,
  round(countIf(purchases_of_visitor > 0) / visitors, 4) AS share_that_bought,
  sum(revenue_of_visitor) AS revenue
FROM (
  SELECT
    visitor_id, count() AS sessions_of_visitor, sum(purchases) AS purchases_of_visitor, sum(revenue) AS revenue_of_visitor
  FROM sessions
  WHERE toDate(started_at) BETWEEN {from:Date} AND {to:Date}
  GROUP BY visitor_id
)
GROUP BY sessions
ORDER BY min(sessions_of_visitor)
