/**
 * Which late records only repeat one before them, by the audit's own words: the same visitor and event_id, accepted or late at a
 * lesser offset, with a time at most an hour away.
 */

/** A repeat's time is at most so far from that of what it repeats. */
export const repeatMs = 3_600_000

/** SQL: partition and offset of the repeats among the late events for which `condition` holds. */
export const repeatedSql = (condition: string): string => `
  SELECT partition, offset FROM (
    SELECT partition, offset, is_late, arrayExists(
      other -> other.1 < offset AND abs(other.2 - ts) <= ${repeatMs},
      groupArray((offset, ts)) OVER (PARTITION BY visitor_id, event_id)
    ) AS repeats
    FROM (
      SELECT visitor_id, event_id, partition, offset, toUnixTimestamp64Milli(event_ts) AS ts, true AS is_late FROM late_events FINAL
      WHERE (visitor_id, event_id) IN (SELECT visitor_id, event_id FROM late_events WHERE ${condition})
      UNION ALL
      SELECT visitor_id, event_id, partition, offset, toUnixTimestamp64Milli(event_ts) AS ts, false AS is_late FROM events_raw FINAL
      WHERE (visitor_id, event_id) IN (SELECT visitor_id, event_id FROM late_events WHERE ${condition})
        AND toDate(event_ts) IN (SELECT toDate(event_ts) + arrayJoin([-1, 0, 1]) FROM late_events WHERE ${condition})
    )
  ) WHERE is_late AND repeats`
