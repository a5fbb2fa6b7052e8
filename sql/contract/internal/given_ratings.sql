CREATE OR REPLACE FUNCTION recsys.given_ratings(ratings jsonb, by_id boolean)
RETURNS TABLE (movie_ids integer[], given double precision[])
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    wrong record;
    scale record;
    -- The ratings of interactions are counts.
    implicit CONSTANT boolean := recsys.is_implicit();
    unknown text;
    twice boolean;
BEGIN
    IF jsonb_typeof(given_ratings.ratings) <> 'object' THEN
        RAISE EXCEPTION 'ratings must be an object of movies and ratings, not %',
            replace(jsonb_typeof(given_ratings.ratings), 'null', 'NULL')
            USING ERRCODE = '22023', HINT = 'Write them as {"1": 5.0, "260": 4}.';
    END IF;
    SELECT e.key, e.value, e.place INTO wrong
    FROM jsonb_each(given_ratings.ratings) WITH ORDINALITY AS e (key, value, place)
    WHERE jsonb_typeof(e.value) <> 'number' OR e.place > 10000
    ORDER BY e.place > 10000 DESC, e.key
    LIMIT 1;
    IF wrong.place > 10000 THEN
        RAISE EXCEPTION 'ratings has more than 10000 movies' USING ERRCODE = '22023';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'ratings has %: %, which is not the rating of a movie',
            to_json(left(wrong.key, 100)), left(wrong.value::text, 100)
            USING ERRCODE = '22023', HINT = 'Write them as {"1": 5.0, "260": 4}.';
    END IF;
    SELECT * INTO scale FROM recsys.rating_scale();
    SELECT e.key, e.value INTO wrong
    FROM (
        -- Not by way of text: a few bytes can stand for 100,000 digits.
        SELECT o.key, o.value, o.value::numeric AS rating
        FROM jsonb_each(given_ratings.ratings) AS o
    ) AS e
    WHERE NOT implicit AND e.rating < scale.rating_min::numeric
       OR NOT implicit AND e.rating > scale.rating_max::numeric
       OR implicit AND e.rating <= 0
       OR abs(e.rating) > 1e300
       OR abs(e.rating) < 1e-300 AND e.rating <> 0
    ORDER BY e.key
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rating % of movie % is outside the scale',
            left(wrong.value::text, 100), left(wrong.key, 100)
            USING ERRCODE = '22003',
                HINT = CASE
                    WHEN implicit THEN 'The database holds interactions, whose ratings are counts above 0.'
                    ELSE format('The scale is from %s to %s.', scale.rating_min, scale.rating_max)
                END;
    END IF;
    SELECT
        array_agg(n.movie_id ORDER BY n.movie_id), array_agg(n.rating ORDER BY n.movie_id),
        (array_agg(n.key ORDER BY length(n.key), n.key) FILTER (WHERE n.movie_id IS NULL))[1],
        count(DISTINCT n.movie_id) < count(n.movie_id)
    INTO given_ratings.movie_ids, given_ratings.given, unknown, twice
    FROM (
        -- As in recsys.movie_id: the key, then the id.
        SELECT
            o.key, o.value::double precision AS rating, coalesce(k.movie_id, i.movie_id) AS movie_id
        FROM jsonb_each(given_ratings.ratings) AS o
        LEFT JOIN recsys_store.movies AS k
            ON k.key = o.key COLLATE "C" AND given_ratings.by_id IS NOT TRUE
        LEFT JOIN recsys_store.movies AS i ON i.movie_id = CASE
            WHEN k.movie_id IS NULL AND o.key COLLATE "C" ~ '^(0|[1-9][0-9]{0,9})$'
                THEN o.key::bigint
        END
    ) AS n;
    IF unknown IS NOT NULL THEN
        PERFORM recsys.asked_movie(unknown);
    ELSIF twice THEN
        RAISE EXCEPTION 'ratings has a movie twice, by its key and by its id'
            USING ERRCODE = '22023';
    END IF;
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION recsys.given_ratings(jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION recsys.given_ratings(jsonb, boolean) IS
'Internal: movies and ratings of an object such as {"1": 5.0, "260": 4}, by movie; names are keys or ids; raises an error if it is invalid';
