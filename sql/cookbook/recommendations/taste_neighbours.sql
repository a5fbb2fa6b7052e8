-- Question: Who has the taste of a person, and what do they like that the person has not seen?
-- Read off: Movies that several of the nearest rated highly. The nearest are those of user_knn if
--   the run has it ([refresh] models), else the people whose ratings of the same movies
--   correlate most; few movies in common count less.
-- Change: The person 1; ten neighbours.
WITH computed AS (
    SELECT n.user_id, n.score
    FROM recsys.models AS k
    CROSS JOIN LATERAL recsys.similar_users(1, 10, k.model) AS n
    WHERE k.model = 'user_knn'
      AND EXISTS (SELECT FROM recsys.runs AS u WHERE u.published AND u.parameters -> 'models' ? k.model)
),
correlated AS (
    SELECT o.user_id, corr(r.rating, o.rating) * least(count(*), 50) / 50 AS score
    FROM recsys.ratings AS r
    JOIN recsys.ratings AS o ON o.movie_id = r.movie_id AND o.user_id <> r.user_id
    WHERE r.user_id = 1 AND NOT EXISTS (SELECT FROM computed)
    GROUP BY o.user_id
    HAVING count(*) >= 5 AND corr(r.rating, o.rating) > 0
    ORDER BY score DESC, o.user_id
    LIMIT 10
),
nearest AS (
    SELECT c.user_id, c.score FROM computed AS c
    UNION ALL
    SELECT c.user_id, c.score FROM correlated AS c
)
SELECT
    m.movie_id, m.title, count(*) AS neighbours, round(avg(r.rating)::numeric, 2) AS their_mean,
    round(avg(n.score)::numeric, 3) AS their_similarity
FROM nearest AS n
JOIN recsys.ratings AS r ON r.user_id = n.user_id
JOIN recsys.movies AS m ON m.movie_id = r.movie_id
WHERE NOT EXISTS (
    SELECT FROM recsys.ratings AS o WHERE o.user_id = 1 AND o.movie_id = r.movie_id
)
GROUP BY m.movie_id, m.title
HAVING count(*) >= 2
ORDER BY neighbours DESC, their_mean DESC, m.movie_id
LIMIT 20;
