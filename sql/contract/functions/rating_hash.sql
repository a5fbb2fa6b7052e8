CREATE OR REPLACE FUNCTION recsys.rating_hash(movie_id integer, rating double precision)
RETURNS bigint
-- Inlined where it is called: neither STRICT nor SET.
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT hashint4extended(rating_hash.movie_id, hashfloat8extended(rating_hash.rating, 0))
$$;

COMMENT ON FUNCTION recsys.rating_hash(integer, double precision) IS
'Hash of a rating. bit_xor of it over a user''s ratings changes when a rating is added, changed or removed';
