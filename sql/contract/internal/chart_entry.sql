CREATE OR REPLACE FUNCTION recsys.chart_entry(run_id integer, model_id smallint, user_id integer)
RETURNS TABLE (entry integer)
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT (coalesce(chart_entry.user_id, 0) * 2654435761 % max(c.rank))::integer
    FROM recsys_store.movie_charts AS c
    WHERE c.run_id = chart_entry.run_id
      AND c.model_id = chart_entry.model_id
      AND c.genre_id IS NULL
$$;

REVOKE ALL ON FUNCTION recsys.chart_entry(integer, smallint, integer) FROM PUBLIC;
COMMENT ON FUNCTION recsys.chart_entry(integer, smallint, integer) IS
'Internal: the place after which a user enters a chart that each user enters elsewhere';
