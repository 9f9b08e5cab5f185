-- What came too late to count, how late, and what money was in it?
--
-- By the day on which it happened. Late events are in no session and no figure of that day, until an amendment folds them in. A
-- sender that repeats what was accepted long ago is late too: such repeats have an accepted event of the same visitor and id, or a
-- late one before them, and cost nothing.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {currency:String} = USD  The reporting currency of this installation

SELECT
  toDate(event_ts) AS day,
  count() AS late_events,
  countIf(is_repeat) AS repeats,
  round(quantileExact(0.5)(dateDiff('second', event_ts, watermark)) / 60, 1) AS median_minutes_behind,
  round(max(dateDiff('second', event_ts, watermark)) / 60, 1) AS max_minutes_behind,
  sum(if(
    NOT is_repeat AND event_type = 'purchase' AND currency IN ('', {currency:String}),
    toDecimal128(price, 4) * quantity, toDecimal128(0, 4)
  )) AS late_revenue
FROM (
  SELECT *,
    (visitor_id, event_id) IN (SELECT visitor_id, event_id FROM events WHERE amendment_id = '')
      OR row_number() OVER (PARTITION BY visitor_id, event_id ORDER BY offset) > 1 AS is_repeat
  FROM late_events FINAL
  WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
)
GROUP BY day
ORDER BY day
