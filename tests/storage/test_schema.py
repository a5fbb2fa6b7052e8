import re

import pytest
import sqlalchemy as sa

from recsys.errors import SchemaNewer, StorageError
from recsys.storage.schema import versions

CREATED = sa.text(
    "SELECT xmin::text, oid FROM pg_class "
    "WHERE relnamespace = 'recsys_store'::regnamespace ORDER BY oid"
)


def test_a_migrated_database_is_at_the_head_of_both(connection):
    assert versions.revision(connection) == versions.head()
    assert versions.contract_version(connection) == versions.contract_digest()


def test_an_empty_database_has_neither(empty_database):
    with empty_database.transaction() as connection:
        assert versions.revision(connection) is None
        assert versions.contract_version(connection) is None


def test_ensure_builds_the_schema_once(empty_database):
    with empty_database.transaction() as connection:
        versions.ensure(connection)
        assert versions.revision(connection) == versions.head()
    with empty_database.transaction() as connection:
        before = connection.execute(CREATED).all()
        versions.ensure(connection)
        assert connection.execute(CREATED).all() == before


@pytest.mark.parametrize(
    "change",
    [
        "COMMENT ON SCHEMA recsys IS 'version abc'",
        "UPDATE recsys_store.alembic_version SET version_num = '0001'",
        "DROP SCHEMA recsys CASCADE",
    ],
)
def test_another_version_is_refused(connection, change):
    connection.execute(sa.text(change))
    with pytest.raises(StorageError, match="belongs to another version of recsys") as caught:
        versions.ensure(connection)
    assert caught.value.hint == "upgrade the schema"


def test_a_newer_database_is_named_as_such(connection):
    connection.execute(sa.text("UPDATE recsys_store.alembic_version SET version_num = '9999'"))
    for refuse in (versions.ensure, versions.upgrade):
        with pytest.raises(SchemaNewer) as caught:
            refuse(connection)
        assert str(caught.value) == (
            "the database was upgraded by a newer version of recsys, to migration 9999; "
            f"this one knows migrations up to {versions.head()}"
        )
        assert caught.value.hint == "install that version of recsys or a newer one"
    assert versions.state(connection) == "newer"


def test_the_digest_is_of_all_contract_files():
    assert re.fullmatch(r"[0-9a-f]{12}", versions.contract_digest())
    names = [path.name for path in versions.contract_files()]
    assert "recommend.sql" in names
    assert names == sorted(names)


def folder_of(tmp_path, monkeypatch, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    monkeypatch.setattr(versions, "contract_files", lambda: sorted(tmp_path.glob("*.sql")))


def test_files_that_need_one_another_are_applied_in_any_order(connection, tmp_path, monkeypatch):
    folder_of(
        tmp_path,
        monkeypatch,
        a="CREATE OR REPLACE VIEW recsys.a AS SELECT x FROM recsys.b;",
        b="CREATE OR REPLACE VIEW recsys.b AS SELECT recsys.c() AS x;",
        c="CREATE OR REPLACE FUNCTION recsys.c() RETURNS integer LANGUAGE sql AS $$ SELECT 7 $$;",
    )
    versions.apply_contract(connection)
    assert connection.scalar(sa.text("SELECT x FROM recsys.a")) == 7


def test_a_file_whose_call_is_ambiguous_waits_for_the_old_overload_to_go(
    connection, tmp_path, monkeypatch
):
    for arguments in ("x integer", "x integer DEFAULT 1, y integer DEFAULT 2"):
        connection.execute(
            sa.text(f"CREATE FUNCTION recsys.f({arguments}) RETURNS integer RETURN 1")
        )
    folder_of(
        tmp_path,
        monkeypatch,
        a="CREATE OR REPLACE VIEW recsys.a AS SELECT recsys.f(3) AS x;",
        f="CREATE OR REPLACE FUNCTION recsys.f(x integer) RETURNS integer RETURN x;",
    )
    versions.apply_contract(connection)
    assert connection.scalar(sa.text("SELECT x FROM recsys.a")) == 3


def test_a_file_with_a_missing_dependency_is_named(connection, tmp_path, monkeypatch):
    folder_of(tmp_path, monkeypatch, lost="CREATE OR REPLACE VIEW recsys.z AS TABLE recsys.gone;")
    with pytest.raises(StorageError, match=r"are missing or ambiguous: lost\.sql"):
        versions.apply_contract(connection)


def test_per_cent_signs_and_colons_are_sent_as_they_are(connection, tmp_path, monkeypatch):
    folder_of(
        tmp_path,
        monkeypatch,
        p="CREATE OR REPLACE VIEW recsys.p AS SELECT 7 % 4 AS m, 'a:b %s' AS t, '1'::int AS i;",
    )
    versions.apply_contract(connection)
    assert tuple(connection.execute(sa.text("SELECT * FROM recsys.p")).one()) == (3, "a:b %s", 1)


def test_an_upgrade_keeps_views_of_users(published):
    published.execute(
        sa.text("CREATE VIEW public.mine AS SELECT movie_id, title FROM recsys.movies")
    )
    query = sa.text("SELECT 'public.mine'::regclass::oid, count(*) FROM public.mine")
    before = published.execute(query).one()
    versions.upgrade(published)
    assert published.execute(query).one() == before
    assert before[1] == 60


OLD_SHAPE = "CREATE VIEW recsys.models AS SELECT 1 AS odd, name AS model FROM recsys_store.models"


def test_a_view_of_another_shape_is_created_again(connection):
    connection.execute(sa.text("DROP VIEW recsys.models"))
    connection.execute(sa.text(OLD_SHAPE))
    versions.apply_contract(connection)
    found = connection.execute(sa.text("SELECT * FROM recsys.models"))
    names = list(found.keys())
    assert names[:3] == ["model", "kind", "score_meaning"]
    assert "odd" not in names


def test_a_changed_shape_under_a_view_is_an_error_that_names_it(connection):
    connection.execute(sa.text("DROP VIEW recsys.models"))
    connection.execute(sa.text(OLD_SHAPE))
    connection.execute(sa.text("CREATE VIEW public.mine AS SELECT odd FROM recsys.models"))
    with pytest.raises(StorageError) as caught:
        versions.apply_contract(connection)
    assert str(caught.value).startswith("recsys.models changes its columns")
    assert "view mine depends on view recsys.models" in str(caught.value)
    assert caught.value.hint == ("drop those objects, upgrade the schema, and create them again")


def test_a_function_of_another_result_is_created_again(connection):
    connection.execute(sa.text("DROP FUNCTION recsys.search_movies"))
    connection.execute(
        sa.text(
            "CREATE FUNCTION recsys.search_movies(query text, n integer DEFAULT 10) "
            "RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$"
        )
    )
    versions.apply_contract(connection)
    found = connection.execute(sa.text("SELECT * FROM recsys.search_movies('x')"))
    assert list(found.keys()) == ["movie_id", "title", "year", "movie_key"]
