"""Bring a database to this version: tables by alembic, then the contract, in one transaction."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from recsys.errors import StorageError
from recsys.storage import share
from recsys.storage.tables import STORE

CONTRACT = "recsys"
CREATED = re.compile(r"^CREATE OR REPLACE (VIEW|FUNCTION) (recsys\.\w+)", re.MULTILINE)
NOT_THERE_YET = {"42P01", "42883"}  # undefined table, undefined function
SHAPE_CHANGED = {"42P16", "42P13"}  # columns of a view, result of a function
HAS_DEPENDENTS = "2BP01"


def alembic_config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(share.folder("alembic")))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: sa.Connection) -> None:
    """Migrate the tables and re-create the contract; what is already so stays untouched."""
    command.upgrade(alembic_config(connection), "head")
    apply_contract(connection)


def ensure(connection: sa.Connection) -> None:
    """Build the schema in an empty database; refuse one of another version.

    Raises StorageError with the command that mends it.
    """
    state = (revision(connection), contract_version(connection))
    if state == (None, None):
        upgrade(connection)
    elif state != (head(), contract_digest()):
        raise StorageError(
            "the schema of the database belongs to another version of recsys",
            hint="run `recsys db upgrade`",
        )


def revision(connection: sa.Connection) -> str | None:
    """Return the migration the tables are at, None where there are none."""
    options = {"version_table_schema": STORE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def head() -> str | None:
    return ScriptDirectory(str(share.folder("alembic"))).get_current_head()


def contract_version(connection: sa.Connection) -> str | None:
    """Return the digest of the contract in the database, kept in the comment of its schema."""
    comment = connection.scalar(
        sa.text("SELECT obj_description(to_regnamespace(:schema), 'pg_namespace')"),
        {"schema": CONTRACT},
    )
    found = re.search(r"version (\w+)", comment or "")
    return found[1] if found else None


def contract_digest() -> str:
    text = "".join(path.read_text(encoding="utf-8") for path in contract_files())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def contract_files() -> list[Path]:
    return sorted(share.folder("sql").glob("contract/*.sql"))


def apply_contract(connection: sa.Connection) -> None:
    """Re-create every contract object; those built on one another are tried until all stand."""
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {CONTRACT}"))
    pending = contract_files()
    while pending:
        waiting = [path for path in pending if not _apply_file(connection, path)]
        if len(waiting) == len(pending):
            names = ", ".join(path.name for path in waiting)
            raise StorageError(f"these contract files need objects that do not exist: {names}")
        pending = waiting
    connection.exec_driver_sql(
        f"COMMENT ON SCHEMA {CONTRACT} IS "
        f"'Recommendations, and all that is known of them; version {contract_digest()}'"
    )


def _apply_file(connection: sa.Connection, path: Path) -> bool:
    """Run one file; return False where it needs an object that is not there yet."""
    statements = path.read_text(encoding="utf-8")
    try:
        _run_script(connection, statements)
    except DBAPIError as exc:
        state = getattr(exc.orig, "sqlstate", None)
        if state in NOT_THERE_YET:
            return False
        if state not in SHAPE_CHANGED:
            raise
        _drop_created(connection, statements)
        _run_script(connection, statements)
    return True


def _run_script(connection: sa.Connection, statements: str) -> None:
    # Without parameters psycopg sends the text as it is: `%` and `:` mean nothing.
    with connection.begin_nested():
        connection.exec_driver_sql(statements, execution_options={"no_parameters": True})


def _drop_created(connection: sa.Connection, statements: str) -> None:
    for kind, name in CREATED.findall(statements):
        try:
            connection.exec_driver_sql(f"DROP {kind} IF EXISTS {name}")
        except DBAPIError as exc:
            if not isinstance(exc.orig, psycopg.Error) or exc.orig.sqlstate != HAS_DEPENDENTS:
                raise
            raise StorageError(
                f"{name} changes its columns, but other objects are built on it: "
                f"{exc.orig.diag.message_detail}",
                hint="drop those objects, run `recsys db upgrade`, and create them again",
            ) from exc
