import os
import socket
import time
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from recsys import Recommender
from recsys.errors import ConfigError, StorageError
from recsys.storage.server import address, failures
from recsys.storage.server.engine import Database, open_database, sqlalchemy_url

NOBODY = "postgresql://ann:s3cret%21@127.0.0.1:1/shop?connect_timeout=1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://a:b@h:5/d", "postgresql+psycopg://a:b@h:5/d"),
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://u@/d?host=/run/x", "postgresql+psycopg://u@/d?host=%2Frun%2Fx"),
    ],
)
def test_urls_that_are_understood(given, expected):
    assert sqlalchemy_url(given).render_as_string(hide_password=False) == expected


SEVERAL = "postgresql://ann:s3cret%21@one,two:5433/shop?target_session_attrs=read-write"


def test_a_url_may_name_several_hosts():
    database = Database(SEVERAL)
    assert database.label == (
        "postgresql://ann:***@/shop?host=one,two&port=,5433&target_session_attrs=read-write"
    )
    url = database.engine.url
    assert url.query == {
        "host": "one,two", "port": ",5433", "target_session_attrs": "read-write",
    }  # fmt: skip
    assert (url.username, url.password, url.database) == ("ann", "s3cret!", "shop")


def test_the_host_that_accepts_writes_is_found(database, tmp_path):
    """The first host has no server; the attribute is for the second one."""
    given = Database(database.url).parameters
    both = {"host": f"{tmp_path},{given['host']}", "target_session_attrs": "read-write"}
    url = f"postgresql://?{urlencode(given | both)}"
    with open_database(tmp_path, url) as opened, opened.transaction() as connection:
        assert connection.scalar(sa.text("SELECT current_database()")) == given["dbname"]
    with Recommender.connect(url) as recommender:
        assert recommender.search("Toy") == []


def test_an_invalid_url_is_refused_and_not_shown():
    with pytest.raises(ConfigError) as caught:
        sqlalchemy_url("s3cret")
    assert str(caught.value) == "the database URL cannot be read"
    assert caught.value.hint == (
        "it looks like postgresql://user:password@host:5432/database; "
        "special characters in the password are percent-encoded, as %40 for @"
    )


def test_a_url_of_another_database_is_refused():
    with pytest.raises(ConfigError, match="the database URL is for mysql, not PostgreSQL"):
        sqlalchemy_url("mysql://a:b@h/d")


def test_a_bad_port_is_refused():
    with pytest.raises(ConfigError, match="cannot be read"):
        sqlalchemy_url("postgresql://a:b@h:port/d")


def test_the_label_hides_the_password():
    assert Database(NOBODY).label == "postgresql://ann:***@127.0.0.1:1/shop?connect_timeout=1"


def test_an_unreachable_server_is_a_storage_error_without_the_password(tmp_path):
    with pytest.raises(StorageError) as caught, open_database(tmp_path, NOBODY):
        pytest.fail("a server answered")
    message = f"{caught.value} {caught.value.hint}"
    assert message.startswith("no connection to postgresql://ann:***@127.0.0.1:1/shop")
    assert "s3cret" not in message
    assert "refused" in message


def test_an_unknown_database_is_a_storage_error(server_url, tmp_path):
    missing = sqlalchemy_url(server_url).set(drivername="postgresql", database="is_not_there")
    url = missing.render_as_string(hide_password=False)
    with (
        pytest.raises(StorageError, match='database "is_not_there" does not exist'),
        open_database(tmp_path, url),
    ):
        pytest.fail("a database that is not there was opened")


def test_an_old_server_is_refused(database, monkeypatch, tmp_path):
    monkeypatch.setattr(address, "MINIMUM_VERSION", 99)
    with (
        pytest.raises(StorageError, match=r"is PostgreSQL \d\d$") as caught,
        open_database(tmp_path, database.url),
    ):
        pytest.fail("an old server was opened")
    assert caught.value.hint == "PostgreSQL 99 or newer is required"


def test_a_transaction_commits(database):
    with database.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE t AS SELECT 1 AS x"))
    with database.transaction() as connection:
        assert connection.scalar(sa.text("SELECT x FROM t")) == 1


BACKEND = sa.text("SELECT pg_backend_pid()")


def test_kept_connections_serve_one_transaction_after_the_other(database, tmp_path):
    with open_database(tmp_path, database.url, reuse_connections=True) as opened:
        with opened.transaction() as first:
            pid = first.scalar(BACKEND)
        with opened.transaction() as second:
            assert second.scalar(BACKEND) == pid
    with database.transaction() as connection:
        alive = sa.text("SELECT count(*) FROM pg_stat_get_activity(:pid)")
        assert connection.scalar(alive, {"pid": pid}) == 0


def test_a_kept_connection_that_was_lost_is_replaced(database, tmp_path):
    with open_database(tmp_path, database.url, reuse_connections=True) as opened:
        with opened.transaction() as connection:
            pid = connection.scalar(BACKEND)
        with database.transaction() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with opened.transaction() as connection:
            assert connection.scalar(BACKEND) != pid


def test_a_session_leaves_no_settings_to_the_next_transaction(database, tmp_path):
    with open_database(tmp_path, database.url, reuse_connections=True) as opened:
        with opened.session() as session:
            session.execute(sa.text("SET lock_timeout = '7s'"))
        with opened.transaction() as connection:
            assert connection.scalar(sa.text("SHOW lock_timeout")) == "0"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_transaction_is_rolled_back_on_any_error(database, error):
    def begin_and_break_off():
        with database.transaction() as connection:
            connection.execute(sa.text("CREATE TABLE t AS SELECT 1 AS x"))
            raise error

    with pytest.raises(error):
        begin_and_break_off()
    with database.transaction() as connection:
        assert connection.scalar(sa.text("SELECT to_regclass('t')")) is None


def test_times_are_read_in_utc_in_any_time_zone(database):
    with database.transaction() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'"))
    with database.transaction() as connection:
        assert connection.scalar(sa.text("SHOW timezone")) == "UTC"
        moment = connection.scalar(sa.text("SELECT TIMESTAMPTZ '2026-01-02 03:04:05+09'"))
        assert moment.isoformat() == "2026-01-01T18:04:05+00:00"


def test_a_snapshot_is_read_only(database):
    with (
        pytest.raises(StorageError, match=r"\(25006\): cannot execute CREATE TABLE"),
        database.snapshot() as connection,
    ):
        connection.execute(sa.text("CREATE TABLE t (x integer)"))


def test_a_session_is_in_no_transaction(database):
    with database.session() as session:
        session.execute(sa.text("CREATE TABLE t AS SELECT 1 AS x"))
        with database.transaction() as connection:
            assert connection.scalar(sa.text("SELECT x FROM t")) == 1


def test_errors_of_the_server_name_the_code_and_keep_the_cause(database):
    with pytest.raises(StorageError) as caught, database.transaction() as connection:
        connection.execute(sa.text("SELECT 1 / 0"))
    assert str(caught.value) == "PostgreSQL refused (22012): division by zero"
    assert (caught.value.sqlstate, caught.value.primary) == ("22012", "division by zero")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        (
            "SELECT FROM recsys_store.nothing",
            "the schema is missing or outdated: upgrade it",
        ),
        ("SELECT recsys.nothing()", "the SQL contract is missing or outdated: upgrade it"),
        (
            "SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)",
            failures.HINTS["57014"],
        ),
    ],
)
def test_hints_name_the_remedy(database, statement, hint):
    with pytest.raises(StorageError) as caught, database.transaction() as connection:
        connection.exec_driver_sql(statement)
    assert caught.value.hint == hint


def test_errors_of_the_driver_itself_are_translated_too(database):
    with (
        pytest.raises(StorageError, match="PostgreSQL refused"),
        database.transaction() as connection,
    ):
        connection.connection.driver_connection.execute("SELECT nothing")


def test_a_connection_cut_off_is_a_storage_error(database):
    def cut_ourselves_off():
        with database.transaction() as connection, database.session() as other:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            connection.execute(sa.text("SELECT 1"))

    with pytest.raises(StorageError, match="was lost: terminating connection") as caught:
        cut_ourselves_off()
    assert str(caught.value).startswith(f"the connection to {database.label} was lost")
    assert (caught.value.hint, caught.value.sqlstate) == (failures.STOPPED, "57P01")


@pytest.mark.parametrize("told_by", ["statement", "COPY"])
def test_a_server_that_is_gone_is_a_lost_connection(database, told_by):
    """Nothing comes from it any more, and it has not said why."""

    def cut(driver):
        with socket.socket(fileno=os.dup(driver.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def lose(connection):
        driver = connection.connection.driver_connection
        if told_by == "statement":
            cut(driver)
            connection.execute(sa.text("SELECT 1"))
        with driver.cursor().copy("COPY pg_class TO STDOUT") as copy:
            cut(driver)
            list(copy)

    with pytest.raises(StorageError) as caught, database.transaction() as connection:
        lose(connection)
    assert str(caught.value).startswith(f"the connection to {database.label} was lost")
    assert (caught.value.hint, caught.value.sqlstate) == (failures.STOPPED, None)


@pytest.mark.parametrize(
    ("setting", "state"),
    [("idle_session_timeout", "57P05"), ("idle_in_transaction_session_timeout", "25P03")],
)
def test_a_session_ended_by_a_timeout_names_the_setting(database, setting, state):
    def stay_idle():
        with database.session() as session:
            session.execute(sa.text(f"SET {setting} = 20"))
            session.execute(sa.text("BEGIN" if "transaction" in setting else "SELECT 1"))
            time.sleep(0.1)
            session.execute(sa.text("SELECT 1"))

    with pytest.raises(StorageError, match="was lost: terminating connection due to") as caught:
        stay_idle()
    assert (caught.value.sqlstate, caught.value.hint) == (state, failures.LOST_HINTS[state])
    assert f"SET {setting} = 0" in failures.LOST_HINTS[state]


def test_a_session_that_holds_a_lock_may_be_idle_for_long(database):
    with database.transaction() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f"ALTER DATABASE {name} SET idle_session_timeout = 20"))
    with database.session() as session:
        time.sleep(0.1)
        assert session.scalar(sa.text("SELECT 1")) == 1
