-- Who brought the money? Each purchase goes to the last outside referrer that its visitor came from, up to then.
--
-- The host of the last event with a referrer, at or before the purchase, within {days:UInt16} days; without one: direct.
-- Revenue is that of the reporting currency; purchases in others are only counted.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {days:UInt16} = 30  How far back a referrer may be
-- {currency:String} = USD  The reporting currency of this installation

SELECT
  if(age_ms > {days:UInt16} * 86400000 OR host = '', '(direct)', host) AS last_referrer,
  count() AS purchases,
  uniqExact(visitor_id) AS buyers,
  sum(if(currency IN ('', {currency:String}), toDecimal128(price, 4) * quantity, toDecimal128(0, 4))) AS revenue
FROM (
  SELECT
    visitor_id, event_ts, event_type, price, quantity, currency,
    -- Text that is no row's referrer is skipped: the newest tuple up to this event.
    max(if(referrer = '', (toDateTime64(0, 3, 'UTC'), toUInt64(0), ''), (event_ts, offset, domain(referrer)))) OVER (
      PARTITION BY visitor_id ORDER BY event_ts, offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS newest,
    newest.3 AS host,
    dateDiff('millisecond', newest.1, event_ts) AS age_ms
  FROM events
  WHERE toDate(event_ts) BETWEEN {from:Date} - {days:UInt16} AND {to:Date}
)
WHERE event_type = 'purchase' AND toDate(event_ts) BETWEEN {from:Date} AND {to:Date}
GROUP BY last_referrer
ORDER BY revenue DESC, purchases DESC, last_referrer
