CREATE OR REPLACE FUNCTION recsys.require_genres(genres text[])
RETURNS smallint[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    unknown text;
    names text;
BEGIN
    IF require_genres.genres IS NULL THEN
        RETURN NULL;
    ELSIF cardinality(require_genres.genres) > 100 THEN
        RAISE EXCEPTION 'genres has % names, at most 100 are allowed',
            cardinality(require_genres.genres)
            USING ERRCODE = '22023', HINT = 'Name each genre once.';
    END IF;
    SELECT a.name INTO unknown
    FROM unnest(require_genres.genres) AS a (name)
    WHERE NOT EXISTS (SELECT FROM recsys_store.genres AS g WHERE lower(g.name) = lower(a.name))
    LIMIT 1;
    IF FOUND THEN
        SELECT string_agg(g.name, ', ' ORDER BY g.name) INTO names FROM recsys_store.genres AS g;
        RAISE EXCEPTION 'there is no genre %', quote_nullable(left(unknown, 100))
            USING ERRCODE = 'RS003', HINT = 'There are: ' || coalesce(names, 'none') || '.';
    END IF;
    RETURN ARRAY(
        SELECT g.genre_id FROM recsys_store.genres AS g
        WHERE lower(g.name) = ANY (lower(require_genres.genres::text)::text[])
    );
END
$$;

REVOKE ALL ON FUNCTION recsys.require_genres(text[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_genres(text[]) IS
'Internal: numbers of the named genres, in any case; NULL for NULL; raises an error if one is unknown or there are more than 100';
