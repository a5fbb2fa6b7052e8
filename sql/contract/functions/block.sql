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
