CREATE OR REPLACE FUNCTION recsys.explain_rows(
    asked_user_id integer, asked_movie_id integer, asked_model text
)
RETURNS TABLE (
    because_movie_id integer, because_title text, rating double precision,
    weight double precision, similarity double precision, contribution double precision, share double precision,
    score double precision, source text, model text, exact boolean, shared_genres text[],
    shared_tags text[], run_id integer, because_movie_key text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET max_parallel_workers_per_gather = 0
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    asked record;
    user_run_id integer;
    changed boolean;
    rated integer[];
    given double precision[];
    rated_at timestamptz[];
    its record;  -- source, model, score, the model whose pairs lead there, how they add up
    weighed record;  -- what each rating counts
    because integer[];
    counts double precision[];
    similarities double precision[];
    parts double precision[];
    total double precision;
    its_genres smallint[];
    its_tags text[];
BEGIN
    PERFORM recsys.require_id('user_id', asked_user_id);
    PERFORM recsys.require_movie(asked_movie_id);
    SELECT a.* INTO asked FROM recsys.resolve_models(asked_model) AS a;
    IF NOT FOUND THEN
        PERFORM recsys.require_model(recsys.require_published(), asked_model);
    END IF;
    SELECT h.held_run_id, c.changed INTO user_run_id, changed
    FROM recsys.run_of_user(asked.run_id, asked.shared_run_id, asked_user_id) AS h
    CROSS JOIN LATERAL recsys.ratings_changed(h.held_run_id, asked_user_id) AS c;
    SELECT r.movie_ids, r.given, r.rated_at INTO rated, given, rated_at
    FROM recsys.current_ratings(asked_user_id) AS r;

    -- In the order of recommend: stored, live, by content, from the chart.
    FOR its IN
        SELECT
            'stored' AS source, m.name AS model, u.scores[p.place] AS score,
            CASE
                WHEN m.scoring IN ('sum', 'mean_product') OR n.own THEN m.model_id
                WHEN m.kind <> 'chart' THEN asked.live_id
            END AS via,
            CASE
                WHEN m.kind = 'chart' THEN 'none'
                WHEN m.scoring IN ('sum', 'mean_product') THEN m.scoring
                ELSE 'divided'
            END AS form
        FROM recsys_store.user_recommendations AS u
        CROSS JOIN LATERAL (
            SELECT array_position(u.movie_ids, asked_movie_id) AS place
        ) AS p
        JOIN recsys_store.models AS m
            ON m.model_id = coalesce(u.source_model_ids[p.place], u.model_id)
        CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM recsys_store.movie_similarities AS s
                WHERE s.run_id = asked.movies_run_id AND s.model_id = m.model_id
                  AND s.movie_id = asked_movie_id
            ) AS own
        ) AS n
        WHERE u.run_id = user_run_id AND u.model_id = asked.model_id
          AND u.user_id = asked_user_id AND p.place IS NOT NULL
          AND NOT (changed AND (asked.live_id IS NOT NULL OR asked.content_id = asked.model_id))
        UNION ALL
        SELECT
            CASE
                WHEN asked_model IS NOT NULL AND asked.live_id <> asked.model_id THEN 'substitute'
                ELSE 'live'
            END,
            asked.live, NULL, asked.live_id, asked.scoring
        WHERE asked.live_id IS NOT NULL
        UNION ALL
        SELECT 'content', asked.content, NULL, asked.content_id, 'content'
        WHERE asked.content_id IS NOT NULL
        UNION ALL
        SELECT
            CASE WHEN asked.chart_id = asked.model_id THEN 'stored' ELSE 'chart' END,
            asked.chart,
            NULL, NULL, 'none'
    LOOP
        SELECT w.* INTO weighed
        FROM recsys.rating_weights(asked.movies_run_id, its.model, rated, given, rated_at) AS w;
        SELECT
            array_agg(p.movie_id), array_agg(p.weight), array_agg(p.similarity), array_agg(p.part)
        INTO because, counts, similarities, parts
        FROM (
            -- Of a sum of several models, the mean similarity by the weights of the movie in them.
            SELECT
                q.movie_id, sum(q.weight) AS weight, sum(q.weight * q.similarity) AS part,
                CASE count(*)
                    WHEN 1 THEN min(q.similarity)
                    ELSE sum(q.weight * q.similarity) / sum(q.weight)
                END AS similarity
            FROM (
                SELECT
                    o.movie_id, o.similarity,
                    CASE its.form
                        WHEN 'content' THEN o.weight / (
                            SELECT sum(a.weight) FROM unnest(weighed.weights) AS a (weight)
                        )
                        WHEN 'mean_product' THEN o.weight / count(*) OVER ()
                        ELSE o.weight
                    END AS weight
                FROM recsys.pairs_with(
                    asked.movies_run_id, asked_movie_id,
                    -- A score that is divided may be divided by the similarities of another model.
                    CASE WHEN its.form = 'divided' THEN array_fill(
                        its.via, ARRAY[coalesce(cardinality(weighed.movie_ids), 0)]
                    ) ELSE weighed.model_ids END,
                    weighed.movie_ids, weighed.weights
                ) AS o
                WHERE its.form <> 'divided' OR o.similarity > 0
            ) AS q
            WHERE its.form <> 'none'
            GROUP BY q.movie_id
            ORDER BY q.movie_id
        ) AS p;
        total := (SELECT sum(s.part) FROM unnest(parts) AS s (part));
        EXIT WHEN its.source = 'stored' OR its.form = 'none' OR total > 0
            OR its.form = 'mean_product' AND total IS NOT NULL;
    END LOOP;
    IF because IS NULL THEN  -- no rated movie leads to it
        IF its.score IS NULL THEN
            its.score := coalesce(
                (
                    SELECT c.score FROM recsys_store.movie_charts AS c
                    WHERE c.run_id = asked.movies_run_id AND c.model_id = asked.chart_id
                      AND c.genre_id IS NULL AND c.movie_id = asked_movie_id
                ),
                0
            );
        END IF;
        because := '{NULL}';
        parts := ARRAY[its.score];
        total := its.score;
    ELSIF its.form <> 'divided' THEN
        its.score := total;
    END IF;

    its_genres := ARRAY(
        SELECT mg.genre_id FROM recsys_store.movie_genres AS mg WHERE mg.movie_id = asked_movie_id
    );
    its_tags := ARRAY(SELECT t.tag FROM recsys.movie_tags(asked_movie_id) AS t);
    RETURN QUERY
    SELECT
        b.movie_id, m.title, given[array_position(rated, b.movie_id)], b.weight, b.similarity,
        CASE WHEN its.form = 'divided' THEN its.score * b.part / total ELSE b.part END,
        b.part / nullif(total, 0),
        its.score, its.source, its.model, its.form <> 'divided',
        ARRAY(
            SELECT g.name
            FROM recsys_store.movie_genres AS mg
            JOIN recsys_store.genres AS g ON g.genre_id = mg.genre_id
            WHERE mg.movie_id = b.movie_id AND mg.genre_id = ANY (its_genres)
            ORDER BY g.name
        ),
        CASE WHEN its_tags = '{}' THEN its_tags ELSE ARRAY(
            SELECT t.tag FROM recsys.movie_tags(b.movie_id) AS t
            WHERE t.tag = ANY (its_tags)
            ORDER BY t.tag
        ) END,
        asked.run_id, m.key
    FROM unnest(because, counts, similarities, parts) AS b (movie_id, weight, similarity, part)
    LEFT JOIN recsys_store.movies AS m ON m.movie_id = b.movie_id
    ORDER BY b.part DESC, b.movie_id;
END
$$;

COMMENT ON FUNCTION recsys.explain_rows(integer, integer, text) IS
'Internal: the rows of recsys.explain, which callers use instead';
