CREATE OR REPLACE FUNCTION recsys.user_taste(user_id integer)
RETURNS TABLE (
    facet text, name text, ratings bigint, share double precision, mean_rating double precision,
    against_others double precision
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    current_run_id integer;
    means_id smallint;
BEGIN
    PERFORM recsys.require_id('user_id', user_taste.user_id);
    -- Means of the published chart: those of the current ratings would read every rating of each movie.
    SELECT p.run_id, p.model_id INTO current_run_id, means_id FROM recsys.popularity_chart() AS p;
    RETURN QUERY
    WITH rated AS MATERIALIZED (
        SELECT r.movie_id, r.rating, m.year, r.rating - c.mean_rating AS difference
        FROM recsys_store.ratings AS r
        JOIN recsys_store.movies AS m ON m.movie_id = r.movie_id
        LEFT JOIN recsys_store.movie_charts AS c
            ON c.run_id = current_run_id AND c.model_id = means_id AND c.genre_id IS NULL
            AND c.movie_id = r.movie_id
        WHERE r.user_id = user_taste.user_id
    ),
    facets AS (
        SELECT 1 AS place, 'all' AS facet, NULL::text AS name, o.rating, o.difference
        FROM rated AS o
        UNION ALL
        SELECT 2, 'genre', g.name, o.rating, o.difference
        FROM rated AS o
        JOIN recsys_store.movie_genres AS mg ON mg.movie_id = o.movie_id
        JOIN recsys_store.genres AS g ON g.genre_id = mg.genre_id
        UNION ALL
        SELECT 3, 'decade', o.year / 10 * 10 || 's', o.rating, o.difference
        FROM rated AS o
        WHERE o.year IS NOT NULL
    )
    SELECT
        f.facet, f.name, count(*),
        count(*) / (SELECT count(*) FROM rated)::double precision,
        avg(f.rating), avg(f.difference)
    FROM facets AS f
    GROUP BY f.place, f.facet, f.name
    ORDER BY f.place, CASE WHEN f.place = 2 THEN count(*) END DESC, f.name;
END
$$;

COMMENT ON FUNCTION recsys.user_taste(integer) IS
'What a user rates and how high, from the current ratings: one row for all of them (facet all), one for each genre (genre, the most rated first) and one for each decade of release (decade, ascending). share: fraction of the user''s ratings; a movie counts in each of its genres. against_others: mean difference between the rating and the movie''s mean rating in the published run; NULL without a published chart by number of ratings. No rows: the user has no ratings';

CREATE OR REPLACE FUNCTION recsys.user_taste(user_key text)
RETURNS TABLE (
    facet text, name text, ratings bigint, share double precision, mean_rating double precision,
    against_others double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT t.facet, t.name, t.ratings, t.share, t.mean_rating, t.against_others
    FROM recsys.user_taste(recsys.asked_user(user_taste.user_key)) AS t
$$;

COMMENT ON FUNCTION recsys.user_taste(text) IS
'The same for a user by key';
