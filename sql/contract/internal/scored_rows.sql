CREATE OR REPLACE FUNCTION recsys.scored_rows(
    run_id integer, live_id smallint, scoring text, content_id smallint,
    rated integer[], given double precision[],
    user_id integer, genre_ids smallint[], year_from integer, year_to integer, shown integer[],
    wanted integer
)
RETURNS TABLE (movie_id integer, title text, score double precision)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.movie_id, m.title, s.score
    FROM (
        -- The caller names one model; the other is NULL and has no scores.
        SELECT l.movie_id, l.score
        FROM recsys.live_scores(
            scored_rows.run_id, scored_rows.live_id, scored_rows.scoring,
            scored_rows.rated, scored_rows.given
        ) AS l
        UNION ALL
        SELECT c.movie_id, c.score
        FROM recsys.content_scores(
            scored_rows.run_id, scored_rows.content_id, scored_rows.rated, scored_rows.given
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

REVOKE ALL ON FUNCTION recsys.scored_rows(integer, smallint, text, smallint, integer[], double precision[], integer, smallint[], integer, integer, integer[], integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.scored_rows(integer, smallint, text, smallint, integer[], double precision[], integer, smallint[], integer, integer, integer[], integer) IS
'Internal: the eligible movies with the highest scores, computed from ratings by a live model or by a content model';
