-- Question: How long is the tail: what share of the ratings goes to which share of the movies?
-- Read off: Movies are divided into ten equal parts, the most rated first. If part 1 has most of
--   the ratings, a recommender that only follows popularity scores well and shows little.
-- Change: Reads all ratings. ntile(10) sets the number of parts.
WITH parts AS (
    SELECT m.ratings_count, ntile(10) OVER (ORDER BY m.ratings_count DESC, m.movie_id) AS part
    FROM recsys.movies AS m
)
SELECT
    p.part,
    count(*) AS movies,
    max(p.ratings_count) AS most_ratings,
    min(p.ratings_count) AS fewest_ratings,
    round(sum(p.ratings_count) / nullif(sum(sum(p.ratings_count)) OVER (), 0), 4) AS share_of_ratings
FROM parts AS p
GROUP BY p.part
ORDER BY p.part;
