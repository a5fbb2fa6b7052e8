-- Question: Which rows of our files were rejected, and why?
-- Read off: One row for each file and reason, with an example. If one reason grows, the file's
--   format has changed, and the rest of the file may be wrong as well. rejected is the number
--   of all rejected rows of the ingest; the first 10,000 of each file are kept and counted here.
-- Change: All ingests; recsys.rejected_rows has the rows.
SELECT
    i.ingest_id, i.edition, i.rejected, r.file, regexp_replace(r.reason, '[0-9.]+', 'N', 'g') AS why,
    count(*) AS rows, min(r.line) AS first_line,
    (array_agg(r.content ORDER BY r.line))[1] AS for_example
FROM recsys.rejected_rows AS r
JOIN recsys.ingests AS i ON i.ingest_id = r.ingest_id
GROUP BY i.ingest_id, i.edition, i.rejected, r.file, why
ORDER BY i.ingest_id DESC, rows DESC, r.file, why;
