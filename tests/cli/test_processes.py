"""Tests that need separate processes: signals, pipes, concurrency."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

LEFT_OVER = """
SELECT relname FROM pg_class
WHERE relnamespace = 'recsys_store'::regnamespace AND relname LIKE '%\\_run\\_2%'
""".replace("::", "\\:\\:")


def rows(database, query):
    with database.snapshot() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def wait_for(database, query, expected):
    deadline = time.monotonic() + 60
    while rows(database, query) != expected:
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


@pytest.fixture
def endless(refreshed_database, spawn, small_config):
    """A refresh that computes for hours, caught while it does."""
    settings = {"RECSYS_DATABASE_URL": refreshed_database.url, "RECSYS_CONFIG": small_config(10**9)}
    process = spawn("refresh", **settings)
    try:
        wait_for(
            refreshed_database, "SELECT state FROM recsys.runs WHERE run_id = 2", [("running",)]
        )
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_refresh_is_told_who_holds_the_lock(endless, refreshed_database, recsys):
    done = recsys("refresh", RECSYS_DATABASE_URL=refreshed_database.url)
    assert (done.code, done.out) == (4, "")
    assert re.fullmatch(
        rf"error: another refresh is running: run 2 by \S+:{endless.pid} "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
        done.errors[-2],
    )
    assert done.errors[-1] == "hint: wait for it to end"
    query = "SELECT run_id, state FROM recsys.runs ORDER BY run_id"
    assert rows(refreshed_database, query) == [(1, "complete"), (2, "running")]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_refresh_that_is_stopped_leaves_nothing(endless, refreshed_database, recsys, number):
    time.sleep(0.3)
    endless.send_signal(number)
    out, err = endless.communicate(timeout=30)
    assert (endless.returncode, out) == (128 + number, "")
    assert "Traceback" not in err
    query = "SELECT run_id, state, published FROM recsys.runs ORDER BY run_id"
    assert rows(refreshed_database, query) == [(1, "complete", True), (2, "failed", False)]
    assert rows(refreshed_database, LEFT_OVER) == []
    assert recsys("refresh", "--no-publish", RECSYS_DATABASE_URL=refreshed_database.url).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_stopped_leaves_nothing(filled_database, spawn, tmp_path, number):
    config = tmp_path / "recsys.toml"
    config.write_text(
        '[refresh]\nmodels = ["most_rated", "ease", "neural_dot"]\n'
        "[models.neural_dot]\nepochs = 10000\npatience = 10000\n"
    )
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": str(config)}
    process = spawn("refresh", **settings)
    while "epoch 3/" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, "Traceback" in err) == (128 + number, False)
    query = "SELECT run_id, state, error FROM recsys.runs"
    assert rows(filled_database, query) == [(1, "failed", "it was stopped by a signal")]
    left = "SELECT count(*) FROM recsys_store.training_epochs"
    assert rows(filled_database, LEFT_OVER.replace("2%", "1%")) == []
    assert rows(filled_database, left) == [(0,)]


def test_a_refresh_that_is_killed_is_cleared_up_by_the_next(endless, refreshed_database, recsys):
    endless.kill()
    endless.communicate()
    # The server notices the end of the session by itself.
    free = """
        SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
        WHERE c.relname = 'refresh_lock'
    """
    wait_for(refreshed_database, free, [(0,)])
    done = recsys("refresh", "--no-publish", RECSYS_DATABASE_URL=refreshed_database.url)
    assert done.code == 0
    assert "run 2 was left unfinished" in done.err
    query = "SELECT run_id, state, published FROM recsys.runs ORDER BY run_id"
    assert rows(refreshed_database, query) == [
        (1, "complete", True),
        (2, "failed", False),
        (3, "complete", False),
    ]


@pytest.mark.slow
def test_one_of_two_concurrent_refreshes_is_done(filled_database, spawn, small_config):
    settings = {"RECSYS_DATABASE_URL": filled_database.url, "RECSYS_CONFIG": small_config(12_000)}
    first = spawn("refresh", **settings)
    wait_for(filled_database, "SELECT state FROM recsys.runs", [("running",)])
    second = spawn("refresh", **settings)
    codes = []
    for process in (first, second):
        _, err = process.communicate(timeout=120)
        codes.append(process.returncode)
        assert "Traceback" not in err
    assert set(codes) == {0, 4}
    assert rows(filled_database, "SELECT run_id, state FROM recsys.runs") == [(1, "complete")]


@pytest.mark.parametrize("arguments", [("recommend", "1", "-n", "1000"), ("top", "--json")])
def test_a_closed_pipe_is_no_error(spawn, published_url, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    process = spawn(*arguments, stdout=writer, RECSYS_DATABASE_URL=published_url)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert (process.returncode in (0, 1), err) == (True, "")


def test_both_names_of_the_program(run_recsys):
    done = run_recsys("--version")
    program = os.path.join(os.path.dirname(sys.executable), "recsys")
    installed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"recsys \d+\.\d+\.\d+\n", done.out)
    assert (done.code, done.err, installed.stdout) == (0, "", done.out)
