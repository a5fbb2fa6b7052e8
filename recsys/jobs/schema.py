"""The state of the schema, and how to bring it up to date."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.storage.schema import dictionary, roles, versions
from recsys.storage.server.engine import Database, database_bytes, server_version


@dataclass(frozen=True, slots=True)
class SchemaState:
    server_version: str
    empty: bool
    current: bool
    bytes: int


def schema_state(database: Database) -> SchemaState:
    with database.transaction() as connection:
        contract, has_store = versions.contract_version(connection), versions.sees_store(connection)
        revision = versions.revision(connection) if has_store else None
        version, size = server_version(connection), database_bytes(connection)
    # Who may only read the contract goes by that.
    current = contract == versions.contract_digest() and (
        not has_store or revision == versions.head()
    )
    return SchemaState(version, (revision, contract) == (None, None), current, size)


def upgrade_schema(database: Database) -> None:
    """Migrate tables and re-create the contract in one transaction."""
    with database.transaction() as connection:
        versions.upgrade(connection)


def data_dictionary(database: Database) -> str:
    """Return what the contract holds, as Markdown; an empty database gets its schema first."""
    with database.transaction() as connection:
        versions.ensure(connection)
        return dictionary.markdown(connection)


def set_up_roles(database: Database) -> None:
    """Give a database to the roles of `sql/roles.sql`; an empty one gets its schema first."""
    with database.transaction() as connection:
        versions.ensure(connection)
        roles.apply(connection)
