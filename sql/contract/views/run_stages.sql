CREATE OR REPLACE VIEW recsys.run_stages AS
SELECT run_id, position, stage, started_at, seconds, rows, peak_memory_mb
FROM recsys_store.run_stages;

COMMENT ON VIEW recsys.run_stages IS 'Stages of runs with timings and row counts';
COMMENT ON COLUMN recsys.run_stages.run_id IS 'The run';
COMMENT ON COLUMN recsys.run_stages.position IS 'Order within the run, from 1';
COMMENT ON COLUMN recsys.run_stages.stage IS 'read, the name of a model, write, index';
COMMENT ON COLUMN recsys.run_stages.started_at IS 'When the stage started';
COMMENT ON COLUMN recsys.run_stages.seconds IS 'How long it took';
COMMENT ON COLUMN recsys.run_stages.rows IS 'Rows read, computed or written';
COMMENT ON COLUMN recsys.run_stages.peak_memory_mb IS 'Highest resident memory of the process up to its end, MiB';
