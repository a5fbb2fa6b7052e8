-- Question: Who has the taste of a person, and what do they like that the person has not seen?
-- Read off: Movies that several of the nearest rated highly. No rows if the run has no model
--   of similar people (user_knn): add it to [refresh] models.
-- Change: The person 1; ten neighbours.
SELECT
    m.movie_id, m.title, count(*) AS neighbours, round(avg(r.rating)::numeric, 2) AS their_mean,
    round(avg(n.score)::numeric, 3) AS their_similarity
FROM recsys.models AS k
CROSS JOIN LATERAL recsys.similar_users(1, 10, k.model) AS n
JOIN recsys.ratings AS r ON r.user_id = n.user_id
JOIN recsys.movies AS m ON m.movie_id = r.movie_id
WHERE k.model = 'user_knn'
  AND EXISTS (SELECT FROM recsys.runs AS u WHERE u.published AND u.parameters -> 'models' ? k.model)
  AND NOT EXISTS (
      SELECT FROM recsys.ratings AS o WHERE o.user_id = 1 AND o.movie_id = r.movie_id
  )
GROUP BY m.movie_id, m.title
HAVING count(*) >= 2
ORDER BY neighbours DESC, their_mean DESC, m.movie_id
LIMIT 20;
