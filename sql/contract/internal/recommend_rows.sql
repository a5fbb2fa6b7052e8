CREATE OR REPLACE FUNCTION recsys.recommend_rows(
    asked_user_id integer,
    asked_ratings jsonb,
    asked_n integer,
    asked_model text,
    asked_genres text[],
    asked_year_from integer,
    asked_year_to integer
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer
)
-- Its plans are made once for a session, for any n, and what is not needed is not computed.
-- Nested loops along the keys stop at the nth row, and add scores up in the order of the run.
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
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
    published_id integer;
    default_id smallint;
    default_name text;
    asked record;
    genre_ids smallint[];
    rated integer[];
    given double precision[];
    changed boolean;  -- NULL: of somebody who is no user here
    blocked integer[];
    shown integer[] := '{}';
    ids integer[];
    scores double precision[];
    got integer := 0;
    served integer := 0;
    entry integer := 0;
    way text;
BEGIN
    -- What nearly everybody asks for: the default list as the run stored it, of somebody whose
    -- ratings are the same and who blocks nothing. The rest goes the long way, and so does what
    -- follows a list that is shorter than n.
    IF asked_n > 0 AND asked_ratings IS NULL AND asked_model IS NULL AND asked_genres IS NULL
        AND asked_year_from IS NULL AND asked_year_to IS NULL
    THEN
        -- Not a join, which may read all runs there ever were.
        SELECT r.run_id, r.default_model_id, d.name
        INTO published_id, default_id, default_name
        FROM recsys_store.runs AS r
        JOIN recsys_store.models AS d ON d.model_id = r.default_model_id
        WHERE r.run_id = (SELECT p.run_id FROM recsys_store.published AS p);
        RETURN QUERY
        SELECT
            u.rank::integer, u.movie_id, m.title, u.score, 'stored',
            CASE
                WHEN u.source_model_id IS NULL THEN default_name
                ELSE (
                    SELECT s.name FROM recsys_store.models AS s WHERE s.model_id = u.source_model_id
                )
            END,
            u.run_id
        FROM recsys_store.user_recommendations AS u
        JOIN recsys_store.movies AS m ON m.movie_id = u.movie_id
        WHERE u.run_id = published_id AND u.model_id = default_id AND u.user_id = asked_user_id
          AND NOT EXISTS (
                SELECT FROM recsys_store.blocks AS b WHERE b.user_id = asked_user_id
            )
          AND NOT (SELECT c.changed FROM recsys.ratings_changed(published_id, asked_user_id) AS c)
        ORDER BY u.rank
        LIMIT asked_n;
        GET DIAGNOSTICS served = ROW_COUNT;
        IF served >= asked_n THEN
            RETURN;
        END IF;
    END IF;

    genre_ids := recsys.require_genres(asked_genres);
    PERFORM recsys.require_n(asked_n);
    IF asked_ratings IS NULL THEN
        PERFORM recsys.require_id('user_id', asked_user_id);
    END IF;
    IF asked_year_from > asked_year_to THEN
        RAISE EXCEPTION 'year_from % is after year_to %', asked_year_from, asked_year_to
            USING ERRCODE = '22023';
    END IF;
    SELECT a.* INTO asked FROM recsys.resolve_models(asked_model) AS a;
    IF NOT FOUND THEN
        PERFORM recsys.require_model(recsys.require_published(), asked_model);
    END IF;
    blocked := ARRAY(
        SELECT b.movie_id FROM recsys_store.blocks AS b
        WHERE b.user_id = asked_user_id AND (b.until IS NULL OR b.until > now())
    );

    -- What the run stored, unless the ratings are others now and lead to a list of their own.
    IF asked_ratings IS NOT NULL THEN
        SELECT g.movie_ids, g.given INTO rated, given FROM recsys.given_ratings(asked_ratings) AS g;
        shown := coalesce(rated, '{}');
    ELSE
        SELECT c.changed INTO changed FROM recsys.ratings_changed(asked.run_id, asked_user_id) AS c;
    END IF;
    IF served > 0 THEN
        NULL;  -- as above
    ELSIF NOT changed AND genre_ids IS NULL AND coalesce(asked_year_from, asked_year_to) IS NULL THEN
        -- Nothing rated is on the list then: only what is blocked is left out.
        RETURN QUERY
        SELECT
            (row_number() OVER (ORDER BY u.rank))::integer, u.movie_id, m.title, u.score,
            'stored', coalesce(s.name, asked.name), asked.run_id
        FROM recsys_store.user_recommendations AS u
        JOIN recsys_store.movies AS m ON m.movie_id = u.movie_id
        LEFT JOIN recsys_store.models AS s ON s.model_id = u.source_model_id
        WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id AND u.user_id = asked_user_id
          AND u.movie_id <> ALL (blocked)
        ORDER BY u.rank
        LIMIT asked_n;
        GET DIAGNOSTICS served = ROW_COUNT;
    ELSIF NOT changed OR (
        changed AND asked.live_id IS NULL AND asked.content_id IS DISTINCT FROM asked.model_id
    ) THEN
        RETURN QUERY
        SELECT
            (row_number() OVER (ORDER BY u.rank))::integer, u.movie_id, m.title, u.score,
            'stored', coalesce(s.name, asked.name), asked.run_id
        FROM recsys_store.user_recommendations AS u
        JOIN recsys.eligible_movies(
            asked_user_id, genre_ids, asked_year_from, asked_year_to, shown
        ) AS m ON m.movie_id = u.movie_id
        LEFT JOIN recsys_store.models AS s ON s.model_id = u.source_model_id
        WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id AND u.user_id = asked_user_id
        ORDER BY u.rank
        LIMIT asked_n;
        GET DIAGNOSTICS served = ROW_COUNT;
    END IF;
    IF served >= asked_n THEN
        RETURN;
    END IF;
    IF served > 0 THEN
        shown := ARRAY(
            SELECT u.movie_id FROM recsys_store.user_recommendations AS u
            WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id
              AND u.user_id = asked_user_id
        );
    END IF;
    IF asked_ratings IS NULL AND coalesce(asked.live_id, asked.content_id) IS NOT NULL THEN
        SELECT array_agg(r.movie_id), array_agg(r.rating) INTO rated, given
        FROM (
            SELECT o.movie_id, o.rating FROM recsys_store.ratings AS o
            WHERE o.user_id = asked_user_id
            ORDER BY o.movie_id
        ) AS r;
    END IF;

    -- What the ratings lead to through the published similarities, then movies like those rated.
    FOREACH way IN ARRAY ARRAY['live', 'content'] LOOP
        CONTINUE WHEN rated IS NULL OR served >= asked_n;
        SELECT array_agg(f.movie_id ORDER BY f.score DESC, f.movie_id),
            array_agg(f.score ORDER BY f.score DESC, f.movie_id)
        INTO ids, scores
        FROM (
            SELECT l.movie_id, l.score
            FROM (
                -- The scores of no model are none.
                SELECT o.movie_id, o.score
                FROM recsys.live_scores(
                    asked.run_id, CASE way WHEN 'live' THEN asked.live_id END, asked.scoring,
                    rated, given
                ) AS o
                UNION ALL
                SELECT o.movie_id, o.score
                FROM recsys.content_scores(
                    asked.run_id, CASE way WHEN 'content' THEN asked.content_id END, rated, given
                ) AS o
                ORDER BY score DESC, movie_id
            ) AS l
            JOIN recsys.eligible_movies(
                asked_user_id, genre_ids, asked_year_from, asked_year_to, shown
            ) AS m ON m.movie_id = l.movie_id
            ORDER BY l.score DESC, l.movie_id
            LIMIT asked_n - served
        ) AS f;
        RETURN QUERY
        SELECT
            served + f.place::integer, f.movie_id, m.title, f.score, way,
            CASE way WHEN 'live' THEN asked.live ELSE asked.content END, asked.run_id
        FROM unnest(ids, scores) WITH ORDINALITY AS f (movie_id, score, place)
        JOIN recsys_store.movies AS m ON m.movie_id = f.movie_id
        ORDER BY f.place;
        GET DIAGNOSTICS got = ROW_COUNT;
        served := served + got;
        shown := shown || ids;
    END LOOP;

    -- The chart; each user enters some at a place of their own.
    IF asked.personal_start THEN
        SELECT (coalesce(asked_user_id, 0) * 2654435761 % max(c.rank))::integer INTO entry
        FROM recsys_store.movie_charts AS c
        WHERE c.run_id = asked.run_id AND c.model_id = asked.chart_id AND c.genre_id IS NULL;
    END IF;
    FOR half IN 1..2 LOOP
        EXIT WHEN served >= asked_n OR (half = 2 AND entry = 0);
        RETURN QUERY
        SELECT
            served + (row_number() OVER (ORDER BY c.genre_id, c.rank))::integer, c.movie_id, m.title, c.score,
            CASE WHEN asked.model_id = asked.chart_id THEN 'stored' ELSE 'chart' END,
            asked.chart, asked.run_id
        FROM recsys_store.movie_charts AS c
        JOIN recsys.eligible_movies(
            asked_user_id, genre_ids, asked_year_from, asked_year_to, shown
        ) AS m ON m.movie_id = c.movie_id
        WHERE c.run_id = asked.run_id
          AND c.model_id = asked.chart_id
          AND c.genre_id IS NULL
          AND c.rank > CASE half WHEN 1 THEN entry ELSE 0 END
          AND c.rank <= CASE half WHEN 1 THEN 2147483647 ELSE entry END
        -- As the index has it: to a planner, genre_id IS NULL does not make it a constant.
        ORDER BY c.genre_id, c.rank
        LIMIT asked_n - served;
        GET DIAGNOSTICS got = ROW_COUNT;
        served := served + got;
    END LOOP;
    IF served >= asked_n THEN
        RETURN;
    END IF;

    -- Movies the chart leaves out, most of them without ratings when the run read.
    RETURN QUERY
    SELECT
        served + (row_number() OVER (ORDER BY m.movie_id))::integer, m.movie_id, m.title,
        0.0::double precision, 'chart', asked.chart, asked.run_id
    FROM recsys.eligible_movies(
        asked_user_id, genre_ids, asked_year_from, asked_year_to, shown
    ) AS m
    WHERE NOT EXISTS (
            SELECT FROM recsys_store.movie_charts AS c
            WHERE c.run_id = asked.run_id AND c.movie_id = m.movie_id
              -- No key of an index: by the chart all of it would be read for each movie.
              AND c.model_id - asked.chart_id = 0 AND c.genre_id IS NULL
        )
    ORDER BY m.movie_id
    LIMIT asked_n - served;
END
$$;

COMMENT ON FUNCTION recsys.recommend_rows(integer, jsonb, integer, text, text[], integer, integer) IS
'What recsys.recommend and recsys.recommend_for give; call those';
