-- When do people come? Sessions by weekday and hour of their start, in a time zone of your choice.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database
-- {zone:String} = UTC  Any IANA zone, as Europe/Berlin

SELECT
  toDayOfWeek(local) AS weekday,
  toHour(local) AS hour,
  count() AS sessions,
  round(avg(duration_sec), 1) AS avg_duration_sec,
  round(countIf(purchases > 0) / count(), 4) AS conversion_rate
FROM (
  SELECT toDateTime(started_at, {zone:String}) AS local, duration_sec, purchases
  FROM sessions
  WHERE toDate(started_at) BETWEEN {from:Date} AND {to:Date}
)
GROUP BY weekday, hour
ORDER BY weekday, hour
