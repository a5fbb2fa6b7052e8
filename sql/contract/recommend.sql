CREATE OR REPLACE FUNCTION recsys.recommend(
    user_id integer,
    n integer DEFAULT 10,
    model text DEFAULT NULL,
    genres text[] DEFAULT NULL,
    year_from integer DEFAULT NULL,
    year_to integer DEFAULT NULL
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    WITH asked AS (
        SELECT
            p.run_id,
            coalesce(d.model_id, r.default_model_id) AS model_id,
            coalesce(d.name, f.name) AS model,
            popular.model_id AS popular_id
        FROM recsys_store.published AS p
        JOIN recsys_store.runs AS r ON r.run_id = p.run_id
        JOIN recsys_store.models AS f ON f.model_id = r.default_model_id
        JOIN recsys_store.models AS popular ON popular.name = 'most_rated'
        LEFT JOIN recsys_store.models AS d ON d.name = recommend.model
        WHERE recommend.model IS NULL OR d.model_id IS NOT NULL
    ),
    stored AS (
        SELECT 1 AS part, u.rank, u.movie_id, m.title, u.score
        FROM recsys_store.user_recommendations AS u
        JOIN recsys.eligible_movies(
            recommend.user_id, recommend.genres, recommend.year_from, recommend.year_to
        ) AS m ON m.movie_id = u.movie_id
        WHERE u.run_id = (SELECT a.run_id FROM asked AS a)
          AND u.model_id = (SELECT a.model_id FROM asked AS a)
          AND u.user_id = recommend.user_id
        ORDER BY u.rank
        LIMIT recommend.n
    ),
    popular AS (
        SELECT 2 AS part, c.rank, c.movie_id, m.title, c.score
        FROM recsys_store.movie_charts AS c
        JOIN recsys.eligible_movies(
            recommend.user_id, recommend.genres, recommend.year_from, recommend.year_to
        ) AS m ON m.movie_id = c.movie_id
        WHERE c.run_id = (SELECT a.run_id FROM asked AS a)
          AND c.model_id = (SELECT a.popular_id FROM asked AS a)
          AND c.genre_id IS NULL
          AND c.movie_id <> ALL (ARRAY(SELECT s.movie_id FROM stored AS s))
        ORDER BY c.rank
        LIMIT recommend.n - (SELECT count(*) FROM stored)
    ),
    unrated AS (
        -- Movies nobody had rated when the run read.
        SELECT 3 AS part, m.movie_id AS rank, m.movie_id, m.title, 0.0 AS score
        FROM recsys.eligible_movies(
            recommend.user_id, recommend.genres, recommend.year_from, recommend.year_to
        ) AS m
        WHERE EXISTS (SELECT FROM asked)
          AND m.movie_id <> ALL (ARRAY(SELECT s.movie_id FROM stored AS s))
          AND NOT EXISTS (
              SELECT FROM recsys_store.movie_charts AS c
              WHERE c.run_id = (SELECT a.run_id FROM asked AS a)
                AND c.model_id = (SELECT a.popular_id FROM asked AS a)
                AND c.genre_id IS NULL
                AND c.movie_id = m.movie_id
          )
        ORDER BY m.movie_id
        LIMIT recommend.n - (SELECT count(*) FROM stored) - (SELECT count(*) FROM popular)
    ),
    listed AS (
        SELECT * FROM stored
        UNION ALL
        SELECT * FROM popular
        UNION ALL
        SELECT * FROM unrated
    )
    SELECT
        (row_number() OVER (ORDER BY l.part, l.rank))::integer,
        l.movie_id,
        l.title,
        l.score,
        CASE l.part WHEN 1 THEN 'stored' ELSE 'popular' END,
        CASE l.part WHEN 1 THEN a.model ELSE 'most_rated' END,
        a.run_id
    FROM listed AS l
    CROSS JOIN asked AS a
    ORDER BY l.part, l.rank
$$;

COMMENT ON FUNCTION recsys.recommend(integer, integer, text, text[], integer, integer) IS
'The n movies to recommend to a user: stored rows of the published run first (source stored), then the most rated ones (source popular). Never one the user has rated or blocked, not even a moment ago; n rows whenever n movies fit. genres: of any of these, in any case; year_from, year_to: inclusive';
