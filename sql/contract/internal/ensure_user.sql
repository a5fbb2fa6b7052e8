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

CREATE OR REPLACE FUNCTION recsys.ensure_user(user_key text)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    found_id integer;
BEGIN
    IF ensure_user.user_key IS NULL THEN
        RAISE EXCEPTION 'user_id must not be NULL' USING ERRCODE = '22004';
    END IF;
    LOOP
        found_id := (
            SELECT u.user_id FROM recsys_store.users AS u
            WHERE u.key = ensure_user.user_key COLLATE "C"
        );
        EXIT WHEN found_id IS NOT NULL;
        IF ensure_user.user_key = '' OR octet_length(ensure_user.user_key) > 512
            OR ensure_user.user_key COLLATE "C" ~ '[\u0001-\u001f\u007f-\u009f]'
        THEN
            RAISE EXCEPTION '% cannot be the key of a user', to_json(left(ensure_user.user_key, 100))
                USING ERRCODE = '22023',
                    HINT = 'A key has 1 to 512 bytes and no control characters.';
        END IF;
        -- Two sessions may choose the same id. The second one waits for the first, and then
        -- finds the key or chooses again.
        INSERT INTO recsys_store.users AS u (user_id, key)
        VALUES (recsys.new_user_id(ensure_user.user_key), ensure_user.user_key)
        ON CONFLICT DO NOTHING
        RETURNING u.user_id INTO found_id;
        EXIT WHEN found_id IS NOT NULL;
    END LOOP;
    RETURN found_id;
END
$$;

REVOKE ALL ON FUNCTION recsys.ensure_user(text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.ensure_user(text) IS
'Internal: the id of a user by key alone; adds the user unless there is one with this key';
