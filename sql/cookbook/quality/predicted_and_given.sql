-- Question: How well do predicted ratings meet those people gave?
-- Read off: For each rating given: the mean prediction and its error. Predictions lean to the
--   middle, so low ratings are predicted too high. The run was trained on these ratings:
--   errors on new ones are larger, and `recsys evaluate` measures them.
-- Change: A thousand ratings; the model is the run's best predictor.
WITH sampled AS (
    SELECT r.user_id, r.movie_id, r.rating
    FROM recsys.ratings AS r
    WHERE r.user_id IN (SELECT DISTINCT o.user_id FROM recsys.ratings AS o ORDER BY o.user_id LIMIT 20)
    ORDER BY r.user_id, r.movie_id
    LIMIT 1000
)
SELECT
    s.rating AS given,
    count(p.rating) AS ratings,
    round(avg(p.rating)::numeric, 2) AS predicted,
    round(sqrt(avg((p.rating - s.rating) ^ 2))::numeric, 3) AS rmse
FROM sampled AS s
CROSS JOIN LATERAL recsys.predict_rating(s.user_id, s.movie_id) AS p (rating)
GROUP BY s.rating
ORDER BY s.rating;
