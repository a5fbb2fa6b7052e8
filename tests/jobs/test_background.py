"""While a library computes, signals are heard and the run shows signs of life."""

import signal
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from recsys.jobs.background import COMPUTING, heartbeat, interruptibly
from recsys.jobs.orphans import clear_orphans
from recsys.storage.runs import lifecycle, lock


def begin(database):
    with database.transaction() as connection:
        return lifecycle.begin(
            connection, default_model_id=None, seed=1, parameters={}, versions={}
        )


def state(database, run_id):
    query = "SELECT state, heartbeat_at, error FROM recsys_store.runs WHERE run_id = :run_id"
    with database.transaction() as connection:
        return connection.execute(sa.text(query), {"run_id": run_id}).one()


def test_results_and_errors_of_work_are_passed_on():
    assert interruptibly(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        interruptibly(lambda: 1 / 0)


def test_work_runs_in_a_daemon_thread():
    thread = interruptibly(threading.current_thread)
    assert (thread.name, thread.daemon) == (COMPUTING, True)


LONG_KERNEL = """
import signal, sys
from recsys.numerics.symmetric import SymmetricMatrix
from recsys.cli import app, output
from recsys.jobs.background import interruptibly
def invert():
    matrix = SymmetricMatrix.zeros(9000)
    matrix.add_to_diagonal(1)
    print("here", flush=True)
    for _ in range(50):
        matrix.invert()
def run():
    try:
        interruptibly(invert)
    finally:
        print("cleared up", flush=True)
app.app = run
app.main()
"""


@pytest.mark.slow
def test_a_signal_is_handled_during_a_kernel():
    process = subprocess.Popen(
        [sys.executable, "-c", LONG_KERNEL], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "here\n"
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, "cleared up\n")
    assert time.monotonic() - began < 5


def test_a_run_shows_that_it_is_alive(database, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.05)
    run_id = begin(database)
    before = state(database, run_id).heartbeat_at
    with heartbeat(database, run_id):
        time.sleep(0.5)
    during = state(database, run_id).heartbeat_at
    assert during > before
    time.sleep(0.3)
    assert state(database, run_id).heartbeat_at == during


def test_a_database_that_is_away_stops_no_computing(monkeypatch, database):
    from recsys.storage.server.engine import Database

    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.05)
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
    with heartbeat(nowhere, 1):
        time.sleep(0.2)


def test_a_busy_refresh_reports_since_when_the_other_is_silent(database):
    run_id = begin(database)
    with database.transaction() as connection:
        connection.execute(
            sa.text("UPDATE recsys_store.runs SET heartbeat_at = now() - interval '2 h'")
        )
    with (
        database.session() as first,
        lock.single_flight(first),
        pytest.raises(lock.RefreshBusy) as caught,
        database.session() as second,
        lock.single_flight(second),
    ):
        pytest.fail("the lock was had twice")
    assert f"run {run_id} by " in str(caught.value)
    assert "not heard of for 7,2" in str(caught.value)
    assert caught.value.hint == "its machine may be gone: end its session with pg_terminate_backend"


def test_the_next_command_marks_an_orphaned_run(database):
    run_id = begin(database)
    assert clear_orphans(database) == [run_id]
    assert state(database, run_id)[::2] == ("failed", "its process ended without finishing the run")
    assert clear_orphans(database) == []


def test_a_run_with_a_process_is_left_alone(database):
    run_id = begin(database)
    with database.session() as session, lock.single_flight(session):
        assert clear_orphans(database) == []
    assert state(database, run_id).state == "running"


def test_a_database_without_a_schema_has_no_orphans(empty_database):
    assert clear_orphans(empty_database) == []
