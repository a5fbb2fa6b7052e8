CREATE OR REPLACE VIEW recsys.rejected_rows AS
SELECT ingest_id, file, line, content, reason
FROM recsys_store.rejected_rows;

COMMENT ON VIEW recsys.rejected_rows IS 'Rows of files that were not loaded, and why';
COMMENT ON COLUMN recsys.rejected_rows.ingest_id IS 'The ingest that read it';
COMMENT ON COLUMN recsys.rejected_rows.file IS 'File name';
COMMENT ON COLUMN recsys.rejected_rows.line IS 'Line in the file, from 1';
COMMENT ON COLUMN recsys.rejected_rows.content IS 'The row, cut to 500 characters';
COMMENT ON COLUMN recsys.rejected_rows.reason IS 'Why it was not loaded';
