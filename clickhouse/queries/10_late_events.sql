-- What came too late to count, how late, and what money was in it?
--
-- By the day on which it happened. Late events are in no session and no figure of that day, until an amendment folds them in. A
-- sender that repeats what is there already is late too: such a repeat has the visitor and event_id of a record before it, accepted or
-- late, and a time at most an hour from its own, as late_repeat of daily_metrics counts it. It costs nothing. Only the hours around
-- late events are read.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive
-- {currency:String} = USD  The reporting currency of this installation

WITH
  asked AS (SELECT * FROM late_events FINAL WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date}),
  repeats AS (
    SELECT l.partition, l.offset
    FROM asked AS l
    INNER JOIN (
      SELECT visitor_id, event_id, event_ts, offset FROM events_raw
      WHERE toDate(event_ts) IN (SELECT toDate(event_ts + toIntervalHour(arrayJoin([-1, 1]))) FROM asked)
        AND toStartOfHour(event_ts) IN (SELECT toStartOfHour(event_ts) + toIntervalHour(arrayJoin([-1, 0, 1])) FROM asked)
        AND visitor_id IN (SELECT visitor_id FROM asked) AND event_id IN (SELECT event_id FROM asked)
      UNION ALL
      SELECT visitor_id, event_id, event_ts, offset FROM late_events
      WHERE toDate(event_ts) BETWEEN {from:Date} - 1 AND {to:Date} + 1 AND event_id IN (SELECT event_id FROM asked)
    ) AS earlier ON l.visitor_id = earlier.visitor_id AND l.event_id = earlier.event_id
    WHERE earlier.offset < l.offset AND abs(dateDiff('millisecond', earlier.event_ts, l.event_ts)) <= 3600000
  )
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
FROM (SELECT *, (partition, offset) IN (SELECT partition, offset FROM repeats) AS is_repeat FROM asked)
GROUP BY day
ORDER BY day
