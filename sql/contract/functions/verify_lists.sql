CREATE OR REPLACE FUNCTION recsys.verify_lists(
    run_id integer DEFAULT NULL, users integer DEFAULT 1000
)
RETURNS TABLE (
    model text, users bigint, stored bigint, recomputed bigint, missing bigint, extra bigint,
    run_id integer
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT v.model, v.users, v.stored, v.recomputed, v.missing, v.extra, v.run_id
    FROM recsys.verify_lists_rows(verify_lists.run_id, verify_lists.users) AS v
$$;

COMMENT ON FUNCTION recsys.verify_lists(integer, integer) IS
'Whether stored lists are what a run''s similarities lead to: for each model whose lists follow from them, the lists of so many users (NULL: of all), computed anew and compared row by row with EXCEPT ALL both ways. missing: rows that should be stored and are not; extra: rows that are and should not be. Users whose ratings have changed since the run read are left out. The published run, if none is named';
