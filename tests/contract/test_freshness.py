"""`freshness`: the age and staleness of published results, for monitoring."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from recsys.errors import RecsysError
from recsys.jobs.refresh import refresh
from recsys.storage.runs import publication, results

ARTEFACTS = ["charts", "factors", "recommendations", "similar_movies", "similar_users"]
FRESHNESS = sa.text("SELECT * FROM recsys.freshness ORDER BY artefact")
ATTEMPT = sa.text("""
INSERT INTO recsys_store.runs
    (kind, scope, base_run_id, state, started_at, finished_at, error, refused, seed, parameters,
     versions, backend)
VALUES (
    :kind, :scope, CASE WHEN :scope = 'users' THEN 1 END, :state,
    now() + make_interval(mins => :minute),
    CASE WHEN :state <> 'running' THEN now() END, :error, :refused, 1, '{}', '{}', 'here:1'
) RETURNING run_id
""")
SINCE = sa.text("SELECT DISTINCT ratings_since FROM recsys.freshness")


def rows(connection):
    return connection.execute(FRESHNESS).all()


def state(connection):
    """Return run_id, last_error, consecutive_failures and stale, which all artefacts share."""
    found = {
        (row.run_id, row.last_error, row.consecutive_failures, row.stale)
        for row in rows(connection)
    }
    return found.pop() if len(found) == 1 else found


def attempt(connection, **given):
    """Write a run that publishes nothing."""
    usual = {
        "kind": "refresh", "scope": "full", "state": "complete", "error": None, "refused": None,
        "minute": 1,
    }  # fmt: skip
    values = usual | given
    run_id = connection.scalar(ATTEMPT, values)
    assert isinstance(run_id, int)
    return run_id


def ratings_since(connection):
    return connection.scalar(SINCE)


def run(connection, statement):
    connection.execute(sa.text(statement))


def test_an_empty_database_is_stale_in_everything(connection):
    nothing = (None,) * 8
    assert [tuple(row) for row in rows(connection)] == [
        (artefact, *nothing, 0, None, True) for artefact in ARTEFACTS
    ]


def test_a_row_for_each_artefact_the_published_run_has(published, everything):
    assert [row.artefact for row in rows(everything)] == ARTEFACTS
    assert [row.artefact for row in rows(published)] == [
        "charts", "factors", "recommendations", "similar_movies",
    ]  # fmt: skip


def test_a_new_publication_is_fresh(published):
    row = rows(published)[0]
    run = published.execute(sa.text("SELECT * FROM recsys.runs")).one()
    entry = published.execute(sa.text("SELECT * FROM recsys.publications")).one()
    now = published.scalar(sa.text("SELECT now()"))
    assert row._asdict() == {
        "artefact": "charts",
        "run_id": 1,
        "published_at": entry.published_at,
        "snapshot_at": run.snapshot_at,
        "age": now - run.snapshot_at,
        "ratings_since": 0,
        "last_attempt_at": run.started_at,
        "last_attempt_run_id": 1,
        "last_error": None,
        "consecutive_failures": 0,
        "max_age": timedelta(hours=36),
        "stale": False,
    }


@pytest.mark.parametrize(
    ("age", "max_age", "stale"),
    [
        ("36 hours", "36 hours", False),
        ("36 hours 1 second", "36 hours", True),
        ("2 hours", "1 hour", True),
        ("10 years", None, False),
    ],
)
def test_stale_is_older_than_the_run_may_be(published, age, max_age, stale):
    published.execute(
        sa.text(
            "UPDATE recsys_store.runs SET snapshot_at = now() - CAST(:age AS interval), "
            "max_age = CAST(:max_age AS interval)"
        ),
        {"age": age, "max_age": max_age},
    )
    assert {row.stale for row in rows(published)} == {stale}


# --- attempts ---


def test_failed_and_refused_refreshes_count_until_one_is_published(published):
    assert state(published) == (1, None, 0, False)
    failed = attempt(published, state="failed", error="no memory", minute=1)
    assert state(published) == (1, "no memory", 1, False)
    refused = attempt(published, refused="too few rows", minute=2)
    assert state(published) == (1, "too few rows", 2, False)
    last = rows(published)[0]
    now = published.scalar(sa.text("SELECT now()"))
    assert (last.last_attempt_run_id, last.last_attempt_at) == (refused, now + timedelta(minutes=2))
    assert failed < refused
    attempt(published, state="running")
    attempt(published, kind="evaluation", state="failed", error="other business")
    assert state(published) == (1, "too few rows", 2, False)
    publication.publish(published, refused, reason="forced")
    assert state(published) == (refused, None, 0, False)


def test_a_refresh_that_does_not_publish_is_no_failure(published):
    tried = attempt(published)
    assert state(published) == (1, None, 0, False)
    assert rows(published)[0].last_attempt_run_id == tried
    attempt(published, state="failed", error="once")
    attempt(published)
    assert state(published) == (1, None, 1, False)


def test_trying_models_out_is_no_attempt(published):
    failed = attempt(published, state="failed", error="no memory")
    attempt(published, scope="models", state="failed", error="not a good idea", minute=2)
    attempt(published, scope="models", minute=3)
    assert state(published) == (1, "no memory", 1, False)
    assert rows(published)[0].last_attempt_run_id == failed
    of_users = attempt(published, scope="users", state="failed", error="no power", minute=4)
    assert state(published) == (1, "no power", 2, False)
    assert rows(published)[0].last_attempt_run_id == of_users


def test_failures_before_anything_is_published_are_counted(connection):
    attempt(connection, state="failed", error="no ratings")
    attempt(connection, state="failed", error="no ratings still")
    assert state(connection) == (None, "no ratings still", 2, True)
    assert [row.artefact for row in rows(connection)] == ARTEFACTS


def test_a_rollback_is_no_success(published):
    other = attempt(published)
    publication.publish(published, other)
    attempt(published, state="failed", error="no memory")
    publication.publish(published, 1, action="rollback")
    assert state(published) == (1, "no memory", 1, False)
    entry = published.execute(
        sa.text("SELECT * FROM recsys.publications ORDER BY publication_id DESC LIMIT 1")
    ).one()
    row = rows(published)[0]
    assert (row.run_id, row.published_at) == (1, entry.published_at)


def test_withdrawn_is_stale(published):
    run(published, "DELETE FROM recsys_store.published")
    run(published, "INSERT INTO recsys_store.publications (action) VALUES ('withdraw')")
    assert state(published) == (None, None, 0, True)
    assert [row.artefact for row in rows(published)] == ARTEFACTS


def test_a_real_refresh_that_fails_is_reported(filled_database, plan_all, monkeypatch):
    def fail(*_):
        raise RecsysError("the disk is full")

    refresh(filled_database, plan_all)
    monkeypatch.setattr(results, "finish", fail)
    with pytest.raises(RecsysError, match="the disk is full"):
        refresh(filled_database, plan_all)
    with filled_database.snapshot() as connection:
        assert state(connection) == (1, "the disk is full", 1, False)
        assert {row.last_attempt_run_id for row in rows(connection)} == {2}


# --- ratings since ---


def test_ratings_that_came_are_counted_by_the_users_they_are_of(published):
    # Unrated, so new for these users.
    run(published, "INSERT INTO recsys_store.ratings VALUES (1, 59, 4, '2001-01-01')")
    assert ratings_since(published) == 1
    run(published, "INSERT INTO recsys_store.ratings VALUES (2, 59, 4), (2, 60, 5)")
    assert ratings_since(published) == 3
    run(published, "INSERT INTO recsys_store.users (user_id, key) VALUES (4711, '4711')")
    assert ratings_since(published) == 3
    run(published, "INSERT INTO recsys_store.ratings VALUES (4711, 1, 4), (4711, 2, 5)")
    assert ratings_since(published) == 5


@pytest.mark.parametrize(
    ("statement", "since"),
    [
        ("UPDATE recsys_store.ratings SET rating = 1 WHERE user_id = 1", 1),
        ("UPDATE recsys_store.ratings SET rating = 1, rated_at = now() WHERE user_id = 1", "all"),
        ("UPDATE recsys_store.ratings SET rated_at = now() WHERE user_id = 1", 0),
        ("DELETE FROM recsys_store.ratings WHERE user_id = 1", 1),
        ("DELETE FROM recsys_store.ratings", 80),
    ],
)
def test_ratings_that_changed_or_went_are_not_missed(published, statement, since):
    given = published.scalar(sa.text("SELECT count(*) FROM recsys.ratings WHERE user_id = 1"))
    assert given > 1
    run(published, statement)
    assert ratings_since(published) == (given if since == "all" else since)


def test_freshness_counts_as_user_status_does(published):
    run(published, "INSERT INTO recsys_store.ratings VALUES (1, 59, 4), (1, 60, 4), (3, 59, 4)")
    run(published, "DELETE FROM recsys_store.ratings WHERE user_id = 5 AND movie_id < 10")
    each = published.scalars(
        sa.text(
            "SELECT s.ratings_since_run FROM generate_series(1, 80) AS u (user_id) "
            "CROSS JOIN recsys.user_status(u.user_id) AS s"
        )
    ).all()
    assert ratings_since(published) == sum(each) == 4


def test_a_run_that_kept_no_account_of_ratings_does_not_know(published):
    run(published, "DELETE FROM recsys_store.run_users")
    assert ratings_since(published) is None
    assert state(published) == (1, None, 0, False)


@pytest.mark.parametrize(("columns", "reads"), [("artefact, stale, last_error", 0), ("*", 1)])
def test_ratings_are_read_once_and_only_where_asked_for(published, columns, reads):
    scans = sa.text(
        "SELECT sum(pg_stat_get_xact_numscans(oid)) FROM pg_class "
        "WHERE relnamespace = 'recsys_store'::regnamespace AND relname ~ 'ratings'"
    )
    before = published.scalar(scans)
    published.execute(sa.text(f"SELECT {columns} FROM recsys.freshness")).all()
    assert published.scalar(scans) - before == reads
