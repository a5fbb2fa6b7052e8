"""Runs of changed users, which share the results of a full run: what readers see of them."""

import pytest
import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.errors import RunError
from recsys.jobs.forget import forget, remembered
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune, publish, rollback
from recsys.jobs.refresh import refresh
from recsys.jobs.refresh_users import refresh_users

BY_MOVIE = ("movie_similarities", "movie_charts", "movie_factors", "networks")
BY_USER = ("user_recommendations", "user_factors", "user_similarities", "run_users")
# A run of its own with the same number, which holds all that run 2 shows.
COPY_BY_MOVIE = "INSERT INTO recsys_store.{table} SELECT * FROM of_run"
KEEP = "CREATE TEMPORARY TABLE of_run ON COMMIT DROP AS SELECT t.* FROM recsys_store.{table} AS t "
OF_MOVIES = "WHERE t.run_id = 1"
OF_USERS = """
WHERE (t.run_id = 2 OR t.run_id = 1 AND NOT EXISTS (
    SELECT FROM recsys_store.run_users AS u WHERE u.run_id = 2 AND u.user_id = t.user_id
)) {with_ratings}
"""
VIEWS = (
    "charts", "freshness", "models", "movies", "movie_details", "publications", "ratings",
    "recommendations", "run_metrics", "run_stages", "runs", "similar_movies",
)  # fmt: skip
USERS = (1, 2, 3, 4, 5, 6, 81, 900)
QUERIES = {
    **{
        view: f"SELECT to_jsonb(v) - '{{age,size}}'::text[] FROM recsys.{view} AS v"
        for view in VIEWS
    },
    "recommend": """
        SELECT u, m.model, r.* FROM unnest(:users) AS u
        CROSS JOIN (SELECT model FROM recsys.models UNION SELECT NULL) AS m
        CROSS JOIN LATERAL recsys.recommend(u, 40, m.model) AS r
    """,
    "filtered": """
        SELECT u, m.model, r.* FROM unnest(:users) AS u, recsys.models AS m,
            recsys.recommend(u, 5, m.model, '{Drama}', 1960) AS r
    """,
    "given": """
        SELECT m.model, r.* FROM recsys.models AS m,
            recsys.recommend_for('{"1": 5.0, "7": 2}', 30, m.model) AS r
    """,
    "as of": "SELECT u, r.* FROM unnest(:users) AS u, recsys.recommendations_as_of(u, now()) AS r",
    "explain": """
        SELECT u, i.movie_id, m.model, e.* FROM unnest(:users) AS u
        CROSS JOIN recsys.models AS m
        CROSS JOIN LATERAL recsys.recommend(u, 3, m.model) AS i
        CROSS JOIN LATERAL recsys.explain(u, i.movie_id, m.model) AS e
    """,
    "predict": """
        SELECT u, i, m.model, recsys.predict_rating(u, i, m.model)
        FROM unnest(:users) AS u, generate_series(1, 60) AS i, recsys.models AS m
    """,
    "status": """
        SELECT u, to_jsonb(s) - 'run_age' FROM unnest(:users) AS u, recsys.user_status(u) AS s
    """,
    "taste": "SELECT u, s.* FROM unnest(:users) AS u, recsys.user_taste(u) AS s",
    "similar": """
        SELECT i, m.model, s.* FROM generate_series(1, 60) AS i, recsys.models AS m,
            recsys.similar(i, 30, m.model) AS s
    """,
    "similar users": """
        SELECT u, s.* FROM unnest(:users) AS u, recsys.similar_users(u, 30, 'user_knn') AS s
    """,
    "top": """
        SELECT m.model, t.* FROM recsys.models AS m, recsys.top_movies(50, 'Drama', m.model) AS t
        WHERE m.kind = 'chart'
    """,
    "search": "SELECT * FROM recsys.search_movies('film', 20)",
    "scale": "SELECT * FROM recsys.rating_scale()",
    "verify": "SELECT * FROM recsys.verify_lists(2, NULL)",
    "compare": """
        SELECT * FROM recsys.compare_runs(1, 2)
        UNION ALL SELECT * FROM recsys.compare_runs(2, 1, 3)
        UNION ALL SELECT * FROM recsys.compare_runs(2, 2)
    """,
}
RATE = "SELECT recsys.rate({}, {}, {})"
CHANGES = (
    RATE.format(1, 59, 4),
    "UPDATE recsys_store.ratings SET rating = 1 WHERE user_id = 2 AND movie_id = ("
    "SELECT min(movie_id) FROM recsys_store.ratings WHERE user_id = 2)",
    "DELETE FROM recsys_store.ratings WHERE user_id = 3",
    RATE.format(900, 1, 5),
    RATE.format(900, 8, 2),
)
LATER = (RATE.format(4, 59, 2), "SELECT recsys.block(1, 3)")
STATES = "SELECT run_id, scope, pruned_at IS NULL FROM recsys.runs ORDER BY run_id"
FIRST = "SELECT movie_id, source, model, run_id FROM recsys.recommend({}, 3, {})"
SIZES = r"""
SELECT regexp_replace(c.relname, '_run_\d+$', ''), CAST(c.reltuples AS integer) FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relname ~ '_run_{run}$' ORDER BY 1
"""


def rows_of(database, query, **given):
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), given)]


def change(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def answers(database):
    """Return the sorted rows of every query, as text."""
    given = {"users": list(USERS)}
    return {
        name: sorted(map(repr, rows_of(database, query, **(given if ":users" in query else {}))))
        for name, query in QUERIES.items()
    }


def copy_in_full(database):
    """Give run 2 all results that it shows, in partitions of its own."""
    for table in (*BY_MOVIE, *BY_USER[:-1], "run_users"):
        with_ratings = "AND t.ratings_count > 0" if table == "run_users" else ""
        which = OF_MOVIES if table in BY_MOVIE else OF_USERS.format(with_ratings=with_ratings)
        change(
            database,
            KEEP.format(table=table) + which,
            "UPDATE of_run SET run_id = 2",
            f"DROP TABLE IF EXISTS recsys_store.{table}_run_2",
            f"CREATE TABLE recsys_store.{table}_run_2 PARTITION OF recsys_store.{table} "
            "FOR VALUES IN (2)",
            COPY_BY_MOVIE.format(table=table),
        )
    change(
        database,
        "UPDATE recsys_store.runs AS r SET shared_run_id = NULL, ratings_mean = f.ratings_mean "
        "FROM recsys_store.runs AS f WHERE r.run_id = 2 AND f.run_id = 1",
    )


@pytest.mark.slow
def test_readers_see_what_a_full_copy_would_show(
    make_database, everything_template, plan_everything
):
    database = make_database(everything_template)
    # Transactions of other tests that were rolled back have taken numbers too.
    change(database, "ALTER TABLE recsys_store.runs ALTER run_id RESTART WITH 2", *CHANGES)
    assert refresh_users(database, plan_everything).run_id == 2
    change(database, *LATER)
    shared = answers(database)
    copy_in_full(database)
    full = answers(database)
    assert [name for name in QUERIES if shared[name] != full[name]] == []
    assert min(map(len, shared.values())) > 0


@pytest.fixture
def after(refreshed_database, plan_all):
    """Run 2 of four changed users, which shares the results of run 1."""
    change(refreshed_database, *CHANGES)
    refresh_users(refreshed_database, plan_all)
    return refreshed_database


def sizes(database, run):
    return dict(rows_of(database, SIZES.format(run=run)))


def first(database, user, model="ease"):
    return rows_of(database, FIRST.format(user, f"'{model}'"))


# Each of three users who have ratings has a list of each of these models; als and mf have factors.
MODELS = 5


def test_a_run_has_partitions_of_changed_users_only(after, plan_all):
    models = sum(spec.kind == "personal" for spec in plan_all.specs)
    assert models == MODELS
    assert sizes(after, 2) == {
        "run_users": 4, "user_factors": 3 * 2, "user_recommendations": 3 * MODELS,
    }  # fmt: skip
    seen = "SELECT user_id, ratings_count FROM recsys_store.run_users WHERE run_id = 2 ORDER BY 1"
    assert [row for row in rows_of(after, seen) if row[0] in (3, 900)] == [(3, 0), (900, 2)]
    [(small, large)] = rows_of(after, "SELECT recsys.run_size(2), recsys.run_size(1)")
    assert 0 < small < large


def test_every_model_answers_for_changed_users(after, plan_all):
    for spec in plan_all.specs:
        for user in (1, 2, 900):
            assert {row[1:] for row in first(after, user, spec.name)} == {
                ("stored", spec.name, 2)
            }, (spec.name, user)
    # No rating is left of user 3.
    assert {row[1:] for row in first(after, 3, "als")} == {("chart", "trending", 2)}


def test_later_runs_hold_all_users_changed_since_the_full_run(after, plan_all):
    lists = {user: first(after, user, "als") for user in (2, 900)}
    change(after, RATE.format(1, 58, 1), RATE.format(4, 59, 5), RATE.format(3, 7, 4))
    assert refresh_users(after, plan_all).run_id == 3
    assert sizes(after, 3) == {
        "run_users": 5, "user_factors": 5 * 2, "user_recommendations": 5 * MODELS,
    }  # fmt: skip
    sharing = "SELECT run_id, base_run_id, shared_run_id FROM recsys_store.runs ORDER BY run_id"
    assert rows_of(after, sharing) == [(1, None, None), (2, 1, 1), (3, 1, 1)]
    # Users whose ratings did not change again keep their lists.
    for user, before in lists.items():
        assert [row[:3] for row in first(after, user, "als")] == [row[:3] for row in before]
    for user in (1, 3, 4):
        assert {row[1:] for row in first(after, user, "mf")} == {("stored", "mf", 3)}
    verified = "SELECT model, users, missing, extra FROM recsys.verify_lists(NULL, NULL)"
    assert rows_of(after, verified) == [("ease", 81, 0, 0), ("item_knn", 81, 0, 0)]


def test_users_with_their_old_ratings_again_have_the_results_of_the_full_run(after, plan_all):
    change(
        after,
        "DELETE FROM recsys_store.ratings WHERE (user_id, movie_id) = (1, 59) OR user_id = 900",
    )
    assert refresh_users(after, plan_all).run_id == 3
    kept = "SELECT user_id FROM recsys_store.run_users WHERE run_id = 3 ORDER BY 1"
    assert rows_of(after, kept) == [(2,), (3,)]
    change(after, "UPDATE recsys_store.published SET run_id = 1")
    before = [row[:3] for row in first(after, 1, "mf")]
    change(after, "UPDATE recsys_store.published SET run_id = 3")
    assert [row[:3] for row in first(after, 1, "mf")] == before


def test_a_shared_run_is_kept_as_long_as_a_run_shares_it(after, plan_all):
    change(after, RATE.format(4, 59, 5))
    refresh_users(after, plan_all)
    assert prune(after, 1) == [2]
    assert rows_of(after, STATES) == [(1, "full", True), (2, "users", False), (3, "users", True)]
    assert first(after, 5)[0][1:] == ("stored", "ease", 3)
    refresh(after, plan_all)
    assert prune(after, 1) == [1, 3]
    left = r"SELECT count(*) FROM pg_class WHERE relname ~ '_run_[123]$' AND relkind = 'r'"
    assert rows_of(after, left) == [(0,)]


def test_rollback_leads_over_runs_that_share(after, plan_all):
    lists = {2: first(after, 1, "als")}
    change(after, RATE.format(1, 57, 1))
    refresh_users(after, plan_all)
    assert first(after, 1, "als") != lists[2]
    change(after, "DELETE FROM recsys_store.ratings WHERE (user_id, movie_id) = (1, 57)")
    assert rollback(after).run_id == 2
    assert first(after, 1, "als") == lists[2]
    assert rollback(after).run_id == 1
    assert {row[3] for row in first(after, 5)} == {1}
    publish(after, 3)
    assert {row[3] for row in first(after, 5)} == {3}
    with pytest.raises(RunError, match=r"^no run was published before"):
        [rollback(after) for _ in range(5)]


def test_a_run_whose_shared_results_were_dropped_is_not_published(after):
    change(
        after,
        "UPDATE recsys_store.published SET run_id = 1",
        "UPDATE recsys_store.runs SET pruned_at = '2026-01-02 03:04Z' WHERE run_id = 1",
    )
    wanted = (
        r"^run 2 cannot be published: it shares the results of run 1: "
        r"its results were dropped on 2026-01-02 03:04 UTC"
    )
    with pytest.raises(RunError, match=wanted):
        publish(after, 2)


def test_a_changed_user_is_forgotten_everywhere(after, plan_all):
    forget(after, 1)
    assert not any(remembered(after, 1).values())
    assert {row[1] for row in first(after, 1)} == {"chart"}
    assert not refresh_users(after, plan_all).changed


def test_deleted_movies_are_left_out_of_what_readers_see(after, plan_all):
    [(movie,)] = rows_of(after, "SELECT movie_id FROM recsys.recommend(1, 1)")
    change(
        after,
        *(
            f"DELETE FROM recsys_store.{table} WHERE movie_id = {movie}"
            for table in ("ratings", "tags", "movie_genres", "movies")
        ),
        RATE.format(1, 57, 1),
    )
    refresh_users(after, plan_all)
    for spec in plan_all.specs:
        found = rows_of(after, FIRST.format(1, f"'{spec.name}'"))
        assert len(found) == 3
        assert movie not in {row[0] for row in found}
    verified = rows_of(after, "SELECT missing, extra FROM recsys.verify_lists(NULL, NULL)")
    assert verified == [(0, 0)] * 2


# --- killed half-way ---

HOLDING_STILL = """
import sys, time
from recsys.config.settings import RefreshSettings
from recsys.jobs import plan, refresh_users
from recsys.storage.server.engine import Database
def hold_still(*arguments, **named):
    print("here", flush=True)
    time.sleep(600)
refresh_users.{patched} = hold_still
chosen = plan.plan(RefreshSettings(threads=1, parameters={parameters}))
refresh_users.refresh_users(Database(sys.argv[1]), chosen)
"""
LEFT = r"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '_run_{}$'"
KILLED_WHEN = {
    "reading": ("restore", False),
    "writing": ("changed_users.finish", False),
    "written": ("attach", True),
    "publishing": ("publication.publish", True),
}


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(when, marks=[] if when == "publishing" else pytest.mark.slow)
        for when in KILLED_WHEN
    ],
)
def test_a_killed_one_is_cleared_up_by_the_next(
    refreshed_database, plan_all, when, start_other, wait_until_alone
):
    change(refreshed_database, *CHANGES)
    before = first(refreshed_database, 5)
    patched, written = KILLED_WHEN[when]
    code = HOLDING_STILL.format(patched=patched, parameters=plan_all.settings.parameters)
    killed = start_other(code, refreshed_database.url)
    killed.kill()
    wait_until_alone(refreshed_database)
    assert first(refreshed_database, 5) == before
    assert (rows_of(refreshed_database, LEFT.format(2)) > [(0,)]) == written
    # The run that it shares is not dropped from under a run that may still be computing.
    assert prune(refreshed_database, 1) == []
    assert refresh_users(refreshed_database, plan_all).run_id == 3
    states = "SELECT run_id, state, published FROM recsys.runs ORDER BY 1"
    assert rows_of(refreshed_database, states) == [
        (1, "complete", False), (2, "failed", False), (3, "complete", True),
    ]  # fmt: skip
    assert rows_of(refreshed_database, LEFT.format(2)) == [(0,)]
    assert {row[1:] for row in first(refreshed_database, 1, "als")} == {("stored", "als", 3)}


def test_lists_by_age_follow_the_times_of_changed_users(filled_database):
    """user_knn reads all users again, the others only those that changed."""
    for models in (("most_rated", "slist"), ("most_rated", "slist", "user_knn")):
        chosen = plan(RefreshSettings(models=models, default_model=models[1], threads=1))
        full = refresh(filled_database, chosen, force="other models").run_id
        change(filled_database, RATE.format(1, 59, full % 4 + 1), RATE.format(2, 58, full % 4 + 1))
        assert refresh_users(filled_database, chosen).run_id == full + 1
        checked = rows_of(
            filled_database,
            "SELECT model, users > 50, missing, extra FROM recsys.verify_lists(NULL, NULL)",
        )
        assert {row[1:] for row in checked} == {(True, 0, 0)}
        assert "slist" in {row[0] for row in checked}
        own = "SELECT source, model FROM recsys.recommend(1, 1, 'slist')"
        assert rows_of(filled_database, own) == [("stored", "slist")]
