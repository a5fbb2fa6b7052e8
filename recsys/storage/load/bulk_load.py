"""Fill an empty table by COPY without keys and indexes, and build them afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from psycopg import sql

from recsys.domain import Progress
from recsys.storage.load.copy import Column, copy_arrays, driver, identifier
from recsys.storage.schema import introspection
from recsys.storage.schema.introspection import TablePart


def is_empty(connection: sa.Connection, table: str) -> bool:
    found = driver(connection).execute(
        sql.SQL("SELECT EXISTS (SELECT FROM {})").format(identifier(table))
    )
    return found.fetchone() == (False,)


def fill(
    connection: sa.Connection,
    table: str,
    columns: Mapping[str, Column],
    progress: Progress | None = None,
) -> int:
    """Fill an empty table, analyze it and return the row count; readers wait until the commit.

    The rows are frozen, so index-only scans need no vacuum. Triggers do not fire.
    """
    with filling(connection, table):
        return copy_arrays(connection, table, columns, freeze=True, progress=progress)


@contextmanager
def filling(connection: sa.Connection, table: str) -> Iterator[None]:
    """Fill an empty table in the block, without its keys, indexes and triggers; analyze it then."""
    constraints = introspection.constraints(connection, table)
    name, run = identifier(table), driver(connection).execute
    # Triggers would run for each row; the caller records the changes in one statement.
    run(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
    with without_indexes(connection, table):
        for constraint in constraints:
            run(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(name, _quoted(constraint)))
        # COPY FREEZE requires a table truncated in this transaction, even if it is empty.
        run(sql.SQL("TRUNCATE {}").format(name))
        yield
        for constraint in constraints:
            run(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    name,
                    _quoted(constraint),
                    sql.SQL(constraint.definition),
                )
            )
            if constraint.comment:
                comment = sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}")
                run(comment.format(_quoted(constraint), name, sql.Literal(constraint.comment)))
    run(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
    # Autovacuum comes too late: the next statements would be planned for an empty table.
    run(sql.SQL("ANALYZE {}").format(name))


@contextmanager
def without_indexes(connection: sa.Connection, table: str) -> Iterator[None]:
    """Drop the indexes of a table that belong to no constraint, and rebuild them afterwards.

    Readers of the table wait until the transaction ends.
    """
    indexes = introspection.indexes(connection, table)
    schema, run = sql.Identifier(table.split(".")[0]), driver(connection).execute
    for index in indexes:
        run(sql.SQL("DROP INDEX {}.{}").format(schema, _quoted(index)))
    yield
    for index in indexes:
        run(sql.SQL(index.definition))
        if index.comment:
            comment = sql.SQL("COMMENT ON INDEX {}.{} IS {}")
            run(comment.format(schema, _quoted(index), sql.Literal(index.comment)))


def _quoted(part: TablePart) -> sql.Identifier:
    return sql.Identifier(part.name)
