CREATE OR REPLACE FUNCTION recsys.top_movies(
    n integer DEFAULT 10, genre text DEFAULT NULL, chart text DEFAULT 'top_rated'
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, votes bigint,
    mean_rating double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT c.rank, c.movie_id, m.title, c.score, c.votes, c.mean_rating
    FROM recsys_store.movie_charts AS c
    JOIN recsys_store.movies AS m ON m.movie_id = c.movie_id
    WHERE c.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
      AND c.model_id = (SELECT d.model_id FROM recsys_store.models AS d WHERE d.name = top_movies.chart)
      AND c.genre_id IS NOT DISTINCT FROM (
          SELECT g.genre_id FROM recsys_store.genres AS g
          WHERE lower(g.name) = lower(top_movies.genre)
          ORDER BY g.name
          LIMIT 1
      )
      AND (
          top_movies.genre IS NULL
          OR EXISTS (
              SELECT FROM recsys_store.genres AS g WHERE lower(g.name) = lower(top_movies.genre)
          )
      )
    ORDER BY c.rank
    LIMIT top_movies.n
$$;

COMMENT ON FUNCTION recsys.top_movies(integer, text, text) IS
'The first n movies of a chart of the published run: top_rated, most_rated, popular, trending, exploratory or random, of all movies or of one genre (in any case). No rows where there is no such chart or genre';
