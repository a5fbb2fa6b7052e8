-- Question: Which movies divide people the most?
-- Read off: A high spread with a medium mean: some love the movie, some hate it. share_high and
--   share_low are the shares of both. Recommend such a movie by taste, never by its mean.
-- Change: Reads all ratings. The 50 keeps out movies whose spread is chance.
SELECT
    m.movie_id,
    m.title,
    m.year,
    c.ratings,
    round(c.mean::numeric, 2) AS mean,
    round(c.spread::numeric, 3) AS spread,
    c.share_high,
    c.share_low
FROM (
    SELECT
        r.movie_id,
        count(*) AS ratings,
        avg(r.rating) AS mean,
        stddev_samp(r.rating) AS spread,
        round(avg((r.rating > (s.rating_min + s.rating_max) / 2 + 0.25 * (s.rating_max - s.rating_min))::integer), 2) AS share_high,
        round(avg((r.rating < (s.rating_min + s.rating_max) / 2 - 0.125 * (s.rating_max - s.rating_min))::integer), 2) AS share_low
    FROM recsys.ratings AS r
    CROSS JOIN recsys.rating_scale() AS s
    GROUP BY r.movie_id
    HAVING count(*) >= 50
) AS c
JOIN recsys.movies AS m ON m.movie_id = c.movie_id
ORDER BY c.spread DESC, m.movie_id
LIMIT 20;
