-- Question: Do lists follow what people watch, or do some genres crowd them?
-- Read off: lift is the genre's share of the first ten places over its share of the ratings:
--   above 1 it is recommended more than it is rated, below 1 less.
-- Change: Reads all ratings.
WITH rated AS (
    SELECT g.genre, sum(m.ratings_count) AS places
    FROM recsys.movies AS m
    CROSS JOIN LATERAL unnest(m.genres) AS g (genre)
    GROUP BY g.genre
),
recommended AS (
    SELECT g.genre, sum(l.lists) AS places
    FROM (
        SELECT r.movie_id, count(*) AS lists
        FROM recsys.recommendations AS r
        WHERE r.model = (SELECT u.default_model FROM recsys.runs AS u WHERE u.published)
          AND r.rank <= 10
        GROUP BY r.movie_id
    ) AS l
    JOIN recsys.movies AS m ON m.movie_id = l.movie_id
    CROSS JOIN LATERAL unnest(m.genres) AS g (genre)
    GROUP BY g.genre
)
SELECT
    a.genre,
    round(a.places / sum(a.places) OVER (), 4) AS share_of_ratings,
    round(coalesce(b.places, 0) / sum(b.places) OVER (), 4) AS share_of_places,
    round(coalesce(b.places, 0) / sum(b.places) OVER () / nullif(a.places / sum(a.places) OVER (), 0), 2) AS lift
FROM rated AS a
LEFT JOIN recommended AS b ON b.genre = a.genre
ORDER BY lift DESC NULLS LAST, a.genre;
