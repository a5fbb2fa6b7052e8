"""Apply the files of the SQL contract: create or replace their objects and keep the grants."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.exc import DBAPIError

from recsys.errors import StorageError
from recsys.storage.load.copy import driver

CONTRACT = "recsys"
CREATED = re.compile(r"^CREATE OR REPLACE (VIEW|FUNCTION) recsys\.(\w+)", re.MULTILINE)
# Undefined table, function or column of a view that another file re-creates; an ambiguous function:
# another file may drop one of the two.
NOT_YET = {"42P01", "42883", "42725", "42703"}
SHAPE_CHANGED = {"42P16", "42P13"}  # columns of a view; result or argument names of a function
CHANGES = {"VIEW": "columns", "FUNCTION": "arguments or its result"}
GRANTED_AS = {"VIEW": sql.SQL("TABLE"), "FUNCTION": sql.SQL("FUNCTION")}
# xmin differs after each change of a row, so it tells which objects were replaced. A list of
# privileges that is NULL stands for the default ones.
STANDING = """
SELECT
    'VIEW', c.relname, c.oid, CAST(c.xmin AS text),
    format('%I.%I', n.nspname, c.relname),
    CAST(coalesce(c.relacl, acldefault('r', c.relowner)) AS text)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relkind = 'v'
UNION ALL
SELECT
    'FUNCTION', p.proname, p.oid, CAST(p.xmin AS text),
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    CAST(coalesce(p.proacl, acldefault('f', p.proowner)) AS text)
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = :schema AND p.prokind = 'f'
"""
GRANTS = """
SELECT DISTINCT
    CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable
FROM unnest(CAST(:acls AS text[])) AS l (acl)
CROSS JOIN aclexplode(CAST(l.acl AS aclitem[])) AS a
ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """An existing view or function; `version` changes when it is replaced."""

    kind: str
    name: str
    oid: int
    version: str
    signature: str
    acl: str


def apply_script(connection: sa.Connection, script: str) -> bool:
    """Create or replace the objects of a script; return False, undone, if others must come first.

    Objects whose columns, arguments or results change are dropped and created again with their
    grants. Raises StorageError if objects outside the script depend on one of them.
    """
    try:
        # A savepoint: an error would otherwise abort the transaction of the whole upgrade.
        with connection.begin_nested():
            _replace(connection, script)
    except DBAPIError as exc:
        if _sqlstate(exc) not in NOT_YET:
            raise
        return False
    return True


def _replace(connection: sa.Connection, script: str) -> None:
    before = _standing(connection, script)
    try:
        _run(connection, script)
    except DBAPIError as exc:
        if _sqlstate(exc) not in SHAPE_CHANGED:
            raise
        # CREATE OR REPLACE can neither change columns nor the type of a result.
        _drop(connection, before)
        _run(connection, script)
    after = _standing(connection, script)
    # An overload that the script did not write has old arguments and makes calls ambiguous.
    _drop(connection, [old for old in before if old.kind == "FUNCTION" and old in after])
    _pass_grants_on(connection, before, after)


def _standing(connection: sa.Connection, script: str) -> list[Standing]:
    """Return the existing objects with the names in the script, all overloads of a function."""
    created = set(CREATED.findall(script))
    rows = connection.execute(sa.text(STANDING), {"schema": CONTRACT})
    found = [Standing(*row) for row in rows]
    return [each for each in found if (each.kind, each.name) in created]


def _run(connection: sa.Connection, script: str) -> None:
    # Without parameters psycopg sends the text as it is: `%` and `:` mean nothing.
    with connection.begin_nested():
        connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def _drop(connection: sa.Connection, objects: list[Standing]) -> None:
    for each in objects:
        statement = sql.SQL("DROP {} {}").format(sql.SQL(each.kind), sql.SQL(each.signature))
        try:
            driver(connection).execute(statement)
        except psycopg.errors.DependentObjectsStillExist as exc:
            raise StorageError(
                f"{each.signature} changes its {CHANGES[each.kind]}, but other objects are built "
                f"on it: {exc.diag.message_detail}",
                hint="drop those objects, upgrade the schema, and create them again",
            ) from exc


def _pass_grants_on(
    connection: sa.Connection, before: list[Standing], after: list[Standing]
) -> None:
    """Grant on the created objects what was granted on those of the same names."""
    known = {old.oid for old in before}
    for new in after:
        acls = [old.acl for old in before if (old.kind, old.name) == (new.kind, new.name)]
        if acls and new.oid not in known:
            _grant(connection, new, acls)


def _grant(connection: sa.Connection, target: Standing, acls: list[str]) -> None:
    on = sql.SQL("ON {} {}").format(GRANTED_AS[target.kind], sql.SQL(target.signature))
    # PUBLIC may call a new function by default; the old privileges say whether it should.
    driver(connection).execute(sql.SQL("REVOKE ALL {} FROM PUBLIC").format(on))
    for role, privilege, grantable in connection.execute(sa.text(GRANTS), {"acls": acls}):
        statement = sql.SQL("GRANT {} {} TO {}{}").format(
            sql.SQL(privilege),
            on,
            sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
            sql.SQL(" WITH GRANT OPTION" if grantable else ""),
        )
        driver(connection).execute(statement)


def _sqlstate(error: DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
