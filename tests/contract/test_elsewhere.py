"""The contract after a dump and a restore, and through sessions that a pooler lends."""

from __future__ import annotations

import itertools
import re
import subprocess

import pytest
import sqlalchemy as sa

from recsys import Recommender
from recsys.storage.schema import versions
from recsys.storage.server.pool import PoolOptions

ANSWERS = (
    *(
        f"SELECT * FROM recsys.{name} AS v ORDER BY v"
        for name in (
            "movies", "ratings", "similar_movies", "recommendations", "charts", "publications",
            "ingests", "rejected_rows", "run_stages", "run_metrics",
        )
    ),
    "SELECT model, kind, score_meaning FROM recsys.models ORDER BY 1",
    "SELECT run_id, state, published, parameters, output_checksum FROM recsys.runs ORDER BY 1",
    "SELECT artefact, run_id, stale, ratings_since FROM recsys.freshness ORDER BY 1",
    *(f"SELECT * FROM recsys.recommend({user}, 20)" for user in (1, 2, 3, 81, 4711)),
    "SELECT * FROM recsys.recommend(1, 20, NULL, '{Drama}', 1955, 1990)",
    *(
        f"SELECT * FROM recsys.recommend(2, 12, '{model}')"
        for model in ("als", "blend", "hybrid_switching", "content", "random", "user_knn")
    ),
    """SELECT * FROM recsys.recommend_for('{"1": 5, "7": 2.5}', 20)""",
    "SELECT * FROM recsys.similar(1, 20)",
    "SELECT * FROM recsys.similar_users(1, 20)",
    "SELECT * FROM recsys.explain(1, (SELECT movie_id FROM recsys.recommend(1, 1)))",
    "SELECT recsys.predict_rating(1, 3), recsys.predict_rating(1, 3, 'user_knn')",
    "SELECT * FROM recsys.top_movies(20, 'Drama', 'popular')",
    "SELECT * FROM recsys.search_movies('flim 17', 5)",
    "SELECT status, ratings, ratings_since_run, explanation FROM recsys.user_status(1)",
    "SELECT status, ratings, ratings_since_run, explanation FROM recsys.user_status(3)",
    "SELECT * FROM recsys.recommendations_as_of(1, now(), 20)",
    "SELECT * FROM recsys.compare_runs(1, 1)",
    "SELECT * FROM recsys.verify_lists()",
)  # fmt: skip
CHANGES = (
    "SELECT recsys.rate(1, (SELECT movie_id FROM recsys.recommend(1, 1)), 4.5)",
    "SELECT recsys.block(2, (SELECT movie_id FROM recsys.recommend(2, 1)), NULL)",
)
# In no fixed order: COMMENTs on the restored objects are compared as well.
OBJECTS = """
SELECT c.relkind::text, c.relname::text, obj_description(c.oid, 'pg_class')
FROM pg_class AS c WHERE c.relnamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
UNION ALL
SELECT 'f', p.proname || pg_get_function_identity_arguments(p.oid), p.prosrc || coalesce(
    array_to_string(p.proconfig, ' '), '') || coalesce(obj_description(p.oid, 'pg_proc'), '')
FROM pg_proc AS p WHERE p.pronamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
UNION ALL
SELECT 't', t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t WHERE NOT t.tgisinternal
ORDER BY 1, 2
"""


def answers(connection, queries=ANSWERS):
    return {query: [tuple(row) for row in connection.execute(sa.text(query))] for query in queries}


@pytest.fixture
def restored(make_database, everything_template, empty_database, server_program, tmp_path):
    """The edition with every model and user 3 changed since, and the same after a restore."""
    original = make_database(everything_template)
    with original.transaction() as connection:
        connection.execute(sa.text("DELETE FROM recsys_store.ratings WHERE user_id = 3 "
                                   "AND movie_id = (SELECT min(movie_id) FROM recsys_store.ratings "
                                   "WHERE user_id = 3)"))  # fmt: skip
    dump = tmp_path / "recsys.dump"
    for program, *arguments in (
        ("pg_dump", "--format=custom", f"--file={dump}", original.url),
        ("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={empty_database.url}", dump),
    ):
        command = [server_program(program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True)
    return original, empty_database


@pytest.mark.slow
def test_a_restored_database_answers_as_before(restored):
    original, copy = restored
    with original.snapshot() as before, copy.snapshot() as after:
        assert answers(after) == answers(before)
        assert answers(after, [OBJECTS]) == answers(before, [OBJECTS])
        assert versions.contract_version(after) == versions.contract_version(before) is not None
        changed = after.execute(sa.text("SELECT source FROM recsys.recommend(3)")).scalars().all()
        assert changed == ["live"] * 10


def test_a_restored_database_accepts_new_runs(restored):
    for database in restored:
        with database.transaction() as connection:
            for change in CHANGES:
                connection.execute(sa.text(change))
    with restored[0].snapshot() as before, restored[1].snapshot() as after:
        people = [query for query in ANSWERS if re.search(r"recommend\([12]|status\(1", query)]
        assert answers(after, people) == answers(before, people)
        sources = {
            row.source for row in after.execute(sa.text("SELECT * FROM recsys.recommend(1)"))
        }
        assert sources == {"live"}


SETTINGS = "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name"
LEFT_BEHIND = """
SELECT (SELECT count(*) FROM pg_prepared_statements),
    (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
    (SELECT count(*) FROM pg_listening_channels())
"""


@pytest.mark.slow
def test_nothing_is_kept_in_a_session(make_database, everything_template):
    """Every transaction may be the only one of its session: PgBouncer's transaction mode."""
    database = make_database(everything_template)
    with database.session() as connection:
        before = answers(connection, [SETTINGS, LEFT_BEHIND])
        for query in (*ANSWERS, *CHANGES):
            connection.execute(sa.text(query)).all()
        assert answers(connection, [SETTINGS, LEFT_BEHIND]) == before


@pytest.mark.slow
def test_any_session_gives_the_same(make_database, everything_template):
    database = make_database(everything_template)
    with database.session() as one, database.session() as other:
        alone = answers(one)
        for query, session in itertools.product(ANSWERS, (one, other)):
            assert answers(session, [query])[query] == alone[query], query
            session.execute(sa.text("DISCARD PLANS"))


def test_the_python_api_sets_nothing_for_a_pooler(make_database, everything_template):
    database = make_database(everything_template)
    with Recommender(database, options=PoolOptions(2, 5.0, transaction_pooler=True)) as pooled:
        for _ in range(12):  # psycopg prepares what it has seen five times
            assert len(pooled.recommend(1)) == 10
        with pooled._pool._pool.connection() as lent:
            kept = lent.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            given = lent.execute(SETTINGS).fetchall()
    assert (kept, given) == ((0,), [])
