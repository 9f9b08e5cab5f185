-- Which items are bought in one session? Support is the share of buying sessions that have both; lift above 1 means more often
-- than chance would have it.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {sessions_min:UInt32} = 2  Pairs in fewer sessions are left out

WITH
  baskets AS (
    SELECT session_id, groupUniqArray(item_id) AS items
    FROM events
    WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND event_type = 'purchase' AND item_id != ''
    GROUP BY session_id
  ),
  item_sessions AS (SELECT arrayJoin(items) AS item, count() AS sessions FROM baskets GROUP BY item)
SELECT
  pair.1 AS item_a,
  pair.2 AS item_b,
  count() AS sessions_with_both,
  round(sessions_with_both / (SELECT count() FROM baskets), 4) AS support,
  round(sessions_with_both * (SELECT count() FROM baskets) / (any(a.sessions) * any(b.sessions)), 4) AS lift
FROM (
  SELECT arrayJoin(arrayFilter(
    p -> p.1 < p.2, arrayFlatten(arrayMap(x -> arrayMap(y -> (x, y), items), items))
  )) AS pair
  FROM baskets
) AS pairs
INNER JOIN item_sessions AS a ON a.item = pairs.pair.1
INNER JOIN item_sessions AS b ON b.item = pairs.pair.2
GROUP BY pair
HAVING sessions_with_both >= {sessions_min:UInt32}
ORDER BY sessions_with_both DESC, lift DESC, item_a, item_b
LIMIT 100
