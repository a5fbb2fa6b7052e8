CREATE OR REPLACE FUNCTION recsys.new_user_id(user_key text)
RETURNS integer
-- Volatile: each call sees the users that other sessions have added meanwhile.
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    number CONSTANT bigint := CASE
        WHEN new_user_id.user_key COLLATE "C" ~ '^(0|[1-9][0-9]{0,9})$'
            THEN new_user_id.user_key::bigint
    END;
    highest CONSTANT bigint := coalesce((SELECT max(u.user_id) FROM recsys_store.users AS u), 0);
BEGIN
    IF number <= 2147483647 AND NOT EXISTS (
        SELECT FROM recsys_store.users AS u WHERE u.user_id = number
    ) THEN
        RETURN number;
    ELSIF highest < 2147483647 THEN
        RETURN highest + 1;
    END IF;
    RETURN (
        SELECT n.id
        FROM generate_series(0, (SELECT count(*) FROM recsys_store.users)) AS n (id)
        WHERE NOT EXISTS (SELECT FROM recsys_store.users AS u WHERE u.user_id = n.id)
        ORDER BY n.id
        LIMIT 1
    );
END
$$;

REVOKE ALL ON FUNCTION recsys.new_user_id(text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.new_user_id(text) IS
'Internal: the id for the key of a new user, by the rule of ingest: the number that the key is, if it is free, otherwise the one above the highest, otherwise the lowest that is free';
