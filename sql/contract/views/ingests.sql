CREATE OR REPLACE VIEW recsys.ingests AS
SELECT
    ingest_id, kind, edition, dialect, source, files, on_duplicate, replaced,
    rating_min, rating_max, rating_step, started_at, finished_at,
    rows_read, inserted, updated, unchanged, duplicates, rejected, feedback, removed
FROM recsys_store.ingests;

COMMENT ON VIEW recsys.ingests IS 'Every finished ingest; a failed ingest changes nothing and is not listed';
COMMENT ON COLUMN recsys.ingests.ingest_id IS 'Number of the ingest, ascending';
COMMENT ON COLUMN recsys.ingests.kind IS 'ratings: movies, users, ratings, tags; metadata: descriptions of movies';
COMMENT ON COLUMN recsys.ingests.edition IS 'The data set; a database holds one edition';
COMMENT ON COLUMN recsys.ingests.dialect IS 'File format; sql: queries, see recsys sync';
COMMENT ON COLUMN recsys.ingests.source IS 'Folder, archive or name that was ingested';
COMMENT ON COLUMN recsys.ingests.files IS 'Name, bytes and sha256 of each file read; of a sync: of each query, with its columns';
COMMENT ON COLUMN recsys.ingests.on_duplicate IS 'How ratings of one (user, movie) pair were resolved';
COMMENT ON COLUMN recsys.ingests.replaced IS 'Whether it replaced the earlier data';
COMMENT ON COLUMN recsys.ingests.rating_min IS 'Lowest rating of the format, if it has one';
COMMENT ON COLUMN recsys.ingests.rating_max IS 'Highest rating of the format, if it has one';
COMMENT ON COLUMN recsys.ingests.rating_step IS 'Distance between two ratings, if fixed';
COMMENT ON COLUMN recsys.ingests.started_at IS 'When it started';
COMMENT ON COLUMN recsys.ingests.finished_at IS 'When it finished';
COMMENT ON COLUMN recsys.ingests.rows_read IS 'Data rows of all files';
COMMENT ON COLUMN recsys.ingests.inserted IS 'Rows new to the database';
COMMENT ON COLUMN recsys.ingests.updated IS 'Rows that changed';
COMMENT ON COLUMN recsys.ingests.unchanged IS 'Rows that were already present and did not change';
COMMENT ON COLUMN recsys.ingests.duplicates IS 'Ratings merged into another one of the same pair';
COMMENT ON COLUMN recsys.ingests.rejected IS 'Rows not loaded; recsys.rejected_rows has the first 10,000 of each file';
COMMENT ON COLUMN recsys.ingests.feedback IS 'explicit: people rated; implicit: what they did was counted; NULL for metadata';
COMMENT ON COLUMN recsys.ingests.removed IS 'Rows that a sync deleted because the source no longer has them';
