CREATE OR REPLACE FUNCTION recsys.require_n(n integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    IF require_n.n IS NULL THEN
        RAISE EXCEPTION 'n must not be NULL'
            USING ERRCODE = '22004', HINT = 'Omit it to use the default.';
    ELSIF require_n.n < 0 THEN
        RAISE EXCEPTION 'n must be 0 or more, not %', require_n.n USING ERRCODE = '22023';
    ELSIF require_n.n > 10000 THEN
        RAISE EXCEPTION 'n must be 10000 or less, not %', require_n.n
            USING ERRCODE = '22023', HINT = 'The views of the schema recsys have all rows.';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_n(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_n(integer) IS
'Internal: raises an error if n is NULL, negative or above 10000';
