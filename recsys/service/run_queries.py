"""Queries of the SQL contract for what is known of runs."""

RUNS = """
SELECT
    run_id, kind, scope, base_run_id, state, published, refused, started_at, seconds,
    ratings_count,
    ARRAY(SELECT jsonb_object_keys(parameters -> 'models') AS name ORDER BY name) AS models,
    recsys.run_size(run_id) AS run_size, pruned_at
FROM recsys.runs
ORDER BY run_id DESC
LIMIT CAST(:n AS integer)
"""
RUN = """
SELECT
    run_id, kind, scope, base_run_id, state, published, refused, error, started_at,
    finished_at, seconds, default_model, cold_start, rating_model, seed, parameters, versions,
    snapshot_at, ratings_count, users_count, movies_count, rating_min, rating_max,
    snapshot_checksum, output_checksum, peak_memory_mb, pruned_at,
    recsys.run_size(run_id) AS run_size
FROM recsys.runs
WHERE run_id = :run_id
"""
STAGES = """
SELECT position, stage, started_at, seconds, rows, peak_memory_mb
FROM recsys.run_stages
WHERE run_id = :run_id
ORDER BY position
"""
METRICS = """
SELECT model, protocol, metric, segment, value, ci_low, ci_high, n
FROM recsys.run_metrics
WHERE run_id = :run_id
ORDER BY model, protocol, metric, segment
"""
PUBLICATIONS = """
SELECT publication_id, action, published_at, reason, published_by
FROM recsys.publications
WHERE run_id = :run_id
ORDER BY publication_id
"""
COMPARE = """
SELECT part, model, protocol, metric, segment, value_a, value_b, value, n
FROM recsys.compare_runs(CAST(:a AS integer), CAST(:b AS integer), CAST(:k AS integer))
"""
FRESHNESS = """
SELECT
    artefact, run_id, published_at,
    CAST(extract(epoch FROM age) AS double precision) AS age_seconds,
    CAST(extract(epoch FROM max_age) AS double precision) AS max_age_seconds,
    {ratings_since} AS ratings_since, last_attempt_at, last_error, consecutive_failures, stale
FROM recsys.freshness
ORDER BY artefact
"""
VERIFY = """
SELECT model, users, stored, recomputed, missing, extra, run_id
FROM recsys.verify_lists(CAST(:run_id AS integer), CAST(:users AS integer))
ORDER BY model
"""
