CREATE OR REPLACE FUNCTION recsys.label(model text, score double precision)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN label.model IS DISTINCT FROM 'pearson_average' OR label.score IS NULL THEN NULL
        WHEN label.score > 3.0 THEN 'strongly recommended'
        WHEN label.score > 0 THEN 'recommended'
        ELSE 'not recommended'
    END
$$;

COMMENT ON FUNCTION recsys.label(text, double precision) IS
'A score of pearson_average in words: strongly recommended above 3, recommended above 0, else not recommended. NULL for other models';
