"""Results of a run: one partition per result table, filled while detached, then attached.

A detached partition shares no lock with readers. It gets the constraints, keys and indexes of its
parent before, so that attaching finds them in place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.types import ARRAY

from recsys.domain import Progress
from recsys.storage.load.copy import Column, copy_arrays, driver
from recsys.storage.schema import introspection
from recsys.storage.schema.tables import STORE
from recsys.storage.schema.tables.results import RESULT_TABLES

TABLES = RESULT_TABLES
LARGEST_ROW = 8160  # the largest value that PostgreSQL allows with pages of 8 kB
PARTITIONS = """
SELECT c.relname, c.relispartition
FROM pg_class AS c
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relname = ANY (:names)
"""
PAGES = """
WITH partitions AS (
    SELECT c.oid, c.reltoastrelid FROM pg_class AS c
    WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relname = ANY (:names)
)
SELECT
    sum(c.relpages) * CAST(current_setting('block_size') AS bigint)
    -- ANALYZE counts no pages of large values, and networks are little else.
    + coalesce((SELECT sum(pg_relation_size(p.reltoastrelid)) FROM partitions AS p), 0)
FROM pg_class AS c
WHERE c.oid IN (SELECT p.oid FROM partitions AS p)
   OR c.oid IN (
        SELECT x.indexrelid FROM pg_index AS x JOIN partitions AS p ON p.oid = x.indrelid
    )
"""
OTHER_OWNER = """
SELECT pg_get_userbyid(relowner) FROM pg_class
WHERE oid = CAST(:table AS regclass) AND pg_get_userbyid(relowner) <> current_user
"""


READING = """
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE relation = ANY (CAST(:names AS regclass[])) AND pid <> pg_backend_pid()
"""
PLANNED_WITHIN_S = 1.0
DETACH_PENDING = """
SELECT inhdetachpending FROM pg_inherits
WHERE inhparent = CAST(:parent AS regclass) AND inhrelid = CAST(:child AS regclass)
"""
LEFT_BEHIND = r"""
SELECT DISTINCT r.run_id
FROM pg_class AS c
JOIN recsys_store.runs AS r ON CAST(r.run_id AS text) = substring(c.relname FROM '_run_(\d+)$')
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind = 'r'
  AND r.pruned_at IS NOT NULL
ORDER BY r.run_id
"""


def partition_name(table: str, run_id: int) -> str:
    return f"{table}_run_{run_id}"


def marks_name(run_id: int) -> str:
    """Return the table that marks the parts of lists that many sessions have written."""
    return f"parts_run_{run_id}"


def create(connection: sa.Connection, table: str, run_id: int) -> None:
    """Create the detached partition of a result table for a run; its owner is that of the table."""
    like = "LIKE {} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING COMMENTS INCLUDING STORAGE"
    child = _name(partition_name(table, run_id))
    # Lists stay in line as long as a row fits on a page; partitions do not inherit this setting.
    in_line = f"toast_tuple_target = {LARGEST_ROW}"
    _run(connection, f"CREATE TABLE {{}} ({like}) WITH ({in_line})", child, _name(table))
    # Another role than the one that refreshes may have to prune.
    owner = connection.scalar(sa.text(OTHER_OWNER), {"table": f"{STORE}.{table}"})
    if owner is not None:
        _run(connection, "ALTER TABLE {} OWNER TO {}", child, sql.Identifier(owner))


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
    # With it ATTACH need not scan the partition.
    bound = "ALTER TABLE {} ADD CONSTRAINT {} CHECK (run_id = {})"
    _run(connection, bound, _name(child), sql.Identifier(f"ck_{child}"), sql.Literal(run_id))
    parent = f"{STORE}.{table}"
    for part in introspection.constraints(connection, parent):
        name, definition = sql.Identifier(_of_run(part.name, run_id)), sql.SQL(part.definition)
        _run(connection, "ALTER TABLE {} ADD CONSTRAINT {} {}", _name(child), name, definition)
    for part in introspection.indexes(connection, parent):
        name, method = sql.Identifier(_of_run(part.name, run_id)), part.definition.split(" USING ")
        _run(connection, "CREATE INDEX {} ON {} USING {}", name, _name(child), sql.SQL(method[1]))
    # Without the arrays, whose elements PostgreSQL would count: no plan depends on them.
    scalars = [sql.Identifier(c.name) for c in _table(table).c if not isinstance(c.type, ARRAY)]
    _run(connection, "ANALYZE {} ({})", _name(child), sql.SQL(", ").join(scalars))


def of_run(connection: sa.Connection, run_id: int) -> list[str]:
    """Return the result tables in which a run has a partition."""
    return sorted(_partitions(connection, run_id))


def analyzed_bytes(connection: sa.Connection, run_id: int) -> int:
    """Return the bytes of the results of a run when they were analyzed; 0 if they are dropped.

    Unlike `recsys.run_size` it waits for no lock on them.
    """
    names = [partition_name(table.name, run_id) for table in TABLES]
    return int(connection.scalar(sa.text(PAGES), {"schema": STORE, "names": names}) or 0)


def columns(table: str) -> list[str]:
    """Return the columns of a result table except the id of the run."""
    return [column.name for column in _table(table).columns if column.name != "run_id"]


def attach(connection: sa.Connection, run_id: int) -> None:
    """Attach every partition of a run that is still detached."""
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


def outlast_planned(session: sa.Connection) -> None:
    """Wait, for a second at most, until the statements already planned have begun.

    A statement planned before a partition was attached does not read it, and may take its snapshot
    after a publication: it would see the new run id and no rows. `session` is in autocommit.
    """
    given = {"names": [f"{STORE}.{table.name}" for table in TABLES]}
    planned = list(session.scalars(sa.text(READING), given))
    ends = time.monotonic() + PLANNED_WITHIN_S
    while planned and time.monotonic() < ends:
        time.sleep(0.005)
        still = set(session.scalars(sa.text(READING), given))
        planned = [transaction for transaction in planned if transaction in still]


def drop(connection: sa.Connection, run_id: int, *, attached: bool = True) -> None:
    """Drop every partition of a run, or those not attached, and mark the run as pruned.

    Dropping an attached one takes a lock that waits for the readers of all runs.
    """
    for table, is_attached in _partitions(connection, run_id).items():
        if attached or not is_attached:
            _run(connection, "DROP TABLE {}", _name(partition_name(table, run_id)))
    _run(connection, "DROP TABLE IF EXISTS {}", _name(marks_name(run_id)))
    connection.execute(
        sa.text("UPDATE recsys_store.runs SET pruned_at = now() WHERE run_id = :run_id"),
        {"run_id": run_id},
    )


def detach_and_drop(session: sa.Connection, run_id: int) -> None:
    """Drop every partition of a run; readers of other runs do not wait.

    Waits for the readers of this one. `session` is in autocommit. The next call finishes what an
    interrupted one left.
    """
    for table in _partitions(session, run_id):
        child = partition_name(table, run_id)
        parent, name = f"{STORE}.{table}", f"{STORE}.{child}"
        pending = session.scalar(sa.text(DETACH_PENDING), {"parent": parent, "child": name})
        if pending is not None:
            form = "FINALIZE" if pending else "CONCURRENTLY"
            statement = "ALTER TABLE {} DETACH PARTITION {} " + form
            _run(session, statement, _name(table), _name(child))
        _run(session, "DROP TABLE {}", _name(child))


def of_pruned_runs(connection: sa.Connection) -> list[int]:
    """Return the pruned runs that still have results."""
    return list(connection.scalars(sa.text(LEFT_BEHIND), {"schema": STORE}))


def _partitions(connection: sa.Connection, run_id: int) -> dict[str, bool]:
    """Return the result tables in which a run has a partition, and whether it is attached."""
    tables = {partition_name(table.name, run_id): table.name for table in TABLES}
    rows = connection.execute(sa.text(PARTITIONS), {"schema": STORE, "names": sorted(tables)}).all()
    return {tables[name]: attached for name, attached in rows}


def _table(name: str) -> sa.Table:
    [found] = [each for each in TABLES if each.name == name]
    return found


def _of_run(name: str, run_id: int) -> str:
    # PostgreSQL would cut a longer name silently, and then two might be the same.
    suffix = f"_run_{run_id}"
    return name[: 63 - len(suffix)] + suffix


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(STORE, table)


def _run(connection: sa.Connection, statement: str, *parts: sql.Composable) -> None:
    driver(connection).execute(sql.SQL(statement).format(*parts))
