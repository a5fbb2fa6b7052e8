CREATE OR REPLACE FUNCTION recsys.search_movies(query text, n integer DEFAULT 10)
RETURNS TABLE (movie_id integer, title text, year integer)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- Words of letters and digits only, so the text query needs no quoting.
    WITH asked AS (
        SELECT
            string_agg(word || ':*', ' & ') AS words,
            string_agg(word, ' ') AS phrase
        FROM regexp_split_to_table(lower(left(search_movies.query, 200)), '[^[:alnum:]]+') AS word
        WHERE word <> ''
    ),
    found AS (
        SELECT
            m.movie_id,
            m.title,
            m.year,
            btrim(regexp_replace(lower(m.title), '[^[:alnum:]]+', ' ', 'g')) AS plain
        FROM recsys_store.movies AS m
        -- Split as the query is: the parser alone would make numbers and paths of 571 and 9/11.
        WHERE to_tsvector('simple'::regconfig, regexp_replace(m.title, '[^[:alnum:]]+'::text, ' '::text, 'g'::text))
            @@ to_tsquery('simple', (SELECT words FROM asked))
    )
    SELECT f.movie_id, f.title, f.year::integer
    FROM found AS f
    CROSS JOIN asked
    LEFT JOIN recsys_store.movie_charts AS c
        ON c.run_id = (SELECT p.run_id FROM recsys_store.published AS p)
        AND c.model_id = (SELECT d.model_id FROM recsys_store.models AS d WHERE d.name = 'most_rated')
        AND c.genre_id IS NULL
        AND c.movie_id = f.movie_id
    ORDER BY
        f.plain = asked.phrase DESC,
        regexp_replace(f.plain, '^(the|an?) ', '') = asked.phrase DESC,
        starts_with(regexp_replace(f.plain, '^(the|an?) ', ''), asked.phrase) DESC,
        coalesce(c.votes, 0) DESC,
        f.movie_id
    LIMIT search_movies.n
$$;

COMMENT ON FUNCTION recsys.search_movies(text, integer) IS
'The n movies whose titles hold all words of the query, or words that begin so, in any order and case: whole titles first, then beginnings, then the most rated';
