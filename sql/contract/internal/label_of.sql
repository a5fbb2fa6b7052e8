CREATE OR REPLACE FUNCTION recsys.label_of(
    labels text[], bounds double precision[], score double precision
)
RETURNS text
-- Inlined where it is called: neither STRICT nor SET.
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN label_of.labels IS NOT NULL AND label_of.score IS NOT NULL THEN (
        SELECT l.label
        FROM unnest(label_of.labels, label_of.bounds) WITH ORDINALITY AS l (label, bound, place)
        WHERE label_of.score > l.bound OR l.bound = '-Infinity'
        ORDER BY l.place
        LIMIT 1
    ) END
$$;

COMMENT ON FUNCTION recsys.label_of(text[], double precision[], double precision) IS
'Internal: the first label whose bound the score exceeds; NULL without labels or score';
