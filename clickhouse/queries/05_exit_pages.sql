-- Where do sessions end? Exits of a page against the sessions that saw it at all.
--
-- Only sessions that are over count as exits (is_open = 0): the others may go on. The exit of a session with a purchase is no
-- loss, hence its own column.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  page,
  uniqExact(e.session_id) AS sessions_that_saw_it,
  uniqExactIf(e.session_id, page = path(s.exit_url) AND NOT s.is_open) AS exits,
  uniqExactIf(e.session_id, page = path(s.exit_url) AND NOT s.is_open AND s.purchases > 0) AS exits_after_purchase,
  round(exits / sessions_that_saw_it, 4) AS exit_rate
FROM (
  SELECT DISTINCT session_id, path(url) AS page
  FROM events WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND url != ''
) AS e
INNER JOIN sessions AS s ON s.session_id = e.session_id
GROUP BY page
ORDER BY exits DESC, page
LIMIT 50
