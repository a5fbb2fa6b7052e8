CREATE OR REPLACE FUNCTION recsys.rate(user_id integer, movie_id integer, rating double precision)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    scale record;
    step double precision;
BEGIN
    PERFORM recsys.require_movie(rate.movie_id);
    IF rate.rating IS NULL THEN
        RAISE EXCEPTION 'rating must not be NULL' USING ERRCODE = '22004';
    END IF;
    SELECT * INTO scale FROM recsys.rating_scale();
    step := (
        SELECT i.rating_step FROM recsys_store.ingests AS i
        WHERE i.kind = 'ratings'
        ORDER BY i.ingest_id DESC
        LIMIT 1
    );
    IF recsys.is_implicit() THEN
        IF NOT (rate.rating > 0 AND rate.rating <= 1e300) THEN
            RAISE EXCEPTION 'rating % is not a number of times', rate.rating
                USING ERRCODE = '22003',
                    HINT = 'The database holds interactions, whose ratings are counts above 0.';
        END IF;
    ELSIF rate.rating < coalesce(scale.rating_min, '-1e300')
        OR rate.rating > coalesce(scale.rating_max, '1e300')
    THEN
        RAISE EXCEPTION 'rating % is outside the scale', rate.rating
            USING ERRCODE = '22003',
                HINT = format('The scale is from %s to %s.', coalesce(scale.rating_min, '-1e300'), coalesce(scale.rating_max, '1e300'));
    -- As ingest reads ratings: 0.1 + 0.2 must be the value that a file writes as 0.3.
    ELSIF step > 0
        AND (rate.rating::numeric - scale.rating_min::numeric) % step::numeric <> 0
    THEN
        RAISE EXCEPTION 'rating % is not a step of %', rate.rating, step
            USING ERRCODE = '22003',
                HINT = format('Ratings from %s to %s are %s apart.', scale.rating_min, scale.rating_max, step);
    END IF;
    PERFORM recsys.ensure_user(rate.user_id);
    INSERT INTO recsys_store.ratings AS r (user_id, movie_id, rating, rated_at)
    VALUES (rate.user_id, rate.movie_id, rate.rating, clock_timestamp())
    ON CONFLICT ON CONSTRAINT pk_ratings
    DO UPDATE SET rating = excluded.rating, rated_at = excluded.rated_at
    -- The same rating once more is no change: lists that weigh by age stay as they are stored.
    WHERE r.rating IS DISTINCT FROM excluded.rating;
END
$$;

REVOKE ALL ON FUNCTION recsys.rate(integer, integer, double precision) FROM PUBLIC;
COMMENT ON FUNCTION recsys.rate(integer, integer, double precision) IS
'Saves a user''s rating of a movie and replaces an earlier one; the same rating once more changes nothing. It must be on the scale of the edition and on one of its steps; where interactions are counted, it is a count above 0. Adds an unknown user. recsys.recommend uses the rating as soon as it is committed. For the app role';

CREATE OR REPLACE FUNCTION recsys.rate(user_key text, movie_key text, rating double precision)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked_movie_id CONSTANT integer := recsys.movie_of_key(rate.movie_key);
BEGIN
    PERFORM recsys.rate(recsys.ensure_user(rate.user_key), asked_movie_id, rate.rating);
END
$$;

REVOKE ALL ON FUNCTION recsys.rate(text, text, double precision) FROM PUBLIC;
COMMENT ON FUNCTION recsys.rate(text, text, double precision) IS
'The same for a user and a movie by key. A number is a key here, too, and never an id';
