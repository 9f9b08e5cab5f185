-- What analysts read of the KPIs: flat, in the reporting time zone and currency, with the bots and without. Division by zero is 0.
-- A filter on metric_date prunes the partitions of the tables below.

CREATE VIEW IF NOT EXISTS {database}.daily_metrics (
  metric_date Date COMMENT 'Day of the reporting time zone',
  segment LowCardinality(String) COMMENT 'all; clean: without the sessions of bots; flagged: only those',
  total_clicks UInt64 COMMENT 'Events of type view or click on the day',
  total_purchases UInt64 COMMENT 'Events of type purchase on the day',
  unique_visitors UInt64 COMMENT 'Different visitors with an event on the day',
  unique_items UInt64 COMMENT 'Different items with an event on the day',
  total_revenue Decimal(38, 4) COMMENT 'Purchases of the day in the reporting currency',
  revenue_by_currency Map(String, Decimal(38, 4)) COMMENT 'Purchases of the day in other currencies; never added to the others',
  avg_order_value Decimal(38, 4) COMMENT 'total_revenue / total_purchases',
  sessions UInt64 COMMENT 'Sessions that started on the day',
  conversion_rate Float64 COMMENT 'Of the sessions, the share with a purchase, 0 to 1',
  avg_session_duration_sec Float64 COMMENT 'Of the sessions',
  avg_clicks_per_session Float64 COMMENT 'Of the sessions',
  bounce_rate Float64 COMMENT 'Of the sessions, the share with one event, 0 to 1',
  late_events UInt64 COMMENT 'Events of the day that came too late; they count in nothing else. In flagged only those of visitors that a person called a bot',
  late_revenue Decimal(38, 4) COMMENT 'Their purchases in the reporting currency',
  status LowCardinality(String) COMMENT 'provisional; settled: its events are decided; final: its sessions are closed too',
  open_sessions UInt64 COMMENT 'Sessions that can still grow; they keep a settled day from being final',
  verdicts UInt64 COMMENT 'Verdicts of persons that touched the day: they may change a final one',
  time_zone LowCardinality(String) COMMENT 'The reporting time zone',
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When the figures were computed'
) AS SELECT
  metric_date, segment, total_clicks, total_purchases, unique_visitors, unique_items, total_revenue, revenue_by_currency,
  if(total_purchases = 0, toDecimal128(0, 4), total_revenue / greatest(total_purchases, 1)) AS avg_order_value, sessions,
  purchase_sessions / greatest(sessions, 1) AS conversion_rate, duration_ms / 1000 / greatest(sessions, 1) AS avg_session_duration_sec,
  session_clicks / greatest(sessions, 1) AS avg_clicks_per_session, bounces / greatest(sessions, 1) AS bounce_rate, late_events,
  late_revenue, status, open_sessions, verdicts, time_zone, refreshed_at
FROM {database}.daily_metrics_raw FINAL
WHERE time_zone = (SELECT time_zone FROM {database}.reporting)
COMMENT 'Figures of each day';

CREATE VIEW IF NOT EXISTS {database}.session_funnel (
  metric_date Date COMMENT 'Day on which the sessions started, in the reporting time zone',
  segment LowCardinality(String) COMMENT 'all, clean or flagged',
  stage LowCardinality(String) COMMENT 'VIEW: a click or more; MULTI_VIEW: two or more; ADD_TO_CART, left out on days without any; PURCHASE',
  session_count UInt64 COMMENT 'Sessions that reached it',
  percentage Float64 COMMENT 'Of VIEW, 0 to 100',
  drop_rate Float64 COMMENT '1 - session_count / that of the stage before',
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When the figures were computed'
) AS SELECT
  metric_date, segment, x.1 AS stage, x.2 AS session_count, 100 * x.2 / greatest(view_sessions, 1) AS percentage,
  if(x.3 = 0, 0, 1 - x.2 / x.3) AS drop_rate, refreshed_at
FROM {database}.daily_metrics_raw FINAL
ARRAY JOIN arrayFilter(y -> y.1 != 'ADD_TO_CART' OR y.2 > 0, [
  ('VIEW', view_sessions, view_sessions), ('MULTI_VIEW', multi_view_sessions, view_sessions),
  ('ADD_TO_CART', cart_sessions, multi_view_sessions), ('PURCHASE', purchase_sessions, if(cart_sessions > 0, cart_sessions, multi_view_sessions))
]) AS x
WHERE time_zone = (SELECT time_zone FROM {database}.reporting)
COMMENT 'How far the sessions of each day came';

CREATE VIEW IF NOT EXISTS {database}.hourly_traffic (
  metric_date Date COMMENT 'Day of the reporting time zone',
  segment LowCardinality(String) COMMENT 'all, clean or flagged',
  hour_start DateTime('UTC') COMMENT 'First instant of the hour; days of 23 or 25 hours have as many rows at most',
  local_hour UInt8 COMMENT 'Hour on the clock of the reporting time zone',
  clicks UInt64 COMMENT 'Events of type view or click',
  purchases UInt64 COMMENT 'Events of type purchase',
  unique_visitors UInt64 COMMENT 'Different visitors',
  revenue Decimal(38, 4) COMMENT 'Purchases in the reporting currency',
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When the figures were computed'
) AS SELECT
  metric_date, segment, h.hour_start AS hour_start, toHour(h.hour_start, (SELECT time_zone FROM {database}.reporting)) AS local_hour,
  h.clicks AS clicks, h.purchases AS purchases, h.unique_visitors AS unique_visitors, h.revenue AS revenue, refreshed_at
FROM {database}.daily_metrics_raw FINAL
ARRAY JOIN hours AS h
WHERE time_zone = (SELECT time_zone FROM {database}.reporting)
COMMENT 'Events by hour; hours without any have no row';

CREATE VIEW IF NOT EXISTS {database}.popular_items (
  metric_date Date COMMENT 'Day of the reporting time zone',
  segment LowCardinality(String) COMMENT 'all, clean or flagged',
  rank UInt32 COMMENT 'By revenue, then clicks, then item_id; the first thousand of a day',
  item_id String COMMENT 'The item',
  category String COMMENT 'Its most frequent one that day; empty when it came with none',
  clicks UInt64 COMMENT 'Events of type view or click',
  purchases UInt64 COMMENT 'Events of type purchase',
  unique_visitors UInt64 COMMENT 'Different visitors with an event on it',
  revenue Decimal(38, 4) COMMENT 'Purchases in the reporting currency',
  click_to_purchase_ratio Float64 COMMENT 'purchases / clicks',
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When the figures were computed'
) AS SELECT
  metric_date, segment, rank, i.name AS item_id, i.category AS category, i.clicks AS clicks, i.purchases AS purchases,
  i.unique_visitors AS unique_visitors, i.revenue AS revenue, if(i.clicks = 0, 0, i.purchases / i.clicks) AS click_to_purchase_ratio,
  refreshed_at
FROM {database}.popular_raw FINAL
ARRAY JOIN items AS i, arrayEnumerate(items) AS rank
WHERE time_zone = (SELECT time_zone FROM {database}.reporting)
COMMENT 'The items of each day by rank';

CREATE VIEW IF NOT EXISTS {database}.popular_categories (
  metric_date Date COMMENT 'Day of the reporting time zone',
  segment LowCardinality(String) COMMENT 'all, clean or flagged',
  rank UInt32 COMMENT 'By revenue, then clicks, then category; the first thousand of a day',
  category String COMMENT 'The category',
  clicks UInt64 COMMENT 'Events of type view or click',
  purchases UInt64 COMMENT 'Events of type purchase',
  unique_visitors UInt64 COMMENT 'Different visitors with an event in it',
  revenue Decimal(38, 4) COMMENT 'Purchases in the reporting currency',
  click_to_purchase_ratio Float64 COMMENT 'purchases / clicks',
  refreshed_at DateTime64(3, 'UTC') COMMENT 'When the figures were computed'
) AS SELECT
  metric_date, segment, rank, c.name AS category, c.clicks AS clicks, c.purchases AS purchases, c.unique_visitors AS unique_visitors,
  c.revenue AS revenue, if(c.clicks = 0, 0, c.purchases / c.clicks) AS click_to_purchase_ratio, refreshed_at
FROM {database}.popular_raw FINAL
ARRAY JOIN categories AS c, arrayEnumerate(categories) AS rank
WHERE time_zone = (SELECT time_zone FROM {database}.reporting)
COMMENT 'The categories of each day by rank';

-- Zero everywhere: the KPIs say what events, sessions, verdicts and checkpoints say.
CREATE VIEW IF NOT EXISTS {database}.kpi_backlog (
  stage LowCardinality(String) COMMENT 'What waits',
  waiting UInt64 COMMENT 'How many quarters, days or checkpoints'
) AS
WITH
  (SELECT argMax((partitions, offsets, written_at), pass) FROM {database}.kpi_frontier) AS frontier,
  (SELECT argMax((if(length(partitions) = log_partitions, greatest(arrayMin(decided_ms), 0), 0), closed_ms), pass) FROM {database}.kpi_frontier) AS newest
SELECT 'checkpoints' AS stage, countIf(offset > frontier.2[indexOf(frontier.1, partition)]) AS waiting
FROM {database}.checkpoints WHERE written_at >= frontier.3 - INTERVAL 1 HOUR
UNION ALL
SELECT 'passes', toUInt64(ifNull(
  (SELECT argMax((decided_ms, closed_ms, next_decided_ms, next_closed_ms), plan) FROM {database}.session_plans WHERE quarter = toDateTime(0, 'UTC')) !=
    (newest.1, newest.2, newest.1, newest.2)
  OR (SELECT argMax((decided_ms, next_decided_ms), plan) FROM {database}.event_plans WHERE quarter = toDateTime(0, 'UTC')) != (newest.1, newest.1),
  false
))
UNION ALL
SELECT 'session quarters to plan', count()
FROM {database}.touched_quarters AS t
LEFT JOIN (SELECT quarter, touched FROM {database}.session_plans FINAL) AS p ON t.quarter = p.quarter
WHERE t.kind = 'sessions' AND t.touched != p.touched
UNION ALL
SELECT 'session quarters to compute', count()
FROM {database}.session_plans AS p FINAL
LEFT JOIN (SELECT quarter, plan FROM {database}.session_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
WHERE p.quarter != toDateTime(0, 'UTC') AND p.plan != s.plan
UNION ALL
SELECT 'session quarters to close', count()
FROM {database}.session_quarters FINAL
WHERE open_sessions > 0 AND arrayExists(p -> newest.2[indexOf(frontier.1, p)] > open_ends[p], mapKeys(open_ends))
UNION ALL
SELECT 'event quarters to plan', count()
FROM (SELECT quarter, touched FROM {database}.touched_quarters WHERE kind = 'events') AS t
FULL JOIN {database}.quarter_flags AS f ON t.quarter = f.quarter
LEFT JOIN (SELECT quarter, touched, flags FROM {database}.event_plans FINAL) AS p
  ON if(t.quarter = toDateTime(0, 'UTC'), f.quarter, t.quarter) = p.quarter
WHERE t.touched != p.touched OR f.flags != p.flags
UNION ALL
SELECT 'event quarters to compute', count()
FROM {database}.event_plans AS p FINAL
LEFT JOIN (SELECT quarter, plan FROM {database}.event_quarters FINAL WHERE segment = 'clean') AS s ON p.quarter = s.quarter
WHERE p.quarter != toDateTime(0, 'UTC') AND p.plan != s.plan
UNION ALL
SELECT 'days', count() FROM {database}.due_days
UNION ALL
SELECT 'rankings', count() FROM {database}.due_popular_days
COMMENT 'What the KPIs have yet to take in';
