-- Which pages lead to a purchase? The last pages of a session before its first purchase, most frequent paths first.
--
-- A page that is reloaded counts once. Pages are paths: host and query string are left out.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {steps:UInt8} = 3  Pages of a path

SELECT
  if(empty(pages), '(none)', arrayStringConcat(arraySlice(arrayCompact(pages), -toInt16({steps:UInt8})), ' > ')) AS path_to_purchase,
  count() AS sessions
FROM (
  SELECT
    session_id,
    minIf((event_ts, offset), event_type = 'purchase') AS bought_at,
    arrayMap(
      step -> step.3,
      arrayFilter(step -> (step.1, step.2) < bought_at, arraySort(groupArray((event_ts, offset, path(url)))))
    ) AS pages
  FROM events
  WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND url != ''
  GROUP BY session_id
  HAVING countIf(event_type = 'purchase') > 0
)
GROUP BY path_to_purchase
ORDER BY sessions DESC, path_to_purchase
LIMIT 50
