DROP FUNCTION IF EXISTS recsys.require_user(integer);  -- its name before

CREATE OR REPLACE FUNCTION recsys.ensure_user(user_id integer)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM recsys.require_id('user_id', ensure_user.user_id);
    IF ensure_user.user_id < 0 THEN
        RAISE EXCEPTION 'user_id must be 0 or more, not %', ensure_user.user_id
            USING ERRCODE = '22023';
    END IF;
    INSERT INTO recsys_store.users AS u (user_id) VALUES (ensure_user.user_id)
    ON CONFLICT DO NOTHING;
END
$$;

REVOKE ALL ON FUNCTION recsys.ensure_user(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.ensure_user(integer) IS
'Internal: adds a user unless it exists; raises an error if the id is invalid';
