-- What was sold, in which currency, day by day? Unlike currencies are never added.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {currency:String} = USD  The reporting currency: purchases without one are in it

SELECT
  toDate(event_ts) AS day,
  if(currency = '', {currency:String}, currency) AS sold_in,
  count() AS purchases,
  uniqExact(visitor_id) AS buyers,
  sum(quantity) AS units,
  sum(toDecimal128(price, 4) * quantity) AS revenue,
  max(toDecimal128(price, 4) * quantity) AS largest_purchase
FROM events
WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND event_type = 'purchase'
GROUP BY day, sold_in
ORDER BY day, revenue DESC, sold_in
