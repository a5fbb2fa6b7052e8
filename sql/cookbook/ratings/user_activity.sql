-- Question: How active are users: how many of them have how many ratings?
-- Read off: Bounds double from row to row. Users in the first rows are new: a personal model
--   knows little about them, and user_status tells how they are served.
-- Change: Reads all ratings.
WITH people AS (
    SELECT r.user_id, count(*) AS ratings FROM recsys.ratings AS r GROUP BY r.user_id
)
SELECT
    (2 ^ floor(log(2, p.ratings)))::integer AS from_ratings,
    (2 ^ (floor(log(2, p.ratings)) + 1) - 1)::integer AS to_ratings,
    count(*) AS people,
    round(count(*) / sum(count(*)) OVER (), 4) AS share_of_people,
    round(sum(p.ratings) / sum(sum(p.ratings)) OVER (), 4) AS share_of_ratings
FROM people AS p
GROUP BY from_ratings, to_ratings
ORDER BY from_ratings;
