"""Short ways to read and change a database in tests of jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from recsys.storage.server.engine import Database


def rows_of(database: Database, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query; `::` is a cast, `:name` a parameter."""
    with database.transaction() as connection:
        found = connection.execute(sa.text(query.replace("::", r"\:\:")), values)
        return [tuple(row) for row in found]


def change(database: Database, *statements: str) -> None:
    """Execute statements in one transaction."""
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
