CREATE OR REPLACE FUNCTION recsys.require_id(name text, id integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    IF require_id.id IS NULL THEN
        RAISE EXCEPTION '% must not be NULL', require_id.name USING ERRCODE = '22004';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_id(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_id(text, integer) IS
'Internal: raises an error if an id is NULL';
