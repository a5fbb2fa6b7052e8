CREATE OR REPLACE FUNCTION recsys.require_ability(run_id integer, model text, ability text)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    names text[];
BEGIN
    SELECT coalesce(array_agg(m.name ORDER BY m.name), '{}') INTO names
    FROM recsys_store.runs AS r
    JOIN recsys_store.models AS m ON r.parameters -> 'models' ? m.name
    WHERE r.run_id = require_ability.run_id
      AND CASE require_ability.ability
          WHEN 'similar movies' THEN m.kind <> 'chart'
          WHEN 'similar users' THEN m.prediction = 'user_neighbours'
          WHEN 'predicted ratings' THEN m.prediction IS NOT NULL
      END;
    IF require_ability.model <> ALL (names) THEN
        RAISE EXCEPTION 'no % of a model % are published',
            require_ability.ability, quote_literal(require_ability.model)
            USING ERRCODE = '22023', HINT = CASE
                WHEN names = '{}' THEN 'Name one in [refresh] models of recsys.toml, then `recsys refresh`.'
                ELSE 'Models that give them: ' || array_to_string(names, ', ') || '.'
            END;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION recsys.require_ability(integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION recsys.require_ability(integer, text, text) IS
'Internal: raises where a model of the run never gives similar movies, similar users or predicted ratings; without a name nothing is asked';
