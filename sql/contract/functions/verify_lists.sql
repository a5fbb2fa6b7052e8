CREATE OR REPLACE FUNCTION recsys.verify_lists(
    run_id integer DEFAULT NULL, users integer DEFAULT 100
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
'Checks stored lists against a run''s similarities, by default those of the published run. For each model whose lists follow from its similarities, the lists of the given number of users are computed again and compared row by row with EXCEPT ALL, both ways. users: at most 100; members of the owner of the contract, such as recsys_job, may check any number, and all with NULL. missing: rows that should be stored and are not; extra: rows that are stored and should not be. Users whose ratings changed since the snapshot of the run are left out';
