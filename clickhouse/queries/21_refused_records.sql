-- What did senders get wrong? Records that became no event, by reason, with an example to act on.
--
-- Rejected: the time cannot be. Dead-lettered: not readable as an event; the bytes are kept in dead_letters.value and can be
-- replayed. Days are those of the append time.
--
-- {from:Date} = 2000-01-01  First day, inclusive, UTC
-- {to:Date} = 2100-01-01  Last day, inclusive. The defaults take everything: name days on a large database

SELECT
  outcome,
  reason,
  count() AS records,
  min(appended_at) AS first_seen,
  max(appended_at) AS last_seen,
  argMax(detail, (appended_at, offset)) AS newest_detail
FROM (
  SELECT 'rejected' AS outcome, reason, detail, appended_at, offset FROM rejected_records FINAL
  WHERE toDate(appended_at) BETWEEN {from:Date} AND {to:Date}
  UNION ALL
  SELECT 'dead-lettered' AS outcome, reason, detail, appended_at, offset FROM dead_letters FINAL
  WHERE toDate(appended_at) BETWEEN {from:Date} AND {to:Date}
)
GROUP BY outcome, reason
ORDER BY records DESC, outcome, reason
