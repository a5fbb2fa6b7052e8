"""The state of the schema, and how to bring it up to date."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.storage import schema
from recsys.storage.engine import Database, database_bytes, server_version


@dataclass(frozen=True, slots=True)
class SchemaState:
    server_version: str
    empty: bool
    current: bool
    bytes: int


def schema_state(database: Database) -> SchemaState:
    with database.transaction() as connection:
        revision, contract = schema.revision(connection), schema.contract_version(connection)
        version, size = server_version(connection), database_bytes(connection)
    current = (revision, contract) == (schema.head(), schema.contract_digest())
    return SchemaState(version, revision is None, current, size)


def upgrade_schema(database: Database) -> None:
    """Migrate tables and re-create the contract in one transaction."""
    with database.transaction() as connection:
        schema.upgrade(connection)
