-- Question: What was loaded when, and what did each load change?
-- Read off: unchanged rows were already present; an ingest of the same files changes nothing.
--   duplicates were merged by the rule of on_duplicate.
SELECT
    i.ingest_id, i.kind, i.edition, i.dialect, i.finished_at, i.rows_read, i.inserted, i.updated,
    i.unchanged, i.duplicates, i.rejected, i.replaced
FROM recsys.ingests AS i
ORDER BY i.ingest_id DESC;
