"""Applying `sql/roles.sql`: twice, with an upgrade, without privileges; restoring a dump."""

from __future__ import annotations

import subprocess

import pytest
import sqlalchemy as sa

from recsys.errors import StorageError
from recsys.storage.load.copy import driver
from recsys.storage.schema import roles, versions

STATE = sa.text("""
SELECT n.nspname, 'schema', n.nspowner::regrole::text, n.nspacl::text FROM pg_namespace AS n
WHERE n.nspname IN ('recsys', 'recsys_store', 'public')
UNION ALL
SELECT c.oid::regclass::text, c.relkind::text, c.relowner::regrole::text, c.relacl::text
FROM pg_class AS c
WHERE c.relnamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
UNION ALL
SELECT p.oid::regprocedure::text, 'function', p.proowner::regrole::text, p.proacl::text
FROM pg_proc AS p
WHERE p.pronamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
UNION ALL
SELECT 'database', '', '', d.datacl::text FROM pg_database AS d WHERE datname = current_database()
UNION ALL
SELECT r.rolname, r.rolcanlogin::text || r.rolsuper || r.rolcreaterole || r.rolcreatedb,
    (SELECT string_agg(m.roleid::regrole::text, ', ') FROM pg_auth_members AS m WHERE m.member = r.oid),
    r.rolconfig::text
FROM pg_roles AS r WHERE r.rolname ~ '^recsys_(owner|job|app|reader)$'
ORDER BY 1, 2
""")  # noqa: E501
OF_OTHERS = """
SELECT name FROM ({}) AS o (name, kind, owner, acl)
WHERE owner <> 'recsys_owner' AND kind NOT IN ('i', 'I') AND name NOT IN ('public')
""".format(str(STATE).partition("UNION ALL\nSELECT 'database'")[0])


RIGHTS = sa.text("""
SELECT
    has_function_privilege('recsys.rate(integer, integer, double precision)', 'EXECUTE'),
    has_function_privilege('recsys.require_n(integer)', 'EXECUTE'),
    has_schema_privilege('recsys_store', 'USAGE')
""")


def test_a_second_time_nothing_changes(given_database):
    with given_database.transaction() as connection:
        before = connection.execute(STATE).all()
        roles.apply(connection)
        assert connection.execute(STATE).all() == before
        assert connection.scalars(sa.text(OF_OTHERS)).all() == []


def test_an_upgrade_gives_new_objects_to_the_roles(given_database):
    with given_database.transaction() as connection:
        before = connection.execute(STATE).all()
        run = driver(connection).execute
        for view in ("similar_movies", "publications"):
            run(f"DROP VIEW recsys.{view}")
        for function in (
            "rate(integer, integer, double precision)",
            "rate(text, text, double precision)",
            "top_movies",
            "similar_rows",
            "require_movie",
        ):
            run(f"DROP FUNCTION recsys.{function}")
        run("ALTER TABLE recsys_store.tags OWNER TO CURRENT_USER")
        run("GRANT SELECT ON recsys_store.tags TO recsys_reader")
        versions.upgrade(connection)
        assert connection.execute(STATE).all() == before


def test_an_upgrade_without_roles_stays_without(refreshed_database):
    with refreshed_database.transaction() as connection:
        versions.upgrade(connection)
        assert not roles.are_applied(connection)
        roles.apply(connection)
        assert roles.are_applied(connection)


def test_only_the_owner_can_apply_the_roles(given_database, as_role):
    with (
        pytest.raises(StorageError, match="42501"),
        as_role(given_database, "recsys_app").transaction() as connection,
    ):
        roles.apply(connection)


def test_a_restored_dump_keeps_what_was_granted(
    given_database, empty_database, as_role, server_program, tmp_path
):
    dump = tmp_path / "dump"
    for command in (
        [server_program("pg_dump"), "--format=custom", f"--file={dump}", given_database.url],
        [server_program("pg_restore"), "--exit-on-error", f"--dbname={empty_database.url}", dump],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    with empty_database.transaction() as connection:
        assert connection.scalars(sa.text(OF_OTHERS)).all() == []
    for role, may_rate in (("recsys_reader", False), ("recsys_app", True)):
        with as_role(empty_database, role).transaction() as connection:
            found = connection.execute(sa.text("SELECT FROM recsys.recommend(1, 5)")).all()
            rights = connection.execute(RIGHTS).one()
        assert (len(found), tuple(rights)) == (5, (may_rate, False, False))
