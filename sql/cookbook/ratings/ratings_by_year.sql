-- Question: How many ratings came in each year, by how many people, and did they get milder?
-- Read off: A break in ratings or people is a change of the source, not of taste; a mean that
--   drifts is one of the scale's use. Ratings without a time are the row without a year.
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
