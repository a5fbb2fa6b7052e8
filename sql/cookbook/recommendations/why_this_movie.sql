-- Question: Why do we show a person this movie?
-- Read off: Each row is a movie the person rated and what it adds to the score; contributions
--   add up to it if exact is true. Shared genres and tags are what the two have in
--   common, whether or not the model looks at them.
-- Change: The person 1; the movie is the first of their list, any other id will do.
SELECT
    e.because_title, e.rating, round(e.contribution::numeric, 4) AS contribution,
    round(e.share::numeric, 3) AS share, round(e.score::numeric, 4) AS score, e.source, e.model,
    e.exact, e.shared_genres, e.shared_tags
FROM recsys.explain(1, (SELECT r.movie_id FROM recsys.recommend(1, 1) AS r)) AS e
ORDER BY e.contribution DESC, e.because_movie_id
LIMIT 10;
