DROP FUNCTION IF EXISTS recsys.misspelt(text[]);  -- its name before

CREATE OR REPLACE FUNCTION recsys.spelling_variants(words text[])
RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- Movies are indexed by their words with each letter made _ in turn.
    SELECT string_agg('(' || concat_ws(' | ', format('''%s'':*', w.word), s.spellings) || ')', ' & ')::tsquery
    FROM unnest(spelling_variants.words) AS w (word)
    LEFT JOIN LATERAL (
        SELECT string_agg(
            concat_ws(
                ' | ',
                format('''_%s''', overlay(w.word PLACING '_' FROM i)),
                format('''_%s''', overlay(w.word PLACING '_' FROM i FOR 0)),
                format('''%s''', overlay(w.word PLACING '' FROM i FOR 1)),
                format(
                    '''%s''',
                    overlay(w.word PLACING substr(w.word, i + 1, 1) || substr(w.word, i, 1) FROM i FOR 2)
                )
            ),
            ' | '
        ) AS spellings
        FROM generate_series(1, length(w.word)) AS i
    ) AS s ON w.word ~ '^[^0-9]{4,30}$'
$$;

REVOKE ALL ON FUNCTION recsys.spelling_variants(text[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.spelling_variants(text[]) IS
'Internal: full-text query for movies that have all these folded words, words that start with them or, from four letters on, words with one typing error';
