CREATE OR REPLACE FUNCTION recsys.rating_histogram(movie_id integer)
RETURNS TABLE (rating_from double precision, rating_to double precision, ratings bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    PERFORM recsys.require_movie(rating_histogram.movie_id);
    RETURN QUERY
    WITH counted AS MATERIALIZED (
        SELECT r.rating, count(*) AS ratings
        FROM recsys_store.ratings AS r
        WHERE r.movie_id = rating_histogram.movie_id
        GROUP BY r.rating
    ),
    scale AS (
        SELECT
            least(s.rating_min, (SELECT min(c.rating) FROM counted AS c)) AS low,
            greatest(s.rating_max, (SELECT max(c.rating) FROM counted AS c)) AS high,
            (
                SELECT i.rating_step FROM recsys_store.ingests AS i
                WHERE i.kind = 'ratings'
                ORDER BY i.ingest_id DESC
                LIMIT 1
            ) AS step
        FROM recsys.rating_scale() AS s
    ),
    single AS MATERIALIZED (
        SELECT c.rating FROM counted AS c
        UNION
        -- As numeric: 0.1 + 0.2 must be the value that a file writes as 0.3.
        SELECT (s.low::numeric + k.place * s.step::numeric)::double precision
        FROM scale AS s
        CROSS JOIN generate_series(0, 20) AS k (place)
        WHERE s.low::numeric + k.place * s.step::numeric <= s.high::numeric
    ),
    bins AS (
        SELECT s.rating AS low, s.rating AS high, false AS open
        FROM single AS s
        WHERE (SELECT count(*) FROM single) <= 20
        UNION ALL
        SELECT
            s.low + (s.high - s.low) * k.place / 10,
            s.low + (s.high - s.low) * (k.place + 1) / 10,
            k.place < 9
        FROM scale AS s
        CROSS JOIN generate_series(0, 9) AS k (place)
        WHERE (SELECT count(*) FROM single) > 20
    )
    SELECT b.low, b.high, coalesce(sum(c.ratings), 0)::bigint
    FROM bins AS b
    LEFT JOIN counted AS c
        ON c.rating >= b.low AND (c.rating < b.high OR c.rating = b.high AND NOT b.open)
    GROUP BY b.low, b.high
    ORDER BY b.low, b.high;
END
$$;

COMMENT ON FUNCTION recsys.rating_histogram(integer) IS
'Counts the ratings of a movie by value, lowest value first. There is one row per value. Values of the scale without ratings count 0. If there are more than 20 values, ten bins of equal width replace them. A bin excludes its upper end, except for the last bin. The result is empty if the movie has no ratings and the scale has no fixed steps';

CREATE OR REPLACE FUNCTION recsys.rating_histogram(movie_key text)
RETURNS TABLE (rating_from double precision, rating_to double precision, ratings bigint)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT h.rating_from, h.rating_to, h.ratings
    FROM recsys.rating_histogram(recsys.asked_movie(rating_histogram.movie_key)) AS h
$$;

COMMENT ON FUNCTION recsys.rating_histogram(text) IS
'The same for a movie by key';
