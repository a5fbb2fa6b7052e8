CREATE OR REPLACE FUNCTION recsys.predict_rating(
    user_id integer, movie_id integer, model text DEFAULT NULL
)
RETURNS double precision
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    asked_run_id integer;
    shared_run_id integer;
    movies_run_id integer;
    user_run_id integer;
    asked_model_id smallint;
    used record;
    predicted double precision;
BEGIN
    PERFORM recsys.require_id('user_id', predict_rating.user_id);
    PERFORM recsys.require_id('movie_id', predict_rating.movie_id);
    asked_run_id := recsys.require_published();
    IF predict_rating.model IS NOT NULL THEN
        asked_model_id := recsys.require_model(asked_run_id, predict_rating.model);
    END IF;

    SELECT r.shared_run_id, coalesce(r.shared_run_id, r.run_id), h.held_run_id
    INTO shared_run_id, movies_run_id, user_run_id
    FROM recsys_store.runs AS r
    CROSS JOIN LATERAL recsys.run_of_user(
        r.run_id, r.shared_run_id, predict_rating.user_id
    ) AS h
    WHERE r.run_id = asked_run_id;

    FOR used IN
        SELECT
            m.model_id, m.prediction, r.rating_min, r.rating_max,
            p.own IS NOT NULL AS baselines,
            CASE WHEN p.own IS NOT NULL THEN l.ratings_mean ELSE 0 END AS mean,
            coalesce((p.own ->> 'bias_damping')::double precision, 0) AS bias_damping,
            coalesce((p.own ->> 'damping')::double precision, 0) AS damping,
            coalesce((p.own ->> 'amplification')::double precision, 1) AS amplification
        FROM recsys_store.runs AS r
        JOIN recsys_store.runs AS l ON l.run_id = movies_run_id
        JOIN recsys_store.models AS m ON CASE
            WHEN asked_model_id IS NOT NULL THEN m.model_id = asked_model_id
            -- Without factors, ratings given since the run may predict through neighbours.
            WHEN m.model_id = r.rating_model_id THEN true
            ELSE m.prediction = 'movie_neighbours' AND r.parameters -> 'models' ? m.name
        END
        -- Parameters of a model with baselines; runs of earlier versions have none.
        CROSS JOIN LATERAL (
            SELECT CASE WHEN o.own -> 'baselines' = 'true' THEN o.own END
            FROM (SELECT r.parameters -> 'models' -> m.name) AS o (own)
        ) AS p (own)
        WHERE r.run_id = asked_run_id
        ORDER BY m.model_id = r.rating_model_id DESC NULLS LAST, m.model_id
    LOOP
        IF used.prediction = 'factors' THEN
            predicted := (
                SELECT u.bias + i.bias + coalesce((
                    SELECT sum(f.of_user::double precision * f.of_movie)
                    FROM unnest(u.factors, i.factors) AS f (of_user, of_movie)
                ), 0)
                FROM recsys_store.user_factors AS u
                JOIN recsys_store.movie_factors AS i
                    ON i.run_id = movies_run_id AND i.model_id = u.model_id
                WHERE u.run_id = user_run_id AND u.model_id = used.model_id
                  AND u.user_id = predict_rating.user_id
                  AND i.movie_id = predict_rating.movie_id
            );
        ELSIF used.prediction = 'user_neighbours' THEN
            predicted := (
                -- Without baselines the movie has no bias, and that of the user is a mean.
                SELECT
                    u.bias + coalesce(i.bias, 0)
                    + coalesce(n.deviation, CASE WHEN i.bias IS NOT NULL THEN 0 END)
                FROM recsys_store.user_factors AS u
                LEFT JOIN recsys_store.movie_factors AS i
                    ON i.run_id = movies_run_id AND i.model_id = u.model_id
                    AND i.movie_id = predict_rating.movie_id
                CROSS JOIN LATERAL (
                    SELECT
                        sum(
                            l.score * (r.rating - v.bias - coalesce(i.bias, 0)) ORDER BY l.user_id
                        )
                        / (nullif(sum(abs(l.score) ORDER BY l.user_id), 0) + used.damping)
                        AS deviation
                    FROM recsys_store.user_similarities AS s
                    CROSS JOIN LATERAL unnest(s.similar_user_ids, s.scores) AS l (user_id, score)
                    JOIN recsys_store.ratings AS r
                        ON r.user_id = l.user_id AND r.movie_id = predict_rating.movie_id
                    JOIN recsys_store.user_factors AS v
                        ON v.model_id = s.model_id AND v.user_id = l.user_id
                        AND (
                            v.run_id = asked_run_id
                            OR v.run_id = shared_run_id AND NOT EXISTS (
                                SELECT FROM recsys_store.run_users AS o
                                WHERE o.run_id = asked_run_id AND o.user_id = l.user_id
                            )
                        )
                    WHERE s.run_id = user_run_id AND s.model_id = used.model_id
                      AND s.user_id = predict_rating.user_id
                ) AS n
                WHERE u.run_id = user_run_id AND u.model_id = used.model_id
                  AND u.user_id = predict_rating.user_id
            );
        ELSIF used.prediction = 'movie_neighbours' THEN
            predicted := (
                WITH rated AS (
                    -- What the ratings are above those of an average user.
                    SELECT r.movie_id, r.rating - used.mean - coalesce(i.bias, 0) AS above
                    FROM recsys_store.ratings AS r
                    LEFT JOIN recsys_store.movie_factors AS i
                        ON i.run_id = movies_run_id AND i.model_id = used.model_id
                        AND i.movie_id = r.movie_id
                    WHERE r.user_id = predict_rating.user_id
                ),
                of_user AS (
                    SELECT CASE
                        WHEN used.baselines
                            THEN sum(g.above ORDER BY g.movie_id) / (count(*) + used.bias_damping)
                        ELSE 0
                    END AS bias
                    FROM rated AS g
                )
                SELECT
                    used.mean + u.bias + coalesce(i.bias, 0)
                    + coalesce(n.deviation, CASE WHEN i.bias IS NOT NULL THEN 0 END)
                FROM of_user AS u
                LEFT JOIN recsys_store.movie_factors AS i
                    ON i.run_id = movies_run_id AND i.model_id = used.model_id
                    AND i.movie_id = predict_rating.movie_id
                CROSS JOIN LATERAL (
                    SELECT
                        sum(
                            sign(l.score) * w.strength * (g.above - u.bias) ORDER BY l.movie_id
                        )
                        / (nullif(sum(w.strength ORDER BY l.movie_id), 0) + used.damping)
                        AS deviation
                    FROM recsys_store.movie_similarities AS s
                    CROSS JOIN LATERAL unnest(
                        s.similar_movie_ids, coalesce(s.scores, s.real_scores::double precision[])
                    ) AS l (movie_id, score)
                    CROSS JOIN LATERAL power(abs(l.score), used.amplification) AS w (strength)
                    JOIN rated AS g ON g.movie_id = l.movie_id
                    WHERE s.run_id = movies_run_id AND s.model_id = used.model_id
                      AND s.movie_id = predict_rating.movie_id
                ) AS n
            );
        END IF;
        IF predicted IS NOT NULL THEN
            RETURN greatest(least(predicted, used.rating_max), used.rating_min);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION recsys.predict_rating(integer, integer, text) IS
'Predicts the rating a user would give a movie, on the scale of the ratings. Without a named model, the published run''s best predictor is used, then one that can use ratings given since. NULL if there is no prediction: for an unknown user or movie, a user or movie without ratings, no neighbour with a rating for a model without baselines, or a model that does not predict ratings. A model the run does not have: error RS002';

CREATE OR REPLACE FUNCTION recsys.predict_rating(
    user_key text, movie_key text, model text DEFAULT NULL
)
RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT recsys.predict_rating(
        recsys.asked_user(predict_rating.user_key),
        CASE
            WHEN predict_rating.movie_key IS NOT NULL
                THEN coalesce(recsys.movie_id(predict_rating.movie_key), -1)
        END,
        predict_rating.model
    )
$$;

COMMENT ON FUNCTION recsys.predict_rating(text, text, text) IS
'The same for a user and a movie by key';
