-- What did one visitor do? Every event in order, with its session, the pause before it, and findings that cover it.
--
-- {visitor:String} = -  The visitor_id
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  e.event_ts AS event_ts,
  dense_rank() OVER (ORDER BY s.started_at) AS session_number,
  if(e.event_ts = s.started_at, 0, dateDiff('millisecond', lagInFrame(e.event_ts, 1, e.event_ts) OVER (
    ORDER BY e.event_ts, e.offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), e.event_ts) / 1000) AS pause_sec,
  e.event_type AS event_type,
  e.item_id AS item_id,
  path(e.url) AS page,
  domain(e.referrer) AS came_from,
  if(e.event_type = 'purchase', toDecimal128(e.price, 4) * e.quantity, toDecimal128(0, 4)) AS amount,
  e.currency AS currency,
  arrayDistinct(arraySort(arrayMap(f -> f.1, arrayFilter(f -> e.event_ts >= f.2 AND e.event_ts < f.3, (
    SELECT groupArray((toString(rule), window_start, window_end)) FROM anomalies WHERE visitor_id = {visitor:String}
  ))))) AS found_by
FROM events AS e
INNER JOIN sessions AS s ON s.session_id = e.session_id
WHERE e.visitor_id = {visitor:String} AND s.visitor_id = {visitor:String}
  AND toDate(e.event_ts) BETWEEN {from:Date} AND {to:Date}
ORDER BY e.event_ts, e.offset
