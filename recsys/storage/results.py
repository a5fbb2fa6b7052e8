"""Results of a run: a partition of each result table, filled alone, finished, attached whole.

Until it is attached no reader meets it and no lock of theirs is touched. What a partition needs
(constraints, keys, indexes) is read off its parent, so that attaching finds all of it in place.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from psycopg import sql

from recsys.storage import table_parts
from recsys.storage.copy import Column, Progress, copy_arrays, driver
from recsys.storage.tables import STORE
from recsys.storage.tables.results import RESULT_TABLES

TABLES = RESULT_TABLES
PARTITIONS = """
SELECT c.relname, c.relispartition
FROM pg_class AS c
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relname = ANY (:names)
"""


def partition_name(table: str, run_id: int) -> str:
    return f"{table}_run_{run_id}"


def create(connection: sa.Connection, table: str, run_id: int) -> None:
    """Make the standing-alone partition of a result table for a run."""
    like = "LIKE {} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING COMMENTS"
    _run(
        connection,
        f"CREATE TABLE {{}} ({like})",
        _name(partition_name(table, run_id)),
        _name(table),
    )


def append(
    connection: sa.Connection,
    table: str,
    run_id: int,
    columns: Mapping[str, Column],
    progress: Progress | None = None,
) -> int:
    """COPY columns into a partition made in this same transaction; return the rows."""
    name = f"{STORE}.{partition_name(table, run_id)}"
    return copy_arrays(connection, name, columns, freeze=True, progress=progress)


def finish(connection: sa.Connection, table: str, run_id: int) -> None:
    """Give a filled partition its keys, indexes and statistics."""
    child = partition_name(table, run_id)
    # Spares ATTACH a scan of the whole partition.
    bound = "ALTER TABLE {} ADD CONSTRAINT {} CHECK (run_id = {})"
    _run(connection, bound, _name(child), sql.Identifier(f"ck_{child}"), sql.Literal(run_id))
    parent = f"{STORE}.{table}"
    for part in table_parts.constraints(connection, parent):
        name, definition = sql.Identifier(_of_run(part.name, run_id)), sql.SQL(part.definition)
        _run(connection, "ALTER TABLE {} ADD CONSTRAINT {} {}", _name(child), name, definition)
    for part in table_parts.indexes(connection, parent):
        name, method = sql.Identifier(_of_run(part.name, run_id)), part.definition.split(" USING ")
        _run(connection, "CREATE INDEX {} ON {} USING {}", name, _name(child), sql.SQL(method[1]))
    _run(connection, "ANALYZE {}", _name(child))


def attach(connection: sa.Connection, run_id: int) -> None:
    """Attach every partition of a run that stands alone yet."""
    standing = _partitions(connection, run_id)
    for table, attached in standing.items():
        if not attached:
            _run(
                connection,
                "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})",
                _name(table),
                _name(partition_name(table, run_id)),
                sql.Literal(run_id),
            )


def drop(connection: sa.Connection, run_id: int) -> None:
    """Drop every partition of a run, attached or not, and note that in the run.

    An attached one is detached under a lock that waits for its readers.
    """
    for table in _partitions(connection, run_id):
        _run(connection, "DROP TABLE {}", _name(partition_name(table, run_id)))
    connection.execute(
        sa.text("UPDATE recsys_store.runs SET pruned_at = now() WHERE run_id = :run_id"),
        {"run_id": run_id},
    )


def wait_briefly(connection: sa.Connection) -> None:
    """Let the transaction fail after half a second for a lock: new readers wait behind it."""
    connection.execute(sa.text("SET LOCAL lock_timeout = '500ms'"))


def _partitions(connection: sa.Connection, run_id: int) -> dict[str, bool]:
    """Return the result tables in which a run has a partition, and whether it is attached."""
    tables = {partition_name(table.name, run_id): table.name for table in TABLES}
    rows = connection.execute(sa.text(PARTITIONS), {"schema": STORE, "names": sorted(tables)}).all()
    return {tables[name]: attached for name, attached in rows}


def _of_run(name: str, run_id: int) -> str:
    # PostgreSQL would cut a longer name silently, and then two might be the same.
    suffix = f"_run_{run_id}"
    return name[: 63 - len(suffix)] + suffix


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(STORE, table)


def _run(connection: sa.Connection, statement: str, *parts: sql.Composable) -> None:
    driver(connection).execute(sql.SQL(statement).format(*parts))
