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
    INSERT INTO recsys_store.users AS u (user_id, key)
    VALUES (ensure_user.user_id, ensure_user.user_id::text)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND AND NOT EXISTS (
        SELECT FROM recsys_store.users AS u WHERE u.user_id = ensure_user.user_id
    ) THEN
        RAISE EXCEPTION 'user_id % cannot be added: another user has the key %',
            ensure_user.user_id, ensure_user.user_id
            USING ERRCODE = '23505', HINT = 'Name the user by key.';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.ensure_user(integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.ensure_user(integer) IS
'Internal: adds a user unless it exists; raises an error if the id is invalid';
