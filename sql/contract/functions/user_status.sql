CREATE OR REPLACE FUNCTION recsys.user_status(user_id integer)
RETURNS TABLE (
    status text, ratings bigint, ratings_since_run bigint, run_age interval, run_id integer,
    explanation text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    asked record;
    run record;
    user_run_id integer;
    listed boolean := false;
BEGIN
    PERFORM recsys.require_id('user_id', user_status.user_id);
    ratings := (
        SELECT count(*) FROM recsys_store.ratings AS r WHERE r.user_id = user_status.user_id
    );
    IF NOT EXISTS (
        SELECT FROM recsys_store.users AS u WHERE u.user_id = user_status.user_id
    ) THEN
        status := 'unknown_user';
        explanation := 'there is no such user: recommend gives the chart';
    END IF;
    SELECT r.run_id, r.shared_run_id, r.snapshot_at, now() - r.snapshot_at AS age INTO run
    FROM recsys_store.published AS p
    JOIN recsys_store.runs AS r ON r.run_id = p.run_id;
    IF NOT FOUND THEN
        status := coalesce(status, 'cold_start');
        explanation := 'nothing is published yet: recommend fails';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT h.held_run_id INTO user_run_id
    FROM recsys.run_of_user(run.run_id, run.shared_run_id, user_status.user_id) AS h;
    run_id := run.run_id;
    run_age := run.age;
    ratings_since_run := CASE
        WHEN NOT (
            SELECT c.changed FROM recsys.ratings_changed(user_run_id, user_status.user_id) AS c
        ) THEN 0
        ELSE greatest(
            1,
            ratings - coalesce((
                SELECT s.ratings_count FROM recsys_store.run_users AS s
                WHERE s.run_id = user_run_id AND s.user_id = user_status.user_id
            ), 0),
            (
                SELECT count(*) FROM recsys_store.ratings AS r
                WHERE r.user_id = user_status.user_id AND r.rated_at > run.snapshot_at
            )
        )
    END;
    SELECT a.* INTO asked FROM recsys.resolve_models(NULL) AS a;
    IF status IS NOT NULL THEN
        NULL;
    ELSIF ratings = 0 THEN
        status := 'cold_start';
        explanation := 'has no ratings: recommend gives the chart';
    ELSIF ratings_since_run > 0 AND asked.live_id IS NOT NULL THEN
        status := 'live';
        explanation := format(
            'the ratings have changed since run %s: recommend follows them by %s', run_id, asked.live
        );
    ELSIF EXISTS (
        SELECT FROM recsys_store.user_recommendations AS u
        WHERE u.run_id = user_run_id AND u.model_id = asked.model_id
          AND u.user_id = user_status.user_id
    ) THEN
        status := 'personalised';
        explanation := format('run %s stored a list by %s', run_id, asked.name);
    ELSE
        status := 'cold_start';
        explanation := format(
            '%s found nothing to recommend to this user: recommend gives movies like those rated, then the chart',
            asked.name
        );
    END IF;
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION recsys.user_status(integer) IS
'Shows in one row how the default model serves a user. status: personalised, from the stored list; live, from the current ratings; cold_start, by content or from the chart; unknown_user. ratings_since_run: lower bound of the number of ratings that differ from the snapshot of the published run. run_age: time since the snapshot. explanation: the same in words';

CREATE OR REPLACE FUNCTION recsys.user_status(user_key text)
RETURNS TABLE (
    status text, ratings bigint, ratings_since_run bigint, run_age interval, run_id integer,
    explanation text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT s.status, s.ratings, s.ratings_since_run, s.run_age, s.run_id, s.explanation
    FROM recsys.user_status(recsys.asked_user(user_status.user_key)) AS s
$$;

COMMENT ON FUNCTION recsys.user_status(text) IS
'The same for a user by key';
