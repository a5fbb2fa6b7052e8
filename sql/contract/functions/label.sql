CREATE OR REPLACE FUNCTION recsys.label(model text, score double precision)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT recsys.label_of(m.labels, m.label_bounds, label.score)
    FROM recsys.models AS m
    WHERE m.model = label.model
$$;

COMMENT ON FUNCTION recsys.label(text, double precision) IS
'Puts the score of a model into words, such as recommended, by the labels in recsys.models. NULL for a model without labels';
