CREATE OR REPLACE FUNCTION recsys.recommend_rows(
    asked_user_id integer,
    asked_ratings jsonb,
    asked_n integer,
    asked_model text,
    asked_genres text[],
    asked_year_from integer,
    asked_year_to integer,
    asked_user_key text DEFAULT NULL,
    given_by_id boolean DEFAULT false
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer, movie_key text
)
-- Each statement is planned once a session, for any n. Nested loops along the keys stop at the nth
-- row and add scores up in the order of the run. The settings hold for the steps too: these are SQL
-- functions without SET, which the planner inlines.
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 10
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
    asked record;  -- the published run and the models that answer
    user_run_id integer;  -- the run that holds the list of the user: this one or the one it shares
    genre_ids smallint[];
    rated integer[];
    given double precision[];
    rated_at timestamptz[];  -- NULL if ratings are given instead of a user
    weighed record;  -- what each rating counts
    changed boolean;  -- NULL if ratings are given instead of a user
    blocked integer[];
    filtered boolean;
    live_id smallint;
    shown integer[] := '{}';
    scored integer[] := '{}';
    got integer;
    served integer := 0;
    entry integer := 0;
BEGIN
    -- Looked up here, because calling another function would cost a tenth of most calls.
    IF asked_user_key IS NOT NULL THEN
        asked_user_id := coalesce(
            (SELECT u.user_id FROM recsys_store.users AS u WHERE u.key = asked_user_key COLLATE "C"),
            recsys.asked_user(asked_user_key)
        );
    END IF;

    -- Most calls: the stored default list of a user with the ratings of the run and no blocks,
    -- while no movie is withdrawn.
    IF asked_n > 0 AND num_nonnulls(
        asked_ratings, asked_model, asked_genres, asked_year_from, asked_year_to
    ) = 0 THEN
        SELECT d.* INTO asked FROM recsys.published_default() AS d;
        user_run_id := asked.run_id;
        -- Asked here: as a part of the query it would cost every call.
        IF asked.shared_run_id IS NOT NULL THEN
            SELECT h.held_run_id INTO user_run_id
            FROM recsys.run_of_user(asked.run_id, asked.shared_run_id, asked_user_id) AS h;
        END IF;
        RETURN QUERY
        SELECT s.rank::integer, s.movie_id, m.title, s.score, 'stored', s.model_name, asked.run_id,
            m.key
        FROM recsys.stored_rows(user_run_id, asked.model_id, asked.name, asked_user_id) AS s
        JOIN recsys_store.movies AS m ON m.movie_id = s.movie_id
        WHERE NOT EXISTS (
                SELECT FROM recsys_store.blocks AS b WHERE b.user_id = asked_user_id
            )
          -- Places are counted anew below: here that would cost half of the call.
          AND NOT EXISTS (SELECT FROM recsys_store.movies AS w WHERE NOT w.available)
          AND NOT (SELECT c.changed FROM recsys.ratings_changed(user_run_id, asked_user_id) AS c)
        ORDER BY s.rank
        LIMIT asked_n;
        GET DIAGNOSTICS served = ROW_COUNT;
        IF served >= asked_n THEN
            RETURN;
        END IF;
    END IF;

    genre_ids := recsys.require_genres(asked_genres);
    PERFORM recsys.check_recommend_arguments(
        asked_user_id, asked_ratings, asked_n, asked_year_from, asked_year_to
    );
    SELECT a.* INTO asked FROM recsys.resolve_models(asked_model) AS a;
    IF NOT FOUND THEN
        PERFORM recsys.require_model(recsys.require_published(), asked_model);
    END IF;
    IF asked_ratings IS NULL THEN
        SELECT h.held_run_id, c.changed INTO user_run_id, changed
        FROM recsys.run_of_user(asked.run_id, asked.shared_run_id, asked_user_id) AS h
        CROSS JOIN LATERAL recsys.ratings_changed(h.held_run_id, asked_user_id) AS c;
    ELSE
        SELECT g.movie_ids, g.given INTO rated, given
        FROM recsys.given_ratings(asked_ratings, given_by_id) AS g;
        shown := coalesce(rated, '{}');
    END IF;

    -- The stored list, unless the ratings changed and a model can follow them.
    filtered := num_nonnulls(genre_ids, asked_year_from, asked_year_to) > 0;
    IF served = 0 AND NOT changed AND NOT filtered THEN
        -- The run left out what the user rated: only blocked movies have to go. Reading the
        -- ratings for each row, as below, costs a seventh of the call.
        blocked := ARRAY(
            SELECT b.movie_id FROM recsys_store.blocks AS b
            WHERE b.user_id = asked_user_id AND (b.until IS NULL OR b.until > now())
        );
        RETURN QUERY
        SELECT
            (row_number() OVER (ORDER BY s.rank))::integer, s.movie_id, m.title, s.score,
            'stored', s.model_name, asked.run_id,
            m.key
        FROM recsys.stored_rows(user_run_id, asked.model_id, asked.name, asked_user_id) AS s
        JOIN recsys_store.movies AS m ON m.movie_id = s.movie_id AND m.available
        WHERE s.movie_id <> ALL (blocked)
        ORDER BY s.rank
        LIMIT asked_n;
        GET DIAGNOSTICS served = ROW_COUNT;
    ELSIF served = 0 AND (NOT changed OR (
        changed AND asked.live_id IS NULL AND asked.content_id IS DISTINCT FROM asked.model_id
    )) THEN
        RETURN QUERY
        SELECT
            (row_number() OVER (ORDER BY s.rank))::integer, s.movie_id, m.title, s.score,
            'stored', s.model_name, asked.run_id,
            m.movie_key
        FROM recsys.stored_rows(user_run_id, asked.model_id, asked.name, asked_user_id) AS s
        JOIN recsys.eligible_movies(
            asked_user_id, genre_ids, asked_year_from, asked_year_to, shown
        ) AS m ON m.movie_id = s.movie_id
        ORDER BY s.rank
        LIMIT asked_n;
        GET DIAGNOSTICS served = ROW_COUNT;
    END IF;
    IF served >= asked_n THEN
        RETURN;
    ELSIF served > 0 THEN
        shown := (
            SELECT u.movie_ids FROM recsys_store.user_recommendations AS u
            WHERE u.run_id = user_run_id AND u.model_id = asked.model_id
              AND u.user_id = asked_user_id
        );
    END IF;

    -- Movies by the published similarities: of the live model, then of the content model.
    IF asked_ratings IS NULL AND coalesce(asked.live_id, asked.content_id) IS NOT NULL THEN
        SELECT r.movie_ids, r.given, r.rated_at INTO rated, given, rated_at
        FROM recsys.current_ratings(asked_user_id) AS r;
    END IF;
    run_id := asked.run_id;
    FOREACH source IN ARRAY ARRAY['live', 'content'] LOOP
        CONTINUE WHEN rated IS NULL OR served >= asked_n;
        live_id := CASE source WHEN 'live' THEN asked.live_id END;
        CONTINUE WHEN coalesce(live_id, CASE source WHEN 'content' THEN asked.content_id END) IS NULL;
        model := CASE source WHEN 'live' THEN asked.live ELSE asked.content END;
        -- A list of another model than the one named must not pass for its own.
        IF live_id IS NOT NULL AND asked_model IS NOT NULL AND live_id <> asked.model_id THEN
            source := 'substitute';
        END IF;
        SELECT w.* INTO weighed
        FROM recsys.rating_weights(asked.movies_run_id, model, rated, given, rated_at) AS w;
        FOR movie_id, title, score, movie_key IN
            SELECT s.movie_id, s.title, s.score, s.movie_key
            FROM recsys.scored_rows(
                asked.movies_run_id, CASE source WHEN 'content' THEN 'profile' ELSE asked.scoring END,
                weighed.model_ids, weighed.movie_ids, weighed.weights,
                asked_user_id, genre_ids, asked_year_from, asked_year_to, shown, asked_n - served
            ) AS s
        LOOP
            served := served + 1;
            rank := served;
            scored := scored || movie_id;
            RETURN NEXT;
        END LOOP;
        -- Concatenated at once, because an array grown by elements is slower to compare with.
        shown := shown || scored;
        scored := '{}';
    END LOOP;

    -- The chart, from its head or from the user's entry on, and then the part before the entry.
    IF asked.personal_start THEN
        SELECT e.entry INTO entry
        FROM recsys.chart_entry(asked.movies_run_id, asked.chart_id, asked_user_id) AS e;
    END IF;
    FOR half IN 1..2 LOOP
        EXIT WHEN served >= asked_n OR (half = 2 AND entry = 0);
        RETURN QUERY
        SELECT
            served + c.place::integer, c.movie_id, c.title, c.score,
            CASE WHEN asked.model_id = asked.chart_id THEN 'stored' ELSE 'chart' END,
            asked.chart, asked.run_id, c.movie_key
        FROM recsys.chart_rows(
            asked.movies_run_id, asked.chart_id, CASE half WHEN 1 THEN entry ELSE 0 END,
            CASE half WHEN 1 THEN 2147483647 ELSE entry END,
            asked_user_id, genre_ids, asked_year_from, asked_year_to, shown, asked_n - served
        ) AS c;
        GET DIAGNOSTICS got = ROW_COUNT;
        served := served + got;
    END LOOP;
    IF served >= asked_n THEN
        RETURN;
    END IF;

    RETURN QUERY
    SELECT
        served + m.place::integer, m.movie_id, m.title, 0.0::double precision, 'chart',
        asked.chart, asked.run_id, m.movie_key
    FROM recsys.unlisted_rows(
        asked.movies_run_id, asked.chart_id,
        asked_user_id, genre_ids, asked_year_from, asked_year_to, shown, asked_n - served
    ) AS m;
END
$$;

COMMENT ON FUNCTION recsys.recommend_rows(integer, jsonb, integer, text, text[], integer, integer, text, boolean) IS
'Internal: the rows of recsys.recommend and recsys.recommend_for, which callers use instead';
