-- Where do shoppers drop out, by category?
--
-- A session is in a stage when it has such an event about an item of the category, in this order: first a click, later a cart,
-- later a purchase. Rates are shares of the stage before.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  category,
  countIf(level >= 1) AS viewed,
  countIf(level >= 2) AS added_to_cart,
  countIf(level >= 3) AS purchased,
  round(added_to_cart / viewed, 4) AS cart_rate,
  if(added_to_cart = 0, 0, round(purchased / added_to_cart, 4)) AS purchase_rate
FROM (
  SELECT
    category,
    session_id,
    -- A session lasts as long as it lasts: a window of a year, in ms, is never the reason that a step is missing.
    windowFunnel(31536000000)(
      toUInt64(toUnixTimestamp64Milli(event_ts)),
      event_type IN ('view', 'click'), event_type = 'add_to_cart', event_type = 'purchase'
    ) AS level
  FROM events
  WHERE toDate(event_ts) BETWEEN {from:Date} AND {to:Date} AND category != ''
  GROUP BY category, session_id
)
GROUP BY category
HAVING viewed > 0
ORDER BY viewed DESC, category
