CREATE OR REPLACE FUNCTION recsys.scored_rows(
    run_id integer, scoring text,
    model_ids smallint[], movie_ids integer[], weights double precision[],
    user_id integer, genre_ids smallint[], year_from integer, year_to integer, shown integer[],
    wanted integer
)
RETURNS TABLE (movie_id integer, title text, score double precision, movie_key text)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.movie_id, m.title, s.score, m.movie_key
    FROM (
        -- One of the two looks up NULL and has no scores.
        SELECT l.movie_id, l.score
        FROM recsys.live_scores(
            scored_rows.run_id, scored_rows.scoring,
            CASE WHEN scored_rows.scoring <> 'profile' THEN scored_rows.model_ids END,
            scored_rows.movie_ids, scored_rows.weights
        ) AS l
        UNION ALL
        SELECT c.movie_id, c.score
        FROM recsys.content_scores(
            scored_rows.run_id,
            CASE WHEN scored_rows.scoring = 'profile' THEN scored_rows.model_ids END,
            scored_rows.movie_ids, scored_rows.weights
        ) AS c
        -- Sorted before the join, which then stops at the last row wanted.
        ORDER BY score DESC, movie_id
    ) AS s
    JOIN recsys.eligible_movies(
        scored_rows.user_id, scored_rows.genre_ids, scored_rows.year_from, scored_rows.year_to,
        scored_rows.shown
    ) AS m ON m.movie_id = s.movie_id
    ORDER BY s.score DESC, s.movie_id
    LIMIT scored_rows.wanted
$$;

REVOKE ALL ON FUNCTION recsys.scored_rows(integer, text, smallint[], integer[], double precision[], integer, smallint[], integer, integer, integer[], integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.scored_rows(integer, text, smallint[], integer[], double precision[], integer, smallint[], integer, integer, integer[], integer) IS
'Internal: the eligible movies with the highest scores, computed from what ratings count by a live model or by a content model';
