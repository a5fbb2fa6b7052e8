"""The state of the schema, and how to bring it up to date."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from recsys.storage import schema
from recsys.storage.engine import Database


@dataclass(frozen=True, slots=True)
class SchemaState:
    server_version: str
    empty: bool
    current: bool
    bytes: int


def schema_state(database: Database) -> SchemaState:
    with database.transaction() as connection:
        revision, contract = schema.revision(connection), schema.contract_version(connection)
        version = connection.scalar(sa.text("SHOW server_version"))
        size = connection.scalar(sa.text("SELECT pg_database_size(current_database())"))
    current = (revision, contract) == (schema.head(), schema.contract_digest())
    return SchemaState(str(version).split()[0], revision is None, current, int(size or 0))


def upgrade_schema(database: Database) -> None:
    """Migrate tables and re-create the contract in one transaction."""
    with database.transaction() as connection:
        schema.upgrade(connection)
