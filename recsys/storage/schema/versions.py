"""Bring a database to this version: tables by alembic, then the contract, in one transaction."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from recsys.errors import SchemaNewer, SchemaOutdated, StorageError
from recsys.storage.schema import resources, roles
from recsys.storage.schema.contract import CONTRACT, apply_script
from recsys.storage.schema.migration_lock import create_schema
from recsys.storage.schema.tables import STORE

SchemaState = Literal["empty", "current", "other", "newer"]


def alembic_config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.folder("alembic")))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: sa.Connection) -> None:
    """Migrate the tables and apply the contract; objects that are current stay untouched.

    If the roles are in use, they get their privileges on new objects.
    """
    _refuse_newer(revision(connection))
    command.upgrade(alembic_config(connection), "head")
    apply_contract(connection)
    if roles.are_applied(connection):
        roles.apply(connection)


def ensure(connection: sa.Connection) -> None:
    """Build the schema in an empty database; refuse one of another version.

    Raises SchemaOutdated for a schema of another version.
    """
    state = (revision(connection), contract_version(connection))
    if state == (None, None):
        upgrade(connection)
    elif state != (head(), contract_digest()):
        _refuse_newer(state[0])
        raise SchemaOutdated(
            "the schema of the database belongs to another version of recsys",
            hint="upgrade the schema",
        )


def state(connection: sa.Connection) -> SchemaState:
    """Return whether the schema is missing, of this version or of another one."""
    contract, has_store = contract_version(connection), sees_store(connection)
    migrated = revision(connection) if has_store else None
    if (migrated, contract) == (None, None):
        return "empty"
    # A role that may only read the contract cannot see the migration.
    current = contract == contract_digest() and (not has_store or migrated == head())
    if current:
        return "current"
    return "newer" if is_newer(migrated) else "other"


def is_newer(migrated: str | None) -> bool:
    """Return whether a migration is none of this version's."""
    scripts = ScriptDirectory(str(resources.folder("alembic")))
    return migrated is not None and migrated not in {
        script.revision for script in scripts.walk_revisions()
    }


def _refuse_newer(migrated: str | None) -> None:
    if is_newer(migrated):
        raise SchemaNewer(
            f"the database was upgraded by a newer version of recsys, to migration {migrated}; "
            f"this one knows migrations up to {head()}",
            hint="install that version of recsys or a newer one",
        )


def analyze(session: sa.Connection) -> None:
    """Collect the statistics of the planner; `session` is in autocommit mode."""
    session.exec_driver_sql("ANALYZE")


def revision(connection: sa.Connection) -> str | None:
    """Return the migration the tables are at, None where there are none."""
    options = {"version_table_schema": STORE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def sees_store(connection: sa.Connection) -> bool:
    """Return whether there is a store that the connected role may look into."""
    query = sa.text("SELECT has_schema_privilege(to_regnamespace(:store), 'USAGE')")
    # The answer is NULL without a store.
    return connection.scalar(query, {"store": STORE}) is True


def head() -> str | None:
    return ScriptDirectory(str(resources.folder("alembic"))).get_current_head()


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
    # By name across folders: the digest must not depend on the order of a file system.
    return sorted(resources.folder("sql").glob("contract/*/*.sql"), key=lambda path: path.name)


def apply_contract(connection: sa.Connection) -> None:
    """Apply every contract file; those that depend on later ones are tried again."""
    create_schema(connection, CONTRACT)
    pending = contract_files()
    while pending:
        waiting = [
            path
            for path in pending
            if not apply_script(connection, path.read_text(encoding="utf-8"))
        ]
        if len(waiting) == len(pending):
            names = ", ".join(path.name for path in waiting)
            raise StorageError(
                f"these contract files need objects that are missing or ambiguous: {names}"
            )
        pending = waiting
    # COMMENT takes no bind parameters; both values are our own.
    connection.exec_driver_sql(
        f"COMMENT ON SCHEMA {CONTRACT} IS "
        f"'Recommendations, and all that is known of them; version {contract_digest()}'"
    )
