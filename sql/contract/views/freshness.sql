CREATE OR REPLACE VIEW recsys.freshness AS
WITH current_run AS (
    SELECT
        r.run_id,
        r.shared_run_id,
        r.snapshot_at,
        r.max_age,
        now() - r.snapshot_at AS age,
        (
            SELECT l.published_at FROM recsys_store.publications AS l
            WHERE l.run_id = r.run_id
            ORDER BY l.publication_id DESC
            LIMIT 1
        ) AS published_at
    FROM recsys_store.published AS p
    JOIN recsys_store.runs AS r ON r.run_id = p.run_id
),
attempts AS (
    SELECT
        r.run_id,
        r.started_at,
        -- A run that the gate refused may have been published by hand.
        CASE
            WHEN NOT EXISTS (SELECT FROM recsys_store.publications AS l WHERE l.run_id = r.run_id)
                THEN coalesce(r.error, r.refused)
        END AS error
    FROM recsys_store.runs AS r
    -- Runs that try out some models are never published and are left out.
    WHERE r.kind = 'refresh' AND r.state <> 'running' AND r.scope <> 'models'
),
last_attempt AS (
    SELECT a.run_id, a.started_at, a.error FROM attempts AS a ORDER BY a.run_id DESC LIMIT 1
),
artefacts AS (
    SELECT a.name, bool_or(h.partition IS NOT NULL) AS in_run
    FROM (
        VALUES
            ('recommendations', 'user_recommendations'),
            ('similar_movies', 'movie_similarities'),
            ('similar_users', 'user_similarities'),
            ('charts', 'movie_charts'),
            ('factors', 'user_factors'),
            ('factors', 'movie_factors')
    ) AS a (name, stored_in)
    LEFT JOIN (
        SELECT t.relname AS stored_in, c.relname AS partition
        FROM pg_inherits AS i
        JOIN pg_class AS t ON t.oid = i.inhparent
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE t.relnamespace = 'recsys_store'::regnamespace
          AND c.relname IN (
              SELECT t.relname || '_run_' || k.run_id FROM current_run AS k
              UNION ALL
              SELECT t.relname || '_run_' || k.shared_run_id FROM current_run AS k
          )
    ) AS h ON h.stored_in = a.stored_in
    GROUP BY a.name
)
SELECT
    a.name AS artefact,
    c.run_id,
    c.published_at,
    c.snapshot_at,
    c.age,
    -- Without a reference to the row, so that it is computed once and only if selected.
    CASE
        WHEN EXISTS (
            SELECT FROM recsys_store.run_users AS u WHERE u.run_id IN (c.run_id, c.shared_run_id)
        ) THEN (
            SELECT coalesce(sum(
                greatest(1, o.ratings_count - coalesce(u.ratings_count, 0), o.rated_since)
            ), 0)
            FROM (
                SELECT
                    g.user_id,
                    count(*) AS ratings_count,
                    count(*) FILTER (
                        WHERE g.rated_at > (SELECT k.snapshot_at FROM current_run AS k)
                    ) AS rated_since,
                    bit_xor(recsys.rating_hash(g.movie_id, g.rating)) AS ratings_hash
                FROM recsys_store.ratings AS g
                GROUP BY g.user_id
            ) AS o
            FULL JOIN (
                SELECT s.user_id, s.ratings_count, s.ratings_hash
                FROM recsys_store.run_users AS s
                WHERE s.ratings_count > 0 AND (
                    s.run_id = (SELECT k.run_id FROM current_run AS k)
                    OR s.run_id = (SELECT k.shared_run_id FROM current_run AS k) AND NOT EXISTS (
                        SELECT FROM recsys_store.run_users AS n
                        WHERE n.run_id = (SELECT k.run_id FROM current_run AS k)
                          AND n.user_id = s.user_id
                    )
                )
            ) AS u ON u.user_id = o.user_id
            WHERE o.ratings_hash IS DISTINCT FROM u.ratings_hash
        )
    END::bigint AS ratings_since,
    t.started_at AS last_attempt_at,
    t.run_id AS last_attempt_run_id,
    t.error AS last_error,
    (
        SELECT count(*) FROM attempts AS f
        WHERE f.error IS NOT NULL
          AND f.run_id > coalesce((SELECT max(l.run_id) FROM recsys_store.publications AS l), 0)
    )::integer AS consecutive_failures,
    c.max_age,
    c.run_id IS NULL OR coalesce(c.age > c.max_age, false) AS stale
FROM artefacts AS a
LEFT JOIN current_run AS c ON true
LEFT JOIN last_attempt AS t ON true
WHERE a.in_run OR NOT (SELECT bool_or(b.in_run) FROM artefacts AS b);

COMMENT ON VIEW recsys.freshness IS 'Age of the published results, one row for each artefact of the published run. If nothing is published: one row for each possible artefact, all stale';
COMMENT ON COLUMN recsys.freshness.artefact IS 'recommendations, similar_movies, similar_users, charts or factors';
COMMENT ON COLUMN recsys.freshness.run_id IS 'The published run; NULL: nothing is published';
COMMENT ON COLUMN recsys.freshness.published_at IS 'When it was published, including by a rollback';
COMMENT ON COLUMN recsys.freshness.snapshot_at IS 'Time of its snapshot of the database';
COMMENT ON COLUMN recsys.freshness.age IS 'Time since then';
COMMENT ON COLUMN recsys.freshness.ratings_since IS 'Ratings given since the snapshot: over all users whose ratings changed, counted as in recsys.user_status, at least one each. NULL for runs from before this was recorded. Reads every rating; omit the column if age and failures are enough';
COMMENT ON COLUMN recsys.freshness.last_attempt_at IS 'When the last finished refresh started, published or not; a refresh of some models only does not count, here and below';
COMMENT ON COLUMN recsys.freshness.last_attempt_run_id IS 'Its run';
COMMENT ON COLUMN recsys.freshness.last_error IS 'Why it failed, or why the gate refused it; NULL: it succeeded';
COMMENT ON COLUMN recsys.freshness.consecutive_failures IS 'Refreshes that failed or were refused since the newest run that was ever published';
COMMENT ON COLUMN recsys.freshness.max_age IS 'Age at which the run becomes stale: max_age_hours of recsys.toml when it was made; NULL: never';
COMMENT ON COLUMN recsys.freshness.stale IS 'Whether the run is older than max_age, or nothing is published';
