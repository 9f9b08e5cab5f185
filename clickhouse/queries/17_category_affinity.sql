-- Which categories interest the same people? Of the visitors of one category, the share that also looked at another, and how
-- much more that is than among all visitors (affinity above 1: they belong together).
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {visitors_min:UInt32} = 2  Pairs with fewer visitors in common are left out

WITH
  interests AS (
    SELECT DISTINCT visitor_id, category
    FROM events
    WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND category != '' AND event_type IN ('view', 'click')
  ),
  sizes AS (SELECT category, count() AS visitors FROM interests GROUP BY category),
  (SELECT uniqExact(visitor_id) FROM interests) AS everybody
SELECT
  a.category AS of_visitors_of,
  b.category AS also_look_at,
  count() AS visitors,
  round(visitors / any(of_a.visitors), 4) AS share,
  round(share / (any(of_b.visitors) / everybody), 2) AS affinity
FROM interests AS a
INNER JOIN interests AS b ON b.visitor_id = a.visitor_id
INNER JOIN sizes AS of_a ON of_a.category = a.category
INNER JOIN sizes AS of_b ON of_b.category = b.category
WHERE a.category != b.category
GROUP BY of_visitors_of, also_look_at
HAVING visitors >= {visitors_min:UInt32}
ORDER BY affinity DESC, visitors DESC, of_visitors_of, also_look_at
