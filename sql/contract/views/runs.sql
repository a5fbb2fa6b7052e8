CREATE OR REPLACE VIEW recsys.runs AS
SELECT
    r.run_id,
    r.state,
    EXISTS (SELECT FROM recsys_store.published AS p WHERE p.run_id = r.run_id) AS published,
    r.started_at,
    r.finished_at,
    extract(epoch FROM r.finished_at - r.started_at)::double precision AS seconds,
    d.name AS default_model,
    r.seed,
    r.parameters,
    r.versions,
    r.snapshot_at,
    r.ratings_count,
    r.users_count,
    r.movies_count,
    r.snapshot_checksum,
    r.output_checksum,
    r.peak_memory_mb,
    r.pruned_at,
    r.error,
    c.name AS cold_start,
    k.name AS rating_model,
    r.rating_min,
    r.rating_max,
    r.kind,
    r.refused,
    CASE WHEN r.kind = 'refresh' THEN r.scope END AS scope,
    r.base_run_id,
    (
        SELECT i.edition FROM recsys_store.ingests AS i
        WHERE i.finished_at <= r.snapshot_at
        ORDER BY i.ingest_id DESC
        LIMIT 1
    ) AS edition
FROM recsys_store.runs AS r
LEFT JOIN recsys_store.models AS d ON d.model_id = r.default_model_id
LEFT JOIN recsys_store.models AS c ON c.model_id = r.cold_start_model_id
LEFT JOIN recsys_store.models AS k ON k.model_id = r.rating_model_id;

COMMENT ON VIEW recsys.runs IS 'Every refresh and every evaluation, with its snapshot, parameters and outcome';
COMMENT ON COLUMN recsys.runs.run_id IS 'Number of the run, ascending';
COMMENT ON COLUMN recsys.runs.state IS 'running, complete or failed';
COMMENT ON COLUMN recsys.runs.published IS 'Whether readers see this run now';
COMMENT ON COLUMN recsys.runs.started_at IS 'When it started';
COMMENT ON COLUMN recsys.runs.finished_at IS 'When it completed or failed';
COMMENT ON COLUMN recsys.runs.seconds IS 'How long it took';
COMMENT ON COLUMN recsys.runs.default_model IS 'Model used when none is named';
COMMENT ON COLUMN recsys.runs.seed IS 'Seed of all randomness in it';
COMMENT ON COLUMN recsys.runs.parameters IS 'Models with their parameters, neighbours kept, list length';
COMMENT ON COLUMN recsys.runs.versions IS 'Versions of the code and its libraries';
COMMENT ON COLUMN recsys.runs.snapshot_at IS 'Time of its snapshot of the database';
COMMENT ON COLUMN recsys.runs.ratings_count IS 'Ratings it read';
COMMENT ON COLUMN recsys.runs.users_count IS 'Users it read';
COMMENT ON COLUMN recsys.runs.movies_count IS 'Movies it read';
COMMENT ON COLUMN recsys.runs.snapshot_checksum IS 'sha256 of the snapshot';
COMMENT ON COLUMN recsys.runs.output_checksum IS 'sha256 of its results';
COMMENT ON COLUMN recsys.runs.peak_memory_mb IS 'Highest resident memory of the process, MiB';
COMMENT ON COLUMN recsys.runs.pruned_at IS 'When its results were dropped; NULL: they are kept';
COMMENT ON COLUMN recsys.runs.error IS 'Why it failed';
COMMENT ON COLUMN recsys.runs.cold_start IS 'Chart for users without ratings';
COMMENT ON COLUMN recsys.runs.rating_model IS 'Model that predicts ratings when none is named';
COMMENT ON COLUMN recsys.runs.rating_min IS 'Lowest rating of the scale it read';
COMMENT ON COLUMN recsys.runs.rating_max IS 'Highest rating of the scale it read';
COMMENT ON COLUMN recsys.runs.kind IS 'refresh: computed results; evaluation: measured models, see recsys.run_metrics';
COMMENT ON COLUMN recsys.runs.refused IS 'Why the publish gate refused it; NULL: it did not';
COMMENT ON COLUMN recsys.runs.scope IS 'full: all configured models; models: some of them, to try them out, never published; users: new lists for users whose ratings changed; NULL: an evaluation';
COMMENT ON COLUMN recsys.runs.base_run_id IS 'For scope users: the full run whose other results it reuses';
COMMENT ON COLUMN recsys.runs.edition IS 'Data set it read: figures of different ones do not compare; NULL: it read none, or one that no ingest loaded';
