-- Question: How are ratings distributed, by genre?
-- Read off: One row per genre: share is the part of its ratings at each step of the scale, best
--   and worst are the shares of its two highest and two lowest steps. A genre with a high
--   mean and a low spread is liked by the people who choose it.
-- Change: Reads all ratings. For one genre put WHERE g.genre = 'Drama' before GROUP BY.
SELECT
    g.genre,
    count(*) AS ratings,
    round(avg(r.rating)::numeric, 3) AS mean,
    round(stddev_samp(r.rating)::numeric, 3) AS spread,
    round(avg((r.rating >= s.rating_max - 0.2 * (s.rating_max - s.rating_min))::integer), 3) AS best,
    round(avg((r.rating <= s.rating_min + 0.2 * (s.rating_max - s.rating_min))::integer), 3) AS worst
FROM recsys.ratings AS r
JOIN recsys.movies AS m ON m.movie_id = r.movie_id
CROSS JOIN LATERAL unnest(m.genres) AS g (genre)
CROSS JOIN recsys.rating_scale() AS s
GROUP BY g.genre
ORDER BY mean DESC, g.genre;
