-- Where do sessions begin, and how well does each landing page do?
--
-- A bounce is a session of one event; a conversion is a session with a purchase. Days are those of a session's start.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  path(entry_url) AS landing_page,
  count() AS sessions,
  round(countIf(events = 1) / count(), 4) AS bounce_rate,
  round(countIf(purchases > 0) / count(), 4) AS conversion_rate,
  sum(revenue) AS revenue
FROM sessions
WHERE toDate(started_at) BETWEEN {from:Date} AND {to:Date}
GROUP BY landing_page
ORDER BY sessions DESC, landing_page
LIMIT 50
