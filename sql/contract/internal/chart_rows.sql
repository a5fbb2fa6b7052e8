CREATE OR REPLACE FUNCTION recsys.chart_rows(
    run_id integer, model_id smallint, after_rank integer, last_rank integer,
    user_id integer, genre_ids smallint[], year_from integer, year_to integer, shown integer[],
    wanted integer
)
RETURNS TABLE (
    place bigint, movie_id integer, title text, score double precision, movie_key text
)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        row_number() OVER (ORDER BY c.genre_id, c.rank), c.movie_id, m.title, c.score, m.movie_key
    FROM recsys_store.movie_charts AS c
    JOIN recsys.eligible_movies(
        chart_rows.user_id, chart_rows.genre_ids, chart_rows.year_from, chart_rows.year_to,
        chart_rows.shown
    ) AS m ON m.movie_id = c.movie_id
    WHERE c.run_id = chart_rows.run_id
      AND c.model_id = chart_rows.model_id
      AND c.genre_id IS NULL
      AND c.rank > chart_rows.after_rank
      AND c.rank <= chart_rows.last_rank
    -- In the order of the index: the planner does not take genre_id IS NULL for a constant.
    ORDER BY c.genre_id, c.rank
    LIMIT chart_rows.wanted
$$;

REVOKE ALL ON FUNCTION recsys.chart_rows(integer, smallint, integer, integer, integer, smallint[], integer, integer, integer[], integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.chart_rows(integer, smallint, integer, integer, integer, smallint[], integer, integer, integer[], integer) IS
'Internal: the eligible movies of a part of a chart over all genres, in its order';
