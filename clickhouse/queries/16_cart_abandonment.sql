-- How many carts are left behind, and what was in them?
--
-- An item is left behind when it was put into the cart and not bought in the same session. Its value is price times quantity as
-- the cart event said, in the reporting currency; senders that give no price with the cart count 0.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {currency:String} = USD  The reporting currency of this installation

SELECT
  toDate(first_cart) AS day,
  uniqExact(session_id) AS sessions_with_cart,
  uniqExactIf(session_id, NOT bought) AS sessions_that_left_something,
  round(sessions_that_left_something / sessions_with_cart, 4) AS abandonment_rate,
  countIf(NOT bought) AS items_left,
  sumIf(value, NOT bought) AS value_left
FROM (
  SELECT
    session_id,
    item_id,
    minIf(event_ts, event_type = 'add_to_cart') AS first_cart,
    countIf(event_type = 'purchase') > 0 AS bought,
    sumIf(
      toDecimal128(price, 4) * quantity, event_type = 'add_to_cart' AND currency IN ('', {currency:String})
    ) AS value
  FROM events
  WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND event_type IN ('add_to_cart', 'purchase')
  GROUP BY session_id, item_id
  HAVING countIf(event_type = 'add_to_cart') > 0
)
GROUP BY day
ORDER BY day
