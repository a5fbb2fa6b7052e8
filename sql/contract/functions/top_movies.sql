CREATE OR REPLACE FUNCTION recsys.top_movies(
    n integer DEFAULT 10, genre text DEFAULT NULL, chart text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, votes bigint,
    mean_rating double precision, movie_key text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    asked_run_id integer;
    asked_chart_id smallint;
    genre_ids smallint[];
    asked_genre_id smallint;
BEGIN
    PERFORM recsys.require_n(top_movies.n);
    asked_run_id := recsys.require_published();
    asked_chart_id := recsys.require_chart(asked_run_id, top_movies.chart);
    asked_run_id := (
        SELECT coalesce(r.shared_run_id, r.run_id) FROM recsys_store.runs AS r
        WHERE r.run_id = asked_run_id
    );
    -- Two branches, so that each reads the index in its order.
    IF top_movies.genre IS NULL THEN
        RETURN QUERY
        SELECT
            (row_number() OVER (ORDER BY c.genre_id, c.rank))::integer, c.movie_id, m.title,
            c.score, c.votes, c.mean_rating, m.key
        FROM recsys_store.movie_charts AS c
        JOIN recsys_store.movies AS m ON m.movie_id = c.movie_id AND m.available
        WHERE c.run_id = asked_run_id AND c.model_id = asked_chart_id AND c.genre_id IS NULL
        -- The planner does not take genre_id IS NULL for a constant.
        ORDER BY c.genre_id, c.rank
        LIMIT top_movies.n;
    ELSE
        genre_ids := recsys.require_genres(ARRAY[top_movies.genre]);
        asked_genre_id := (
            SELECT g.genre_id FROM recsys_store.genres AS g
            WHERE g.genre_id = ANY (genre_ids)
            ORDER BY g.name
            LIMIT 1
        );
        RETURN QUERY
        SELECT
            (row_number() OVER (ORDER BY c.rank))::integer, c.movie_id, m.title, c.score, c.votes,
            c.mean_rating, m.key
        FROM recsys_store.movie_charts AS c
        JOIN recsys_store.movies AS m ON m.movie_id = c.movie_id AND m.available
        WHERE c.run_id = asked_run_id AND c.model_id = asked_chart_id
          AND c.genre_id = asked_genre_id
        ORDER BY c.rank
        LIMIT top_movies.n;
    END IF;
END
$$;

COMMENT ON FUNCTION recsys.top_movies(integer, text, text) IS
'The first n movies of a chart of the published run: of all movies or of one genre (in any case). chart is the name of a chart''s model, as most_rated; without one it is the first of the run by top_order of recsys.models. An unknown chart: error RS002; an unknown genre: RS003';
