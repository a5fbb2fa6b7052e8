CREATE OR REPLACE FUNCTION recsys.predict_rating(
    user_id integer, movie_id integer, model text DEFAULT NULL
)
RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH asked AS (
        SELECT p.run_id, m.model_id, m.prediction, r.rating_min, r.rating_max, m.model_id = r.rating_model_id AS first
        FROM recsys_store.published AS p
        JOIN recsys_store.runs AS r ON r.run_id = p.run_id
        JOIN recsys_store.models AS m ON r.parameters -> 'models' ? m.name
        WHERE CASE
            WHEN predict_rating.model IS NOT NULL THEN m.name = predict_rating.model
            -- What factors do not know, ratings given since the run may tell through neighbours.
            ELSE m.model_id = r.rating_model_id OR m.prediction = 'movie_neighbours'
        END
    ),
    predicted AS (
        SELECT a.first, a.rating_min, a.rating_max, CASE a.prediction
            WHEN 'factors' THEN (
                SELECT u.bias + i.bias + coalesce((
                    SELECT sum(f.of_user::double precision * f.of_movie)
                    FROM unnest(u.factors, i.factors) AS f (of_user, of_movie)
                ), 0)
                FROM recsys_store.user_factors AS u
                JOIN recsys_store.movie_factors AS i ON i.run_id = u.run_id AND i.model_id = u.model_id
                WHERE u.run_id = a.run_id AND u.model_id = a.model_id
                  AND u.user_id = predict_rating.user_id
                  AND i.movie_id = predict_rating.movie_id
            )
            WHEN 'user_neighbours' THEN (
                SELECT (
                    SELECT o.bias FROM recsys_store.user_factors AS o
                    WHERE o.run_id = a.run_id AND o.model_id = a.model_id
                      AND o.user_id = predict_rating.user_id
                ) + sum(s.score * (r.rating - v.bias)) / nullif(sum(abs(s.score)), 0)
                FROM recsys_store.user_similarities AS s
                JOIN recsys_store.ratings AS r
                    ON r.user_id = s.similar_user_id AND r.movie_id = predict_rating.movie_id
                JOIN recsys_store.user_factors AS v
                    ON v.run_id = s.run_id AND v.model_id = s.model_id AND v.user_id = s.similar_user_id
                WHERE s.run_id = a.run_id AND s.model_id = a.model_id
                  AND s.user_id = predict_rating.user_id
            )
            WHEN 'movie_neighbours' THEN (
                SELECT sum(s.score * r.rating) / nullif(sum(abs(s.score)), 0)
                FROM recsys_store.movie_similarities AS s
                JOIN recsys_store.ratings AS r
                    ON r.user_id = predict_rating.user_id AND r.movie_id = s.similar_movie_id
                WHERE s.run_id = a.run_id AND s.model_id = a.model_id
                  AND s.movie_id = predict_rating.movie_id
            )
        END AS rating
        FROM asked AS a
    )
    SELECT greatest(least(p.rating, p.rating_max), p.rating_min)
    FROM predicted AS p
    WHERE p.rating IS NOT NULL
    ORDER BY p.first DESC NULLS LAST
    LIMIT 1
$$;

COMMENT ON FUNCTION recsys.predict_rating(integer, integer, text) IS
'The rating a user would give a movie, on the scale of the ratings, by the named model or by the published run''s best one, else through movies rated since. NULL where it cannot be known: an unknown user or movie, one without ratings, no neighbour that has the rating, a model that predicts none';
