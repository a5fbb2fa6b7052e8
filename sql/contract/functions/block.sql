CREATE OR REPLACE FUNCTION recsys.block(
    user_id integer, movie_id integer, until timestamptz DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM recsys.require_movie(block.movie_id);
    PERFORM recsys.ensure_user(block.user_id);
    INSERT INTO recsys_store.blocks AS b (user_id, movie_id, until, created_at)
    VALUES (block.user_id, block.movie_id, block.until, clock_timestamp())
    ON CONFLICT ON CONSTRAINT pk_blocks
    DO UPDATE SET until = excluded.until, created_at = excluded.created_at;
END
$$;

REVOKE ALL ON FUNCTION recsys.block(integer, integer, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION recsys.block(integer, integer, timestamptz) IS
'Keeps a movie out of a user''s recommendations until the given time, or for good if until is NULL; now() lifts the block. Adds an unknown user. For the app role';

CREATE OR REPLACE FUNCTION recsys.block(
    user_key text, movie_key text, until timestamptz DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked_movie_id CONSTANT integer := recsys.movie_of_key(block.movie_key);
BEGIN
    PERFORM recsys.block(recsys.ensure_user(block.user_key), asked_movie_id, block.until);
END
$$;

REVOKE ALL ON FUNCTION recsys.block(text, text, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION recsys.block(text, text, timestamptz) IS
'The same for a user and a movie by key. A number is a key here, too, and never an id';
