CREATE OR REPLACE FUNCTION recsys.asked_user(user_key text)
RETURNS integer
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN asked_user.user_key IS NOT NULL THEN coalesce(recsys.user_id(asked_user.user_key), -1)
    END
$$;

COMMENT ON FUNCTION recsys.asked_user(text) IS
'Internal: the id of a user by key; -1, which no user has, for an unknown key';
