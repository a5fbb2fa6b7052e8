-- Question: How many ratings came in each year, from how many people, and did the mean change?
-- Read off: A jump in ratings or people is a change of the source, not of taste. A mean that
--   drifts shows that people use the scale differently. The row without a year has the
--   ratings without a time.
-- Change: Reads all ratings. 'month' in place of 'year' gives months.
SELECT
    date_trunc('year', r.rated_at)::date AS period,
    count(*) AS ratings,
    count(DISTINCT r.user_id) AS people,
    count(DISTINCT r.movie_id) AS movies,
    round(avg(r.rating)::numeric, 3) AS mean
FROM recsys.ratings AS r
GROUP BY period
ORDER BY period;
