-- Question: How much of the catalogue does each model show?
-- Read off: coverage is the share of all movies in the first ten of at least one person; gini
--   is 0 if all these movies are shown equally often and near 1 if a few have all places.
--   A model with high accuracy and low coverage shows movies that everyone knows.
-- Change: rank <= 10.
WITH shown AS (
    SELECT r.model, r.movie_id, count(*) AS lists
    FROM recsys.recommendations AS r
    WHERE r.rank <= 10
    GROUP BY r.model, r.movie_id
),
placed AS (
    SELECT
        s.model, s.lists,
        row_number() OVER (PARTITION BY s.model ORDER BY s.lists, s.movie_id) AS place,
        count(*) OVER (PARTITION BY s.model) AS movies,
        sum(s.lists) OVER (PARTITION BY s.model) AS places
    FROM shown AS s
)
SELECT
    p.model,
    p.movies,
    round(p.movies::numeric / (SELECT count(*) FROM recsys.movies), 4) AS coverage,
    round((2 * sum(p.place * p.lists) / (p.movies * p.places) - (p.movies + 1.0) / p.movies)::numeric, 3) AS gini
FROM placed AS p
GROUP BY p.model, p.movies, p.places
ORDER BY coverage DESC, p.model;
