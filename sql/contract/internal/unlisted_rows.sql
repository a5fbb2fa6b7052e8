CREATE OR REPLACE FUNCTION recsys.unlisted_rows(
    run_id integer, chart_id smallint,
    user_id integer, genre_ids smallint[], year_from integer, year_to integer, shown integer[],
    wanted integer
)
RETURNS TABLE (place bigint, movie_id integer, title text, movie_key text)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT row_number() OVER (ORDER BY m.movie_id), m.movie_id, m.title, m.movie_key
    FROM recsys.eligible_movies(
        unlisted_rows.user_id, unlisted_rows.genre_ids, unlisted_rows.year_from,
        unlisted_rows.year_to, unlisted_rows.shown
    ) AS m
    WHERE NOT EXISTS (
            SELECT FROM recsys_store.movie_charts AS c
            WHERE c.run_id = unlisted_rows.run_id AND c.movie_id = m.movie_id
              -- Arithmetic keeps the index by movie: by model, each movie reads the chart.
              AND c.model_id - unlisted_rows.chart_id = 0 AND c.genre_id + 0 IS NULL
        )
    ORDER BY m.movie_id
    LIMIT unlisted_rows.wanted
$$;

REVOKE ALL ON FUNCTION recsys.unlisted_rows(integer, smallint, integer, smallint[], integer, integer, integer[], integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.unlisted_rows(integer, smallint, integer, smallint[], integer, integer, integer[], integer) IS
'Internal: the eligible movies that a chart does not list, by id; most had no ratings when the run started';
