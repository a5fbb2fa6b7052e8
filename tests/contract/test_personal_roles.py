"""docs/how-to/roles.md: what is revoked, the recipe of personal roles, and what stays possible."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from recsys.storage.server.engine import sqlalchemy_url

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "roles.md"
RECIPE, WATCHDOG = re.findall(
    r"```postgresql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
DENIED = "42501"
ALICE, BOB = (f"recsys_test_{name}_{os.getpid()}" for name in ("alice", "bob"))
LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "5min",
    "temp_file_limit": "2GB",
}
LARGE_OBJECTS = [
    "SELECT lo_creat(-1)",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT lowrite(0, 'x')",
    "SELECT lo_truncate(0, 1)",
    "SELECT lo_truncate64(0, 1)",
    "SELECT lo_import('/etc/hostname')",
    "SELECT lo_export(1, '/tmp/x')",
]


@pytest.fixture
def people(given_database, run_on_server):
    """Make two readers by the recipe; `recsys_reader` stays, as other tests log in as it."""
    with psycopg.connect(given_database.url, autocommit=True) as owner:
        for name in (ALICE, BOB):
            personal = [line for line in RECIPE.splitlines() if "NOLOGIN" not in line]
            owner.execute("\n".join(personal).replace("alice", name))
            owner.execute(sql.SQL("ALTER ROLE {} PASSWORD 'x'").format(sql.Identifier(name)))
    yield
    for name in (ALICE, BOB):
        run_on_server(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def connect(given_database, people):
    opened = []

    def open_as(name):
        url = sqlalchemy_url(given_database.url).set(drivername="postgresql")
        connection = psycopg.connect(
            url.set(username=name, password="x").render_as_string(hide_password=False),
            autocommit=True,
        )
        opened.append(connection)
        return connection

    yield open_as
    for connection in opened:
        connection.close()


def state_of(connection, statement):
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def limits(connection):
    return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in LIMITS}


@pytest.mark.parametrize("role", ["recsys_reader", "recsys_app"])
@pytest.mark.parametrize("statement", LARGE_OBJECTS)
def test_no_large_object_is_written(given_database, as_role, role, statement):
    with psycopg.connect(as_role(given_database, role).url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        assert state_of(connection, statement) == DENIED


def test_the_owner_may_write_large_objects(given_database, as_role):
    with psycopg.connect(as_role(given_database, "recsys_job").url) as connection:
        [written] = connection.execute("SELECT lo_from_bytea(0, 'x')").fetchone()
        assert connection.execute("SELECT lo_get(%s)", [written]).fetchone() == (b"x",)
        connection.rollback()


def test_a_person_has_the_rights_of_a_reader_and_own_limits(connect):
    alice = connect(ALICE)
    assert limits(alice) == LIMITS
    assert len(alice.execute("SELECT * FROM recsys.recommend(1, 5)").fetchall()) == 5
    assert state_of(alice, "SELECT FROM recsys_store.ratings") == DENIED
    assert state_of(alice, "SELECT recsys.rate(1, 1, 3)") == DENIED


def test_a_person_lifts_the_timeouts_of_nobody_else(connect):
    alice = connect(ALICE)
    alice.execute("SET default_transaction_read_only = off")
    alice.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 0")
    assert limits(connect(ALICE)) == {**LIMITS, "statement_timeout": "0"}
    assert limits(connect(BOB)) == LIMITS


@pytest.mark.parametrize(
    "statement",
    [
        "SET temp_file_limit = -1",
        "ALTER ROLE CURRENT_USER SET temp_file_limit = -1",
        "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
        "ALTER ROLE {bob} SET statement_timeout = 0",
        "ALTER ROLE recsys_reader LOGIN",
    ],
)
def test_other_limits_hold_whatever_a_person_does(connect, statement):
    alice = connect(ALICE)
    alice.execute("SET default_transaction_read_only = off")
    # Here, because workers must name their tests alike.
    assert state_of(alice, statement.format(bob=BOB)) == DENIED


def test_a_person_has_few_connections(connect):
    for _ in range(4):
        connect(ALICE)
    # libpq gives no SQLSTATE for a refused connection.
    with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
        connect(ALICE)


def test_nobody_shares_the_role_of_readers(given_database):
    login = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'recsys_reader'"
    with psycopg.connect(given_database.url) as owner:
        owner.execute(RECIPE.replace("alice", ALICE))
        assert owner.execute(login).fetchone() == (False,)
        owner.rollback()


def test_the_watchdog_ends_what_takes_too_long_and_nothing_else(given_database, as_role, connect):
    alice, bob, idle = connect(ALICE), connect(BOB), connect(BOB)
    expected = {
        (alice.info.backend_pid, ALICE, "active", True),
        (bob.info.backend_pid, BOB, "idle in transaction", True),
    }
    alice.execute("SET statement_timeout = 0")
    sleeping = threading.Thread(target=state_of, args=(alice, "SELECT pg_sleep(600)"))
    sleeping.start()
    bob.execute("BEGIN; SELECT FROM recsys.movies")
    job_url = as_role(given_database, "recsys_job").url
    with (
        psycopg.connect(given_database.url) as owner,
        psycopg.connect(job_url) as other_job,
        psycopg.connect(job_url) as job,
    ):
        for busy in (owner, other_job):
            busy.execute("SELECT 1")  # idle in a transaction from now on
        time.sleep(0.1)
        assert job.execute(WATCHDOG).fetchall() == []
        at_once = re.sub(r"interval '\d+ minutes'", "interval '0'", WATCHDOG)
        ended = {(pid, name, state, done) for pid, name, state, _, done in job.execute(at_once)}
        assert owner.execute("SELECT 1").fetchone() == other_job.execute("SELECT 1").fetchone()
    assert ended == expected
    sleeping.join()
    assert idle.execute("SELECT 1").fetchone() == (1,)
