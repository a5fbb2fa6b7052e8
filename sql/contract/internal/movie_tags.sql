CREATE OR REPLACE FUNCTION recsys.movie_tags(movie_id integer)
RETURNS TABLE (tag text)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT lower(t.tag) FROM recsys_store.tags AS t WHERE t.movie_id = movie_tags.movie_id
    UNION
    SELECT lower(k.name)
    FROM recsys_store.movie_keywords AS mk
    JOIN recsys_store.keywords AS k ON k.keyword_id = mk.keyword_id
    WHERE mk.movie_id = movie_tags.movie_id
$$;

REVOKE ALL ON FUNCTION recsys.movie_tags(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.movie_tags(integer) IS
'Internal: the tags and keywords of a movie, in lower case';
