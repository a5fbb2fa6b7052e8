"""Upgrades of contract objects that have another shape in another version."""

import os

import pytest
import sqlalchemy as sa

from recsys.errors import StorageError
from recsys.storage.schema import versions

HINT = "drop those objects, upgrade the schema, and create them again"
READER, OUTSIDER = (f'Recsys test "{name}" {os.getpid()}' for name in ("reader", "outsider"))
ONE_MORE_ARGUMENT = (
    "top_movies",
    ("chart text DEFAULT NULL\n)", "chart text DEFAULT NULL, since integer DEFAULT NULL\n)"),
    ("top_movies(integer, text, text) IS", "top_movies(integer, text, text, integer) IS"),
)
ONE_COLUMN_LESS = (
    "top_movies",
    ("mean_rating double precision, movie_key text\n)", "mean_rating double precision\n)"),
    ("c.mean_rating, m.key\n", "c.mean_rating\n"),
)
ANOTHER_BODY = ("top_movies", ("ORDER BY c.rank\n", "ORDER BY c.rank ASC\n"))
COLUMNS_IN_ANOTHER_ORDER = ("models", ("name AS model, kind,", "kind, name AS model,"))
ONE_MORE_COLUMN = ("models", ("score_meaning, description", "score_meaning, description, 1 AS one"))

TOP_MOVIES = sa.text("""
SELECT oid, pg_get_function_identity_arguments(oid), obj_description(oid, 'pg_proc') IS NOT NULL
FROM pg_proc WHERE proname = 'top_movies' AND pronamespace = 'recsys'::regnamespace
""")
FOUND_BY_SEARCH = sa.text("""
SELECT pg_get_function_result(oid) FROM pg_proc
WHERE proname = 'search_movies' AND pronamespace = 'recsys'::regnamespace
""")
PRIVILEGES = sa.text("""
SELECT
    pg_get_userbyid(nullif(a.grantee, 0)), a.privilege_type, a.is_grantable
FROM (
    SELECT proname AS name, coalesce(proacl, acldefault('f', proowner)) AS acl, pronamespace AS n
    FROM pg_proc
    UNION ALL
    SELECT relname, coalesce(relacl, acldefault('r', relowner)), relnamespace FROM pg_class
) AS o
CROSS JOIN aclexplode(o.acl) AS a
WHERE o.name = :name AND o.n = 'recsys'::regnamespace
ORDER BY 1, 2
""")
SCHEMA_STATE = sa.text("""
SELECT oid, xmin::text FROM pg_proc WHERE pronamespace = 'recsys'::regnamespace
UNION ALL
SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'recsys'::regnamespace
ORDER BY 1
""")


@pytest.fixture
def change(tmp_path, monkeypatch):
    """Make the next version of the contract: a copy with one file edited."""
    for path in versions.contract_files():
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(versions, "contract_files", lambda: sorted(tmp_path.glob("*.sql")))

    def edit(name, *replacements):
        path = tmp_path / f"{name}.sql"
        text = path.read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    return edit


@pytest.fixture
def roles(connection):
    """Two roles, gone with the transaction of the connection."""
    for role in (READER, OUTSIDER):
        connection.execute(sa.text(f"CREATE ROLE {quoted(role)}"))


def quoted(role):
    return '"' + role.replace('"', '""') + '"'


def privileges(connection, name):
    found = connection.execute(PRIVILEGES, {"name": name}).all()
    owner = connection.scalar(sa.text("SELECT current_user"))
    return {tuple(row) for row in found if row[0] != owner}


def test_other_arguments_leave_one_function_that_can_be_called(published, change):
    ((old, _, _),) = published.execute(TOP_MOVIES)
    rows = published.execute(sa.text("SELECT * FROM recsys.top_movies(3)")).all()
    change(*ONE_MORE_ARGUMENT)
    versions.upgrade(published)
    ((new, arguments, commented),) = published.execute(TOP_MOVIES)
    assert (arguments, commented) == ("n integer, genre text, chart text, since integer", True)
    assert new != old
    assert published.execute(sa.text("SELECT * FROM recsys.top_movies(3)")).all() == rows
    assert len(rows) == 3
    assert versions.contract_version(published) == versions.contract_digest()


def test_functions_of_several_arguments_of_old_all_go(connection):
    connection.execute(sa.text("DROP FUNCTION recsys.top_movies"))
    for arguments in ("n integer", "n integer DEFAULT 10, genre text DEFAULT NULL"):
        connection.execute(
            sa.text(
                f"CREATE FUNCTION recsys.top_movies({arguments}) RETURNS integer "
                "LANGUAGE sql AS 'SELECT 1'"
            )
        )
    versions.upgrade(connection)
    ((_, arguments, _),) = connection.execute(TOP_MOVIES)
    assert arguments == "n integer, genre text, chart text"


def test_a_stale_overload_is_dropped_and_the_current_one_stays(connection):
    before = connection.execute(TOP_MOVIES).all()
    connection.execute(sa.text("CREATE FUNCTION recsys.top_movies(n integer) RETURNS int RETURN 1"))
    versions.upgrade(connection)
    assert connection.execute(TOP_MOVIES).all() == before


def test_a_view_and_overloads_elsewhere_of_that_name_are_let_be(connection):
    connection.execute(sa.text("CREATE FUNCTION public.top_movies(n int) RETURNS int RETURN 1"))
    connection.execute(sa.text("CREATE VIEW recsys.top_movies AS SELECT 5 AS x"))
    connection.execute(sa.text("CREATE FUNCTION recsys.movies(n int) RETURNS int RETURN 7"))
    versions.upgrade(connection)
    query = sa.text("SELECT public.top_movies(0), x, recsys.movies(0) FROM recsys.top_movies")
    assert tuple(connection.execute(query).one()) == (1, 5, 7)


def test_a_caller_of_an_overload_keeps_working(published, change):
    rows = published.execute(sa.text("SELECT * FROM recsys.recommend(1, 5)")).all()
    change(
        "eligible_movies",
        ("shown integer[]\n)", "shown integer[], x int DEFAULT 0\n)"),
        ("integer, integer, integer[])", "integer, integer, integer[], integer)"),
    )
    versions.upgrade(published)
    assert published.execute(sa.text("SELECT * FROM recsys.recommend(1, 5)")).all() == rows
    assert len(rows) == 5


def test_other_result_columns_create_the_function_again(published, change):
    change(*ONE_COLUMN_LESS)
    versions.upgrade(published)
    assert len(published.execute(TOP_MOVIES).all()) == 1
    found = published.execute(sa.text("SELECT * FROM recsys.top_movies(3)"))
    assert list(found.keys()) == ["rank", "movie_id", "title", "score", "votes", "mean_rating"]
    assert len(found.all()) == 3


@pytest.mark.parametrize("edit", [ONE_MORE_ARGUMENT, ONE_COLUMN_LESS])
def test_a_dependent_view_is_named_and_nothing_changes(database, change, edit):
    with database.transaction() as connection:
        connection.execute(
            sa.text("CREATE VIEW public.mine AS SELECT title FROM recsys.top_movies(3)")
        )
        before = connection.execute(SCHEMA_STATE).all()
        version = versions.contract_version(connection)
    change(*edit)
    change(*COLUMNS_IN_ANOTHER_ORDER)
    with pytest.raises(StorageError) as caught, database.transaction() as connection:
        versions.upgrade(connection)
    assert str(caught.value).startswith(
        "recsys.top_movies(n integer, genre text, chart text) changes its arguments or its result, "
    )
    assert "view mine depends on function recsys.top_movies" in str(caught.value)
    assert caught.value.hint == HINT
    with database.transaction() as connection:
        assert connection.execute(SCHEMA_STATE).all() == before
        assert versions.contract_version(connection) == version
        assert connection.execute(sa.text("SELECT * FROM public.mine LIMIT 0")).all() == []


@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize("edit", [ANOTHER_BODY, ONE_COLUMN_LESS, ONE_MORE_ARGUMENT])
def test_grants_of_a_function_survive(connection, change, edit):
    grant(connection, "REVOKE ALL ON FUNCTION recsys.top_movies FROM PUBLIC")
    grant(connection, "GRANT EXECUTE ON FUNCTION recsys.top_movies TO {} WITH GRANT OPTION")
    change(*edit)
    versions.upgrade(connection)
    assert privileges(connection, "top_movies") == {(READER, "EXECUTE", True)}
    assert may_call(connection) == (True, False)


@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize("edit", [ANOTHER_BODY, ONE_COLUMN_LESS, ONE_MORE_ARGUMENT])
def test_a_function_everybody_may_call_stays_so(connection, change, edit):
    change(*edit)
    versions.upgrade(connection)
    assert privileges(connection, "top_movies") == {(None, "EXECUTE", False)}
    assert may_call(connection) == (True, True)


@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize("edit", [ONE_MORE_COLUMN, COLUMNS_IN_ANOTHER_ORDER])
def test_grants_of_a_view_survive(connection, change, edit):
    grant(connection, "GRANT SELECT ON recsys.models TO {}")
    grant(connection, "GRANT REFERENCES ON recsys.models TO {} WITH GRANT OPTION")
    change(*edit)
    versions.upgrade(connection)
    assert privileges(connection, "models") == {
        (READER, "SELECT", False),
        (READER, "REFERENCES", True),
    }


@pytest.mark.usefixtures("roles")
def test_grants_survive_a_file_that_has_to_wait_for_another(connection, change, tmp_path):
    grant(connection, "REVOKE ALL ON FUNCTION recsys.search_movies FROM PUBLIC")
    grant(connection, "GRANT EXECUTE ON FUNCTION recsys.search_movies TO {}")
    change(
        "search_movies",
        ("year integer, movie_key text)", "year integer)"),
        ("s.year, s.movie_key\n", "s.year\n"),
        (".n) AS s\n", ".n) AS s WHERE recsys.zero() = 0\n"),
    )
    (tmp_path / "zero.sql").write_text(
        "CREATE OR REPLACE FUNCTION recsys.zero() RETURNS integer RETURN 0;"
    )
    versions.upgrade(connection)
    assert connection.scalar(FOUND_BY_SEARCH).split(", ")[-1] == "year integer)"
    assert privileges(connection, "search_movies") == {(READER, "EXECUTE", False)}


def grant(connection, statement):
    connection.execute(sa.text(statement.format(quoted(READER))))


def may_call(connection):
    query = sa.text(
        "SELECT has_function_privilege(:reader, p.oid, 'EXECUTE'), "
        "has_function_privilege(:outsider, p.oid, 'EXECUTE') FROM pg_proc AS p "
        "WHERE p.proname = 'top_movies' AND p.pronamespace = 'recsys'::regnamespace"
    )
    return tuple(connection.execute(query, {"reader": READER, "outsider": OUTSIDER}).one())


@pytest.mark.parametrize(
    "old",
    [
        "require_user(user_id integer)",
        "asked_models(asked_model text)",
        "misspelt(words text[])",
        "changed_since(run_id integer, user_id integer)",
        "list_anew(run_id integer, model_id smallint, scoring text, user_id integer, length int)",
    ],
)
def test_functions_that_were_renamed_leave_nothing_behind(connection, old):
    connection.execute(sa.text(f"CREATE FUNCTION recsys.{old} RETURNS int RETURN 1"))
    versions.upgrade(connection)
    name = old.partition("(")[0]
    assert connection.scalar(sa.text(f"SELECT to_regproc('recsys.{name}')")) is None
