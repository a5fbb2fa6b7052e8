CREATE OR REPLACE FUNCTION recsys.recommend_rows(
    asked_user_id integer,
    asked_n integer,
    asked_model text,
    asked_genres text[],
    asked_year_from integer,
    asked_year_to integer
)
RETURNS TABLE (
    rank integer, movie_id integer, title text, score double precision, source text, model text,
    run_id integer
)
-- Its plans are made once for a session, for any n, and what is not needed is not computed.
-- Nested loops along the keys stop at the nth row.
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off
SET enable_mergejoin = off
SET max_parallel_workers_per_gather = 0
AS $$
#variable_conflict use_column
DECLARE
    asked record;
    given integer;
    got integer;
    start integer := 0;
    genre_ids smallint[];
    content_ids integer[] := ARRAY[]::integer[];
    content_scores double precision[];
BEGIN
    SELECT p.run_id, m.model_id, m.name, c.model_id AS chart_id, c.name AS chart, similar_by.*
    INTO asked
    FROM recsys_store.published AS p
    JOIN recsys_store.runs AS r ON r.run_id = p.run_id
    JOIN recsys_store.models AS m ON CASE
        WHEN asked_model IS NULL THEN m.model_id = r.default_model_id
        ELSE m.name = asked_model AND r.parameters -> 'models' ? m.name
    END
    -- A chart that is asked for takes the place of the one for people nothing is known of.
    LEFT JOIN recsys_store.models AS c
        ON c.model_id = CASE WHEN m.kind = 'chart' THEN m.model_id ELSE r.cold_start_model_id END
    LEFT JOIN LATERAL (
        SELECT d.model_id AS content_id, d.name AS content
        FROM recsys_store.models AS d
        WHERE d.name IN ('content', 'content_text', 'content_genres')
          AND m.kind <> 'chart'
          AND r.parameters -> 'models' ? d.name
        ORDER BY d.name
        LIMIT 1
    ) AS similar_by ON true;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF asked_genres IS NOT NULL THEN
        genre_ids := ARRAY(
            SELECT g.genre_id FROM recsys_store.genres AS g
            WHERE lower(g.name) = ANY (lower(asked_genres::text)::text[])
        );
    END IF;

    RETURN QUERY
    SELECT
        (row_number() OVER (ORDER BY u.rank))::integer, u.movie_id, m.title, u.score,
        'stored', coalesce(s.name, asked.name), asked.run_id
    FROM recsys_store.user_recommendations AS u
    JOIN recsys.eligible_movies(
        asked_user_id, genre_ids, asked_year_from, asked_year_to
    ) AS m ON m.movie_id = u.movie_id
    LEFT JOIN recsys_store.models AS s ON s.model_id = u.source_model_id
    WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id AND u.user_id = asked_user_id
    ORDER BY u.rank
    LIMIT asked_n;
    GET DIAGNOSTICS given = ROW_COUNT;
    IF given >= asked_n THEN
        RETURN;
    END IF;

    -- Movies like those rated, by what they are. The whole list has been given by now.
    IF asked.content_id IS NOT NULL THEN
        SELECT array_agg(f.movie_id ORDER BY f.score DESC, f.movie_id),
            array_agg(f.score ORDER BY f.score DESC, f.movie_id)
        INTO content_ids, content_scores
        FROM (
            SELECT l.movie_id, l.score
            FROM (
                SELECT
                    s.similar_movie_id AS movie_id,
                    -- Rounded, so that equal movies tie in whatever order they are summed.
                    round((
                        sum(r.rating * s.score) / (
                            SELECT sum(o.rating) FROM recsys_store.ratings AS o
                            WHERE o.user_id = asked_user_id AND o.rating > 0
                        )
                    )::numeric, 12)::double precision AS score
                FROM recsys_store.ratings AS r
                JOIN recsys_store.movie_similarities AS s ON s.movie_id = r.movie_id
                WHERE r.user_id = asked_user_id
                  AND r.rating > 0
                  AND s.run_id = asked.run_id
                  AND s.model_id = asked.content_id
                GROUP BY s.similar_movie_id
            ) AS l
            JOIN recsys.eligible_movies(
                asked_user_id, genre_ids, asked_year_from, asked_year_to
            ) AS m ON m.movie_id = l.movie_id
            WHERE NOT EXISTS (
                SELECT FROM recsys_store.user_recommendations AS u
                WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id
                  AND u.user_id = asked_user_id AND u.movie_id = l.movie_id
            )
            ORDER BY l.score DESC, l.movie_id
            LIMIT asked_n - given
        ) AS f;
        content_ids := coalesce(content_ids, ARRAY[]::integer[]);
        RETURN QUERY
        SELECT given + f.place::integer, f.movie_id, m.title, f.score, 'content', asked.content, asked.run_id
        FROM unnest(content_ids, content_scores) WITH ORDINALITY AS f (movie_id, score, place)
        JOIN recsys_store.movies AS m ON m.movie_id = f.movie_id
        ORDER BY f.place;
        given := given + cardinality(content_ids);
    END IF;

    -- The chart. Each person enters the random one at a place of their own.
    IF asked.chart = 'random' THEN
        SELECT (asked_user_id * 2654435761 % max(c.rank))::integer INTO start
        FROM recsys_store.movie_charts AS c
        WHERE c.run_id = asked.run_id AND c.model_id = asked.chart_id AND c.genre_id IS NULL;
    END IF;
    FOR half IN 1..2 LOOP
        EXIT WHEN given >= asked_n OR (half = 2 AND start = 0);
        RETURN QUERY
        SELECT
            given + (row_number() OVER (ORDER BY c.genre_id, c.rank))::integer, c.movie_id, m.title, c.score,
            CASE WHEN asked.model_id = asked.chart_id THEN 'stored' ELSE 'popular' END,
            asked.chart, asked.run_id
        FROM recsys_store.movie_charts AS c
        JOIN recsys.eligible_movies(
            asked_user_id, genre_ids, asked_year_from, asked_year_to
        ) AS m ON m.movie_id = c.movie_id
        WHERE c.run_id = asked.run_id
          AND c.model_id = asked.chart_id
          AND c.genre_id IS NULL
          AND c.rank > CASE half WHEN 1 THEN start ELSE 0 END
          AND c.rank <= CASE half WHEN 1 THEN 2147483647 ELSE start END
          AND c.movie_id <> ALL (content_ids)
          AND NOT EXISTS (
              SELECT FROM recsys_store.user_recommendations AS u
              WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id
                AND u.user_id = asked_user_id AND u.movie_id = c.movie_id
          )
        -- As the index has it: to a planner, genre_id IS NULL does not make it a constant.
        ORDER BY c.genre_id, c.rank
        LIMIT asked_n - given;
        GET DIAGNOSTICS got = ROW_COUNT;
        given := given + got;
    END LOOP;
    IF given >= asked_n THEN
        RETURN;
    END IF;

    -- Movies the chart leaves out, most of them without ratings when the run read.
    RETURN QUERY
    SELECT
        given + (row_number() OVER (ORDER BY m.movie_id))::integer, m.movie_id, m.title,
        0.0::double precision, 'popular', asked.chart, asked.run_id
    FROM recsys.eligible_movies(
        asked_user_id, genre_ids, asked_year_from, asked_year_to
    ) AS m
    WHERE m.movie_id <> ALL (content_ids)
      AND NOT EXISTS (
          SELECT FROM recsys_store.movie_charts AS c
          WHERE c.run_id = asked.run_id AND c.model_id = asked.chart_id
            AND c.genre_id IS NULL AND c.movie_id = m.movie_id
      )
      AND NOT EXISTS (
          SELECT FROM recsys_store.user_recommendations AS u
          WHERE u.run_id = asked.run_id AND u.model_id = asked.model_id
            AND u.user_id = asked_user_id AND u.movie_id = m.movie_id
      )
    ORDER BY m.movie_id
    LIMIT asked_n - given;
END
$$;

COMMENT ON FUNCTION recsys.recommend_rows(integer, integer, text, text[], integer, integer) IS
'What recsys.recommend gives; call that';
