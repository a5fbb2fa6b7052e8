CREATE OR REPLACE FUNCTION recsys.check_recommend_arguments(
    user_id integer, ratings jsonb, n integer, year_from integer, year_to integer
)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    -- One statement, because each costs as much as the checks.
    PERFORM
        recsys.require_n(check_recommend_arguments.n),
        CASE WHEN check_recommend_arguments.ratings IS NULL THEN
            recsys.require_id('user_id', check_recommend_arguments.user_id)
        END;
    IF check_recommend_arguments.year_from > check_recommend_arguments.year_to THEN
        RAISE EXCEPTION 'year_from % is after year_to %',
            check_recommend_arguments.year_from, check_recommend_arguments.year_to
            USING ERRCODE = '22023';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.check_recommend_arguments(integer, jsonb, integer, integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.check_recommend_arguments(integer, jsonb, integer, integer, integer) IS
'Internal: raises an error unless n, the user and the range of years are valid';
