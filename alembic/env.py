"""Run migrations in one transaction, one runner at a time, never waiting long for a lock.

`recsys db upgrade` hands its connection over; the `alembic` command opens the database itself.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import context

from recsys.config import settings
from recsys.storage.schema.migration_lock import one_at_a_time
from recsys.storage.schema.tables import STORE, metadata
from recsys.storage.server import blockers
from recsys.storage.server.engine import open_database

PARTITION_OF_A_RUN = re.compile(r"_run_\d+$")


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    if kind == "schema":
        return name == STORE
    return not (kind == "table" and name and PARTITION_OF_A_RUN.search(name))


def run(connection: sa.Connection) -> None:
    one_at_a_time(connection)
    blockers.limit_waits(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=STORE,
        include_schemas=True,
        include_name=is_ours,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    if context.is_offline_mode():
        raise SystemExit("these migrations need a connection: run them online")
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    current = settings.load()
    with (
        open_database(current.home, current.database_url) as database,
        database.transaction() as connection,
    ):
        run(connection)


main()
