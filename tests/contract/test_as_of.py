"""`recommendations_as_of`: the recommendations of a user at a time in the past."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from store import entries

from recsys.storage.runs import results

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
AS_OF = sa.text("SELECT * FROM recsys.recommendations_as_of(:user_id, :at, :n)")
STORED = sa.text(f"""
SELECT u.rank, u.movie_id, m.title, u.score, d.name, u.run_id, m.key
FROM {entries("user_recommendations")} AS u
JOIN recsys_store.movies AS m ON m.movie_id = u.movie_id
JOIN recsys_store.models AS d ON d.model_id = u.model_id
JOIN recsys_store.runs AS r ON r.run_id = u.run_id AND r.default_model_id = u.model_id
WHERE u.run_id = :run_id AND u.user_id = :user_id
ORDER BY u.rank
""")
LOG = sa.text("""
INSERT INTO recsys_store.publications (run_id, action, published_at)
VALUES (:run_id, :action, make_timestamptz(2024, 5, :day, 12, 0, 0, 'UTC'))
""")


def as_of(connection, at, user_id=1, n=10):
    rows = connection.execute(AS_OF, {"user_id": user_id, "at": at, "n": n})
    return [tuple(row) for row in rows]


def stored(connection, run_id, user_id=1):
    rows = connection.execute(STORED, {"run_id": run_id, "user_id": user_id})
    return [tuple(row) for row in rows]


def log(connection, *entries):
    """Rewrite the log: publications at noon on days of May 2024."""
    connection.execute(sa.text("DELETE FROM recsys_store.publications"))
    for day, action, run_id in entries:
        connection.execute(LOG, {"day": day, "action": action, "run_id": run_id})


@pytest.fixture
def two_runs(two_runs):
    """Run 1 published on the 1st, run 2 on the 3rd, run 1 again on the 5th, none on the 7th."""
    entries = [(1, "publish", 1), (3, "publish", 2), (5, "rollback", 1), (7, "withdraw", None)]
    log(two_runs, *entries)
    return two_runs


def test_the_list_is_that_of_the_run_the_log_names(two_runs):
    first, second = stored(two_runs, 1), stored(two_runs, 2)
    assert first[0][5] == 1
    assert second[0][5] == 2
    found = {day: as_of(two_runs, NOON.replace(day=day), n=100) for day in range(1, 9)}
    assert found == {
        **{1: first, 2: first, 3: second, 4: second},
        **{5: first, 6: first, 7: [], 8: []},
    }


def test_an_entry_holds_from_its_very_moment(two_runs):
    just_before = NOON.replace(day=3, hour=11, minute=59, second=59, microsecond=999_999)
    assert as_of(two_runs, just_before)[0][5] == 1
    assert as_of(two_runs, NOON.replace(day=3))[0][5] == 2


def test_before_anything_was_published_there_is_nothing(two_runs):
    assert as_of(two_runs, NOON.replace(year=2023)) == []
    assert as_of(two_runs, "-infinity") == []
    two_runs.execute(sa.text("DELETE FROM recsys_store.publications"))
    assert as_of(two_runs, "infinity") == []


def test_of_two_entries_of_one_moment_the_later_holds(two_runs):
    log(two_runs, (1, "publish", 1), (1, "publish", 2))
    assert as_of(two_runs, NOON)[0][5] == 2


def test_now_is_what_the_view_shows(published):
    view = published.execute(
        sa.text(
            "SELECT rank, movie_id, title, score, source_model, run_id, movie_key "
            "FROM recsys.recommendations WHERE user_id = 1 AND model = 'ease' ORDER BY rank"
        )
    )
    assert as_of(published, "infinity", n=1000) == [tuple(row) for row in view]


def test_later_ratings_stay_in_the_past_list(published):
    before = as_of(published, "infinity")
    rated = "INSERT INTO recsys_store.ratings VALUES (1, :movie_id, 5, now())"
    published.execute(sa.text(rated), {"movie_id": before[0][1]})
    assert as_of(published, "infinity") == before


def test_a_row_of_a_hybrid_names_the_model_it_came_from(everything):
    everything.execute(
        sa.text(
            "UPDATE recsys_store.runs SET default_model_id = "
            "(SELECT model_id FROM recsys_store.models WHERE name = 'hybrid_mixed')"
        )
    )
    sources = everything.scalars(
        sa.text(
            "SELECT source_model FROM recsys.recommendations "
            "WHERE user_id = 1 AND model = 'hybrid_mixed' ORDER BY rank"
        )
    ).all()
    assert len(set(sources)) > 1
    assert [row[4] for row in as_of(everything, "infinity", n=100)] == sources


def test_n_cuts_and_an_unknown_user_has_nothing(published):
    everything = as_of(published, "infinity", n=10_000)
    assert len(everything) > 10
    assert as_of(published, "infinity") == everything[:10]
    assert as_of(published, "infinity", n=0) == []
    assert as_of(published, "infinity", user_id=4711) == []


def test_a_run_that_was_pruned_is_named(two_runs):
    results.drop(two_runs, 1)
    two_runs.execute(
        sa.text(
            "UPDATE recsys_store.runs SET pruned_at = '2024-06-01 00:00:00+00' WHERE run_id = 1; "
            "SET LOCAL timezone = 'UTC'"
        )
    )
    assert as_of(two_runs, NOON.replace(day=4))[0][5] == 2
    with pytest.raises(sa.exc.DBAPIError) as caught:
        as_of(two_runs, NOON.replace(day=2))
    diagnosis = caught.value.orig.diag
    assert (diagnosis.sqlstate, diagnosis.message_primary, diagnosis.message_hint) == (
        "RS004",
        "run 1, published then, was pruned at 2024-06-01 00:00:00+00",
        "recsys.runs says which are kept; keep_runs in recsys.toml, how many.",
    )


@pytest.mark.parametrize(
    ("user_id", "at", "n", "code", "message"),
    [
        (None, NOON, 10, "22004", "user_id must not be NULL"),
        (1, None, 10, "22004", "at must not be NULL"),
        (1, NOON, None, "22004", "n must not be NULL"),
        (1, NOON, -1, "22023", "n must be 0 or more, not -1"),
    ],
)
def test_bad_arguments_are_refused(published, user_id, at, n, code, message):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        as_of(published, at, user_id, n)
    assert (caught.value.orig.sqlstate, caught.value.orig.diag.message_primary) == (code, message)


@pytest.mark.parametrize(("day", "run_id"), [(2, 1), (4, 2), (6, 1)])
def test_only_that_runs_partition_is_read_by_its_key(two_runs, scanned, day, run_id):
    two_runs.execute(sa.text("SET LOCAL enable_seqscan = off"))
    read = scanned(two_runs, AS_OF.text, user_id=1, at=NOON.replace(day=day), n=10)
    of_runs = {name for name in read if "_run_" in name}
    assert of_runs == {f"pk_user_recommendations_run_{run_id}"}
