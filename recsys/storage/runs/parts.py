"""Lists that many sessions write into one partition, each part once.

A part and its mark are committed together. A second attempt at a part, be it a task that is run
again or one that runs twice at a time, finds the mark, waits for the session that makes it if need
be, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from psycopg import sql

from recsys.storage.load.copy import Column, copy_arrays, driver
from recsys.storage.runs import results
from recsys.storage.schema.tables import STORE

MARK = """
INSERT INTO {} (model_id, part, rows) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING part
"""


def create(connection: sa.Connection, table: str, run_id: int) -> None:
    """Create the partition of a run, and the marks of its parts."""
    results.create(connection, table, run_id)
    statement = (
        "CREATE UNLOGGED TABLE {} (model_id smallint, part integer, rows bigint NOT NULL, "
        "PRIMARY KEY (model_id, part))"
    )
    _run(connection, statement, run_id)


def append(
    connection: sa.Connection,
    table: str,
    run_id: int,
    part: tuple[int, int],
    columns: Mapping[str, Column],
) -> bool:
    """COPY a part, of a model and a number, into the partition; False if it is there already."""
    model_id, number = part
    rows = len(next(iter(columns.values())))
    mark = sql.SQL(MARK).format(_marks(run_id))
    if driver(connection).execute(mark, (model_id, number, rows)).fetchone() is None:
        return False
    if rows:
        name = f"{STORE}.{results.partition_name(table, run_id)}"
        copy_arrays(connection, name, columns)
    return True


def finish(connection: sa.Connection, table: str, run_id: int, counts: Mapping[int, int]) -> None:
    """Give the partition its keys and drop the marks; `counts` are the parts of each model."""
    statement = sql.SQL("SELECT model_id, count(*) FROM {} GROUP BY model_id").format(
        _marks(run_id)
    )
    found = dict(driver(connection).execute(statement).fetchall())
    assert found == {model: count for model, count in counts.items() if count}, (found, counts)
    results.finish(connection, table, run_id)
    _run(connection, "DROP TABLE {}", run_id)


def _marks(run_id: int) -> sql.Identifier:
    return sql.Identifier(STORE, results.marks_name(run_id))


def _run(connection: sa.Connection, statement: str, run_id: int) -> None:
    driver(connection).execute(sql.SQL(statement).format(_marks(run_id)))
