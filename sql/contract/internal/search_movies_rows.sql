CREATE OR REPLACE FUNCTION recsys.search_movies_rows(asked_query text, asked_n integer)
RETURNS TABLE (movie_id integer, title text, year integer, movie_key text)
-- Planned once per session, because it is called on each keystroke.
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    written text := left(asked_query, 200);
    words text[];
    passes tsquery[];
    wanted tsquery;
    found integer[];
    best integer[];
    given integer := 0;
    got integer;
    asked_run_id integer;
    votes_id smallint;
BEGIN
    PERFORM recsys.require_n(asked_n);
    IF asked_query IS NULL THEN
        RAISE EXCEPTION 'query must not be NULL' USING ERRCODE = '22004';
    END IF;
    -- A lone & is not a word, although it is one between others.
    IF recsys_store.folded(replace(written, '&', ' ')) = '' OR asked_n = 0 THEN
        RETURN;
    END IF;
    -- Cut to the length of the words in the index.
    SELECT array_agg(left(w.word, 100) ORDER BY w.place) INTO words
    FROM string_to_table(recsys_store.folded(written), ' ') WITH ORDINALITY AS w (word, place);
    SELECT p.run_id, p.model_id INTO asked_run_id, votes_id FROM recsys.popularity_chart() AS p;

    -- Folded words have neither quotes nor backslashes: quoting them is enough.
    SELECT string_agg(format('''%s'':*', w.word), ' & ')::tsquery INTO wanted
    FROM unnest(words) AS w (word);
    SELECT ARRAY[
        string_agg(format('''=%s''', n.name), ' | ')::tsquery && wanted,
        string_agg(format('''=%s'':*', n.name), ' | ')::tsquery && wanted,
        wanted
    ] INTO passes
    FROM (
        VALUES
            (recsys_store.bare_name(written)),
            (recsys_store.bare_name(regexp_replace(written, '\s*\(?(18|19|20)\d\d\)?\s*$', '')))
    ) AS n (name)
    WHERE n.name <> '';

    FOR pass IN 1..4 LOOP
        wanted := CASE pass WHEN 4 THEN recsys.spelling_variants(words) ELSE passes[pass] END;
        -- Leave out what an earlier pass returned, because it matches this one too.
        wanted := CASE pass WHEN 1 THEN wanted ELSE wanted && !!passes[pass - 1] END;
        found := ARRAY(
            SELECT m.movie_id FROM recsys_store.movies AS m
            WHERE recsys_store.search_terms(m.title, m.year) @@ wanted AND m.available
        );
        -- The chart leads to the most rated of many matches early; + 0 rules out its index by movie.
        IF cardinality(found) > 20::bigint * (asked_n - given) THEN
            best := ARRAY(
                SELECT c.movie_id FROM recsys_store.movie_charts AS c
                WHERE c.run_id = asked_run_id
                  AND c.model_id = votes_id
                  AND c.genre_id IS NULL
                  AND c.movie_id + 0 = ANY (found)
                ORDER BY c.genre_id, c.rank
                LIMIT asked_n - given
            );
            found := CASE WHEN cardinality(best) < asked_n - given THEN found ELSE best END;
        END IF;
        RETURN QUERY
        SELECT m.movie_id, m.title, m.year::integer, m.key
        FROM unnest(found) AS f (movie_id)
        JOIN recsys_store.movies AS m ON m.movie_id = f.movie_id
        LEFT JOIN recsys_store.movie_charts AS c
            ON c.run_id = asked_run_id
            AND c.model_id = votes_id
            AND c.genre_id IS NULL
            AND c.movie_id = f.movie_id
        ORDER BY coalesce(c.votes, 0) DESC, f.movie_id
        LIMIT asked_n - given;
        GET DIAGNOSTICS got = ROW_COUNT;
        given := given + got;
        EXIT WHEN given >= asked_n;
    END LOOP;
END
$$;

COMMENT ON FUNCTION recsys.search_movies_rows(text, integer) IS
'Internal: the rows of recsys.search_movies, which callers use instead';
