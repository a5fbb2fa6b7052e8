CREATE OR REPLACE VIEW recsys.publications AS
SELECT publication_id, run_id, action, published_at, reason, published_by
FROM recsys_store.publications;

COMMENT ON VIEW recsys.publications IS 'Log of publications; the last entry is the current one';
COMMENT ON COLUMN recsys.publications.publication_id IS 'Number of the entry, ascending';
COMMENT ON COLUMN recsys.publications.run_id IS 'The run published from then on; NULL: nothing';
COMMENT ON COLUMN recsys.publications.action IS 'publish, rollback or withdraw';
COMMENT ON COLUMN recsys.publications.published_at IS 'When it was published or withdrawn';
COMMENT ON COLUMN recsys.publications.reason IS 'Reason, if one was given';
COMMENT ON COLUMN recsys.publications.published_by IS 'Database role that did it';
