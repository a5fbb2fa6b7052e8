CREATE OR REPLACE FUNCTION recsys.similar(
    movie_id integer, n integer DEFAULT 10, model text DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, model text, run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH asked AS (
        SELECT p.run_id, d.model_id, d.name
        FROM recsys_store.published AS p
        JOIN recsys_store.runs AS r ON r.run_id = p.run_id
        JOIN recsys_store.models AS d ON r.parameters -> 'models' ? d.name
        WHERE CASE
            WHEN "similar".model IS NOT NULL THEN d.name = "similar".model
            ELSE EXISTS (
                SELECT FROM recsys_store.movie_similarities AS s
                -- Known before the scan begins, so that no other partition is read.
                WHERE s.run_id = (SELECT o.run_id FROM recsys_store.published AS o)
                  AND s.model_id = d.model_id
                  AND s.movie_id = "similar".movie_id AND s.score > 0
            )
        END
        -- Those that go by ratings before those that go by content.
        ORDER BY
            d.model_id = r.default_model_id DESC,
            array_position(ARRAY['ease', 'collective_ease', 'item_knn', 'als', 'collective_als', 'bpr', 'content', 'content_text', 'content_genres'], d.name),
            d.model_id
        LIMIT 1
    )
    SELECT s.rank::integer, s.similar_movie_id, m.title, s.score, (SELECT a.name FROM asked AS a), s.run_id
    FROM recsys_store.movie_similarities AS s
    JOIN recsys_store.movies AS m ON m.movie_id = s.similar_movie_id
    WHERE s.run_id = (SELECT a.run_id FROM asked AS a)
      AND s.model_id = (SELECT a.model_id FROM asked AS a)
      AND s.movie_id = "similar".movie_id
      AND s.score > 0
    ORDER BY s.rank
    LIMIT "similar".n
$$;

COMMENT ON FUNCTION recsys.similar(integer, integer, text) IS
'The n movies most similar to a movie in the published run, by the named model; without one by the default model, or another where that knows nothing of the movie. Weights that speak against a movie are left out';
