CREATE OR REPLACE VIEW recsys.rejected_rows AS
SELECT ingest_id, file, line, content, reason
FROM recsys_store.rejected_rows;

COMMENT ON VIEW recsys.rejected_rows IS 'Rows of files that were not loaded, and why: the first 10,000 of each file of an ingest; recsys.ingests.rejected counts them all';
COMMENT ON COLUMN recsys.rejected_rows.ingest_id IS 'The ingest that read it';
COMMENT ON COLUMN recsys.rejected_rows.file IS 'File name';
COMMENT ON COLUMN recsys.rejected_rows.line IS 'Line in the file, from 1';
COMMENT ON COLUMN recsys.rejected_rows.content IS 'The row, cut to 500 characters; control characters are escaped, as \x1b';
COMMENT ON COLUMN recsys.rejected_rows.reason IS 'Why it was not loaded';
