"""Readers that hold what they can hold: jobs name them or pass, and other readers do not wait."""

import re
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg
import pytest
import sqlalchemy as sa
from store import rows_of

from recsys.config.settings import GateSettings, RefreshSettings
from recsys.errors import StorageError
from recsys.jobs.forget import forget
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune
from recsys.jobs.refresh import refresh
from recsys.storage.load import ingests
from recsys.storage.runs import lifecycle, results
from recsys.storage.schema import roles, versions
from recsys.storage.server import blockers

DENIED = "42501"
SINCE = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
STRONGER_LOCKS = (
    "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip
VIEWS = "SELECT c.oid::regclass::text FROM pg_class AS c WHERE relnamespace = 'recsys'::regnamespace AND relkind = 'v'"  # noqa: E501

QUICK = plan(
    RefreshSettings(models=("ease", "most_rated"), threads=1, gate=GateSettings(enabled=False))
)


@pytest.fixture
def other_edition(tmp_path, write_edition):
    return write_edition(tmp_path / "ml-other", ["1,10,4.5,1000000000", "2,10,0.5,1000000002"])


@pytest.fixture
def job(given_database, as_role):
    return as_role(given_database, "recsys_job")


@pytest.fixture
def connect(given_database, as_role):
    """Connect as a role, with an application of its own name."""

    @contextmanager
    def open_as(role, autocommit=False):
        url = as_role(given_database, role).url
        with psycopg.connect(url, autocommit=autocommit, application_name="lunch") as connection:
            yield connection

    return open_as


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(ingests, "TURNS", 3)
    monkeypatch.setattr(ingests, "TURN", "SET LOCAL lock_timeout = '300ms'")
    monkeypatch.setattr(ingests, "PAUSE_S", 0.1)
    monkeypatch.setattr(blockers, "LOCK_TIMEOUT", "100ms")


# --- an open transaction ---


def test_a_replace_names_the_reader_it_waited_for(job, connect, other_edition, impatient):
    with connect("recsys_reader") as reader, connect("recsys_reader", autocommit=True) as other:
        reader.execute("SELECT FROM recsys.recommend(1, 1)")
        pid = reader.info.backend_pid
        slowest, over = [0.0], threading.Event()

        def read():
            while not over.is_set():
                began = time.monotonic()
                assert other.execute("SELECT count(*) FROM recsys.recommend(1, 5)").fetchone() == (
                    5,
                )
                slowest[0] = max(slowest[0], time.monotonic() - began)

        reading = threading.Thread(target=read)
        reading.start()
        with pytest.raises(StorageError) as caught:
            ingest(job, other_edition, replace=True)
        over.set()
        reading.join()
    assert re.fullmatch(
        "waited in vain for a lock on tables that are in use by "
        rf"session {pid} of recsys_reader \(lunch\) {SINCE}(, session \d+ .*)?",
        str(caught.value),
    )
    assert caught.value.hint == (
        "end that transaction, or its session with "
        f"SELECT pg_terminate_backend({pid}), and try again"
    )
    # Not for the time of all turns: between two of them readers pass.
    assert slowest[0] < 0.8
    assert rows_of(job, "SELECT count(*) > 2 FROM recsys.ratings") == [(True,)]
    assert ingest(job, other_edition, replace=True).replaced == "ml-small-made-up"


def test_a_replace_passes_once_the_reader_has_ended(job, connect, other_edition, monkeypatch):
    pauses = []
    with connect("recsys_reader") as reader:

        def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 2:
                reader.rollback()

        monkeypatch.setattr(ingests, "TURN", "SET LOCAL lock_timeout = '50ms'")
        monkeypatch.setattr(ingests, "time", SimpleNamespace(sleep=pause))
        reader.execute("SELECT FROM recsys.movies")
        assert ingest(job, other_edition, replace=True).replaced == "ml-small-made-up"
    assert pauses == [0.5, 0.5]


def test_a_job_may_end_the_session_that_the_hint_names(job, connect):
    with connect("recsys_reader") as reader, job.transaction() as connection:
        ended = sa.text("SELECT pg_terminate_backend(:pid, 5000)")
        assert connection.scalar(ended, {"pid": reader.info.backend_pid}) is True
        with pytest.raises(psycopg.OperationalError):
            reader.execute("SELECT 1")


def test_an_upgrade_names_the_reader_it_waited_for(given_database, connect, impatient):
    with connect("recsys_reader") as reader:
        reader.execute("SELECT FROM recsys.models")
        pid = reader.info.backend_pid
        with pytest.raises(StorageError) as caught, given_database.transaction() as connection:
            versions.upgrade(connection)
    assert f"session {pid} of recsys_reader (lunch) since " in str(caught.value)


def test_an_erasure_names_the_application_it_waited_for(job, connect, impatient):
    with connect("recsys_app") as app:
        app.execute("SELECT recsys.rate(1, 1, 3)")
        pid = app.info.backend_pid
        with pytest.raises(StorageError) as caught:
            forget(job, 1)
    assert f"session {pid} of recsys_app (lunch) since " in str(caught.value)


def test_a_pruning_names_the_reader_in_the_log(job, connect, impatient, caplog):
    refresh_run = "INSERT INTO recsys_store.publications (run_id, action) VALUES (NULL, 'withdraw')"
    with job.transaction() as connection:
        connection.execute(sa.text("DELETE FROM recsys_store.published"))
        connection.execute(sa.text(refresh_run))
    with connect("recsys_reader") as reader:
        reader.execute("SELECT FROM recsys.recommendations WHERE run_id = 1")
        pid = reader.info.backend_pid
        assert prune(job, 0) == [1]
    assert f"session {pid} of recsys_reader (lunch)" in caplog.text
    assert prune(job, 0) == []
    left = "SELECT count(*) FROM pg_class WHERE relname ~ '_run_1$'"
    assert rows_of(job, left) == [(0,)]


def test_a_failed_run_with_attached_results_waits_for_no_reader(job, connect):
    """A refresh can be killed between the attachment of its results and their publication."""
    with job.transaction() as connection:
        run_id = lifecycle.begin(
            connection, default_model_id=None, seed=1, parameters={}, versions={}
        )
        results.create(connection, "user_factors", run_id)
        results.finish(connection, "user_factors", run_id)
        results.attach(connection, run_id)
    state = f"SELECT state, pruned_at IS NOT NULL FROM recsys_store.runs WHERE run_id = {run_id}"
    with connect("recsys_reader") as reader:
        reader.execute("SELECT recsys.predict_rating(1, 2)")
        with job.transaction() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '500ms'"))
            assert lifecycle.fail_orphans(connection) == [run_id]
    assert rows_of(job, state) == [("failed", True)]
    assert prune(job, 3) == []
    left = f"SELECT count(*) FROM pg_class WHERE relname ~ '_run_{run_id}$'"
    assert rows_of(job, left) == [(0,)]


@pytest.mark.parametrize(
    ("role", "limit"), [("recsys_reader", "5min"), ("recsys_app", "1min"), ("recsys_job", "0")]
)
def test_open_transactions_end_by_themselves(connect, role, limit):
    with connect(role) as connection:
        shown = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert shown == (limit,)


# --- locks that a reader may take ---


@pytest.mark.parametrize("role", ["recsys_reader", "recsys_app"])
def test_advisory_locks_keep_no_job_out(job, connect, role, edition):
    with connect(role, autocommit=True) as reader:
        for name in ("refresh", "ingest", "migrations"):
            reader.execute("SELECT pg_advisory_lock(hashtext(%s))", [f"recsys {name}"])
        assert refresh(job, QUICK).run_id == 2
        assert ingest(job, edition).no_change
        with job.transaction() as connection:
            connection.execute(sa.text("SET LOCAL statement_timeout = '20s'"))
            versions.upgrade(connection)
            roles.apply(connection)


@pytest.mark.parametrize("role", ["recsys_reader", "recsys_app"])
def test_a_reader_takes_no_lock_that_others_wait_for(connect, role):
    with connect(role, autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        views = [name for (name,) in reader.execute(VIEWS)]
        attempts = [
            f"LOCK TABLE {view} IN {mode} MODE" for view in views for mode in STRONGER_LOCKS
        ]
        attempts += [
            f"LOCK TABLE recsys_store.{name} IN ACCESS SHARE MODE"
            for name in ("refresh_lock", "ingest_lock", "alembic_version", "ratings")
        ]
        attempts += [
            f"SELECT FROM {view} FOR {strength}"
            for view in views
            for strength in ("KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE")
        ]
        for attempt in attempts:
            with pytest.raises(psycopg.Error) as caught:
                reader.execute(f"DO $do$ BEGIN EXECUTE $q${attempt}$q$; END $do$")
            assert (attempt, caught.value.sqlstate) == (attempt, DENIED)
