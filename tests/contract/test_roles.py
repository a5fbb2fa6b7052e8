"""The privileges of each role, tested on connections of that role."""

from __future__ import annotations

import inspect
from contextlib import closing

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from recsys import Recommender
from recsys.storage.load.copy import driver
from recsys.storage.schema import roles
from recsys.storage.server.engine import Database, sqlalchemy_url

READERS = ("recsys_reader", "recsys_app")
DENIED, READ_ONLY, CUT_OFF = "42501", "25006", "57014"
CALLS = {
    "recommend": "1, 3",
    "recommend_for": """'{"1": 5, "3": 4}', 3""",
    "similar": "1, 3",
    "similar_users": "1, 3",
    "explain": "1, 2",
    "predict_rating": "1, 2",
    "top_movies": "3, 'Drama'",
    "search_movies": "'film 1', 3",
    "user_status": "1",
    "user_taste": "1",
    "sample_users": "3",
    "recommendations_as_of": "1, now(), 3",
    "compare_runs": "1, 1",
    "run_size": "1",
    "verify_lists": "1",
    "label": "'pearson_average', 1",
    "rating_histogram": "1",
    "rating_scale": "",
    "rating_hash": "1, 1",
    "user_id": "'1'",
    "movie_id": "'1'",
}
METHODS = {
    "recommend": (1,),
    "similar": (1,),
    "similar_users": (1,),
    "predict_rating": (1, 2),
    "top_movies": (),
    "search": ("film",),
    "movie": (1,),
    "movie_cards": ([2, 1],),
    "movie_details": (1,),
    "similar_by_model": (1,),
    "charts": (3,),
    "rating_histogram": (1,),
    "rating_scale": (),
    "reasons": (1, [3]),
    "published": (),
    "models": (),
    "publications": (),
    "figures": (),
    "measured": (),
    "rating": (1, 5),
    "ratings": (1,),
    "a_user": (),
    "user_taste": (1,),
    "example_users": (2,),
    "status": (),
    "runs": (),
    "run": (1,),
    "compare_runs": (1, 1),
    "recommend_for": ({1: 4.5},),
    "explain": (1, 3),
    "user_status": (1,),
    "freshness": (),
    "verify_lists": (1, 5),
}
OTHERS = {"close", "pool_stats", "rate", "block"}
"""Methods that read nothing."""
RELATIONS = """
SELECT n.nspname || '.' || c.relname
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = ANY (%s)
ORDER BY 1
"""
# Each attempt by itself.
CREATIONS = [
    "CREATE TABLE recsys_store.t (x int)",
    "CREATE TABLE recsys.t (x int)",
    "CREATE TABLE public.t (x int)",
    "CREATE TEMPORARY TABLE t (x int)",
    "CREATE VIEW recsys.v AS SELECT 1 AS x",
    "CREATE OR REPLACE VIEW recsys.models AS SELECT 1 AS x",
    "CREATE FUNCTION recsys.f() RETURNS int RETURN 1",
    "CREATE FUNCTION pg_temp.f() RETURNS int RETURN 1",
    "CREATE FUNCTION public.f() RETURNS int RETURN 1",
    "CREATE SCHEMA s",
    "CREATE ROLE recsys_test_made",
    "DROP VIEW recsys.models",
    "COMMENT ON SCHEMA recsys IS 'mine'",
    "ALTER FUNCTION recsys.label(text, double precision) OWNER TO CURRENT_USER",
    "SET ROLE recsys_owner",
    "SET ROLE recsys_job",
    "SET SESSION AUTHORIZATION recsys_owner",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "COPY recsys_store.ratings TO STDOUT",
    "DO $$ BEGIN LOCK TABLE recsys_store.ratings; END $$",
    "SELECT nextval('recsys_store.runs_run_id_seq')",
    "SELECT recsys_store.folded('x')",
    "ALTER ROLE recsys_job SUPERUSER",
]


@pytest.fixture(scope="session")
def guarded(server_url, everything_template, run_on_server, as_role):
    """The edition with every model, given to the roles; tests must not change it."""
    name = f"{everything_template}_guarded"
    clone, gone = "CREATE DATABASE {} TEMPLATE {}", "DROP DATABASE {} WITH (FORCE)"
    run_on_server(sql.SQL(clone).format(sql.Identifier(name), sql.Identifier(everything_template)))
    url = sqlalchemy_url(server_url).set(drivername="postgresql", database=name)
    database = Database(url.render_as_string(hide_password=False))
    with database.transaction() as connection:
        roles.apply(connection)
    yield database
    run_on_server(sql.SQL(gone).format(sql.Identifier(name)))


@pytest.fixture
def session(guarded, as_role):
    """Connect as a role, every statement by itself; `writing`: without the role's read-only."""
    opened = []

    def connect(role, *, to=guarded, writing=False):
        connection = psycopg.connect(as_role(to, role).url, autocommit=True)
        opened.append(connection)
        if writing:
            connection.execute("SET default_transaction_read_only = off")
        return connection

    yield connect
    for connection in opened:
        connection.close()


def sqlstate(connection, statement):
    """Return the SQLSTATE of a failing statement, None if it succeeds."""
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def relations(connection, schema_name, kinds):
    return [name for (name,) in connection.execute(RELATIONS, (schema_name, list(kinds)))]


def functions(connection, condition):
    query = f"""
        SELECT DISTINCT p.proname FROM pg_proc AS p
        WHERE p.pronamespace = 'recsys'::regnamespace AND {condition}
    """
    return {name for (name,) in connection.execute(query)}


# --- reading ---


@pytest.mark.parametrize("role", READERS)
def test_every_view_and_function_of_the_contract_is_there_to_read(session, guarded, role):
    reader, owner = session(role), closing(psycopg.connect(guarded.url))
    views = relations(reader, "recsys", "v")
    assert len(views) >= 13
    for view in views:
        reader.execute(f"SELECT * FROM {view}").fetchone()
    with owner as connection:
        for name, arguments in CALLS.items():
            query = f"SELECT * FROM recsys.{name}({arguments})"
            assert [row[:3] for row in reader.execute(query)] == [
                row[:3] for row in connection.execute(query)
            ]
            assert reader.execute(query).fetchone() is not None


@pytest.mark.parametrize("role", READERS)
def test_no_other_function_can_be_called(session, role):
    may = functions(session(role), "has_function_privilege(p.oid, 'EXECUTE')")
    rows = {name for name in may if name.removesuffix("_rows") in CALLS}
    written = {"rate", "block", "set_available"} if role == "recsys_app" else set()
    # The view recommendations and the functions by key call these with the rights of the caller.
    assert may - rows - {"label_of", "asked_user", "asked_movie", "asked_key"} == written
    assert set(CALLS) <= may


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("method", METHODS)
def test_the_recommender_needs_the_contract_only(guarded, as_role, role, method):
    ask = METHODS[method]
    found = getattr(Recommender(as_role(guarded, role)), method)(*ask)
    assert found
    # Ages and sizes may be others a moment later.
    if method not in ("status", "run", "runs", "user_status", "freshness", "published"):
        assert found == getattr(Recommender(guarded), method)(*ask)


def test_every_method_of_the_recommender_is_tried():
    public = {name for name, _ in inspect.getmembers(Recommender, inspect.isfunction)}
    assert {name for name in public if name[0] != "_"} - OTHERS == set(METHODS)


# --- what is refused ---


@pytest.mark.parametrize("role", READERS)
def test_no_table_of_the_store_can_be_touched(session, role):
    connection = session(role, writing=True)
    tables = relations(connection, "recsys_store", "rp")
    assert len(tables) > 30
    for table in tables:
        column = "ctid" if "_run_" in table else "tableoid"
        for statement in (
            f"SELECT FROM {table}",
            f"INSERT INTO {table} DEFAULT VALUES",
            f"UPDATE {table} SET {column} = NULL",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"DROP TABLE {table}",
        ):
            assert (statement, sqlstate(connection, statement)) == (statement, DENIED)
    granted = """
        SELECT c.oid::regclass FROM pg_class AS c
        WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p')
          AND has_table_privilege(
              c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
          )
    """
    assert connection.execute(granted).fetchall() == []


@pytest.mark.parametrize("role", READERS)
def test_nothing_is_written_through_a_view(session, role):
    connection = session(role, writing=True)
    for view in relations(connection, "recsys", "v"):
        for statement in (f"INSERT INTO {view} DEFAULT VALUES", f"DELETE FROM {view}"):
            # PostgreSQL does not allow writes through most views.
            assert sqlstate(connection, statement) in (DENIED, "55000")
    assert sqlstate(connection, "UPDATE recsys.models SET description = 'x'") == DENIED
    assert sqlstate(connection, "DELETE FROM recsys.models") == DENIED


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("statement", CREATIONS)
def test_nothing_is_created_and_no_right_is_taken(session, role, statement):
    assert sqlstate(session(role, writing=True), statement) == DENIED


def test_a_reader_neither_rates_nor_blocks(session):
    connection = session("recsys_reader", writing=True)
    assert sqlstate(connection, "SELECT recsys.rate(1, 1, 3)") == DENIED
    assert sqlstate(connection, "SELECT recsys.block(1, 1)") == DENIED


def test_a_reader_begins_read_only(session):
    assert sqlstate(session("recsys_reader"), "CREATE TABLE public.t (x int)") == READ_ONLY


def test_other_roles_see_nothing(given_database, run_on_server):
    stranger = sql.Identifier(f"recsys_test_stranger_{id(given_database)}")
    run_on_server(sql.SQL("CREATE ROLE {}").format(stranger))
    with given_database.transaction() as connection:
        run = driver(connection).execute
        run(sql.SQL("SET LOCAL ROLE {}").format(stranger))
        for statement in (
            "SELECT FROM recsys.models",
            "SELECT FROM recsys_store.models",
            "SELECT recsys.label('ease', 1)",
            "SELECT recsys.rate(1, 1, 1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.begin_nested():
                run(statement)
    run_on_server(sql.SQL("DROP ROLE {}").format(stranger))


# --- the app ---


def test_the_app_rates_and_blocks(given_database, session):
    app = session("recsys_app", to=given_database)
    first, second = app.execute("SELECT movie_id FROM recsys.recommend(1, 2)").fetchall()
    app.execute("SELECT recsys.rate(1, %s, 4.5)", first)
    app.execute("SELECT recsys.block(1, %s)", second)
    rated = "SELECT rating FROM recsys.ratings WHERE user_id = 1 AND movie_id = %s"
    assert app.execute(rated, first).fetchall() == [(4.5,)]
    shown = app.execute("SELECT movie_id FROM recsys.recommend(1, 100)").fetchall()
    assert not {first, second} & set(shown)
    assert sqlstate(app, "SELECT recsys.ensure_user(5)") == DENIED


# --- statement timeouts ---


@pytest.mark.parametrize(
    ("role", "limit"), [("recsys_reader", "30s"), ("recsys_app", "10s"), ("recsys_job", "0")]
)
def test_a_new_connection_has_the_limit_of_its_role(session, role, limit):
    assert session(role).execute("SHOW statement_timeout").fetchone() == (limit,)


def test_a_reader_is_cut_off_and_an_operators_limit_stays(given_database, session):
    with given_database.transaction() as connection:
        driver(connection).execute(
            sql.SQL("ALTER ROLE recsys_reader IN DATABASE {} SET statement_timeout = 100").format(
                sql.Identifier(str(sqlalchemy_url(given_database.url).database))
            )
        )
        driver(connection).execute("ALTER ROLE recsys_app SET statement_timeout = 11000")
        roles.apply(connection)
        limit = "SELECT rolconfig FROM pg_roles WHERE rolname = 'recsys_app'"
        assert connection.scalar(sa.text(limit)) == [
            "idle_in_transaction_session_timeout=1min", "statement_timeout=11000",
        ]  # fmt: skip
        driver(connection).execute("ALTER ROLE recsys_app SET statement_timeout = '10s'")
    reader = session("recsys_reader", to=given_database)
    assert reader.execute("SHOW statement_timeout").fetchone() == ("100ms",)
    assert sqlstate(reader, "SELECT pg_sleep(20)") == CUT_OFF
    assert sqlstate(reader, "SELECT count(*) FROM recsys.movies, pg_sleep(20)") == CUT_OFF


# --- functions that can do more than their callers ---

TRAP = """
GRANT USAGE ON SCHEMA trap TO PUBLIC;
CREATE FUNCTION trap.sprung() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'somebody else''s code ran as %', current_user USING ERRCODE = 'ZZZZZ';
END $$;
CREATE FUNCTION trap.same(a integer, b integer) RETURNS boolean RETURN trap.sprung();
CREATE FUNCTION trap.same(a smallint, b smallint) RETURNS boolean RETURN trap.sprung();
CREATE FUNCTION trap.same(a text, b text) RETURNS boolean RETURN trap.sprung();
CREATE FUNCTION trap.lower(a text) RETURNS text LANGUAGE sql AS 'SELECT trap.sprung()::text';
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT trap.sprung()::text::timestamptz';
CREATE FUNCTION trap.format(text, integer) RETURNS text LANGUAGE sql AS 'SELECT trap.sprung()::text';
CREATE OPERATOR trap.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.same);
CREATE OPERATOR trap.= (LEFTARG = smallint, RIGHTARG = smallint, FUNCTION = trap.same);
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same);
CREATE OPERATOR trap.< (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.same);
CREATE TEMPORARY TABLE published (run_id int);
CREATE TEMPORARY TABLE movies (movie_id int, title text, year int);
CREATE TEMPORARY TABLE ratings (user_id int, movie_id int, rating float8);
CREATE TEMPORARY TABLE pg_class (oid oid, relname text);
"""  # noqa: E501


def test_objects_of_a_caller_do_not_shadow_ours(given_database, session):
    """The app cannot create these objects; even if it could, it would gain nothing."""
    app = session("recsys_app", to=given_database)
    calls = {
        name: f"SELECT * FROM recsys.{name}({arguments.replace('now()', 'pg_catalog.now()')})"
        for name, arguments in CALLS.items()
        if name not in ("label", "similar_users", "rating_hash")
    }
    before = {name: app.execute(query).fetchall() for name, query in calls.items()}
    with given_database.transaction() as connection:
        name = sql.Identifier(str(sqlalchemy_url(given_database.url).database))
        driver(connection).execute("CREATE SCHEMA trap AUTHORIZATION recsys_app")
        driver(connection).execute(
            sql.SQL("GRANT TEMPORARY ON DATABASE {} TO recsys_app").format(name)
        )
    app.execute(TRAP)
    app.execute("SET search_path = pg_temp, trap, pg_catalog")
    for bait in ("SELECT 1 = 1", "SELECT lower('A'::text)", "SELECT now()"):
        assert sqlstate(app, bait) == "ZZZZZ"
    for name, query in calls.items():
        found = app.execute(query).fetchall()
        assert name == "user_status" or found == before[name]
    app.execute("SELECT recsys.rate(1, 1, 4)")
    app.execute("SELECT recsys.block(1, 2)")
    for view in ("recsys.movies", "recsys.ratings", "recsys.freshness", "recsys.charts"):
        app.execute(f"SELECT * FROM {view}").fetchall()


def test_definers_pin_their_search_path_and_are_the_owners(guarded):
    with guarded.transaction() as connection:
        run = driver(connection)
        pinned = "'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))"
        assert functions(run, f"p.prosecdef AND NOT {pinned}") == set()
        assert functions(run, "p.prosecdef") >= {"recommend_rows", "similar_rows", "rate", "block"}
        assert functions(run, "p.proowner <> 'recsys_owner'::regrole") == set()


def test_functions_on_the_store_are_definers_or_internal(guarded):
    with guarded.transaction() as connection:
        reads = "p.prosrc ~ 'recsys_store' AND NOT p.prosecdef"
        everybodys = "EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)"  # noqa: E501
        assert functions(driver(connection), reads) >= {"require_movie", "eligible_movies"}
        assert functions(driver(connection), f"{reads} AND {everybodys}") == set()
