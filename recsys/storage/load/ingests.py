"""Record finished ingests, and clear the store before another edition is loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from recsys.domain import RejectedRow, SourceFile
from recsys.storage.load.copy import copy_rows, driver, identifier
from recsys.storage.runs import results
from recsys.storage.runs.lock import keep_refreshes_out
from recsys.storage.schema.tables import STORE, catalogue, runs
from recsys.storage.server import blockers

KEPT = {"ingests", "rejected_rows"}
CLEARED = sql.SQL(", ").join(
    identifier(f"{STORE}.{table.name}")
    for table in [*vars(catalogue).values(), *results.TABLES]
    if isinstance(table, sa.Table) and table.name not in KEPT
)
# New queries queue behind a waiting request for these locks. It gives up soon, lets them pass, and
# tries again: all in all for longer than the statement timeout of readers.
TURNS = 12
TURN = "SET LOCAL lock_timeout = '3s'"
PAUSE_S = 0.5


def record(
    connection: sa.Connection,
    facts: dict[str, Any],
    files: Sequence[SourceFile],
    rejected: Sequence[RejectedRow],
) -> int:
    """Write an ingest with the rejected rows that are kept; return its id.

    `facts` are columns of `ingests`.
    """
    values = {
        **facts,
        "files": [asdict(file) for file in files],
        # now() would be the start of the transaction.
        "finished_at": sa.func.clock_timestamp(),
    }
    table = catalogue.ingests
    ingest_id: int = connection.execute(
        table.insert().values(values).returning(table.c.ingest_id)
    ).scalar_one()
    rows = ((ingest_id, row.file, row.line, row.content, row.reason) for row in rejected)
    columns = ("ingest_id", "file", "line", "content", "reason")
    copy_rows(connection, "recsys_store.rejected_rows", columns, rows)
    return ingest_id


def loaded_files(connection: sa.Connection) -> list[set[tuple[str, str]]]:
    """Return name and sha256 of the files that each ingest of the present edition has read."""
    columns = catalogue.ingests.c
    replaced = sa.select(sa.func.max(columns.ingest_id)).where(columns.replaced).scalar_subquery()
    recorded = connection.scalars(
        sa.select(columns.files).where(
            columns.kind == "ratings", columns.ingest_id >= sa.func.coalesce(replaced, 0)
        )
    )
    return [{(file["name"], file["sha256"]) for file in files} for files in recorded]


def clear(connection: sa.Connection) -> None:
    """Withdraw the published run, empty the catalogue and drop all results.

    Ingests, runs and publications stay as history. Readers wait until the transaction ends. Raises
    RefreshBusy during a refresh, which would publish results of the old data.
    """
    keep_refreshes_out(connection)
    _lock_readers_out(connection)
    run_ids = connection.scalars(
        sa.select(runs.runs.c.run_id).where(runs.runs.c.pruned_at.is_(None))
    ).all()
    withdrawn = connection.execute(runs.published.delete()).rowcount
    if withdrawn:
        connection.execute(
            runs.publications.insert().values(action="withdraw", reason="catalogue replaced")
        )
    for run_id in run_ids:
        results.drop(connection, run_id)
    # One statement, as foreign keys forbid truncating the tables one by one.
    driver(connection).execute(sql.SQL("TRUNCATE {}").format(CLEARED))


def _lock_readers_out(connection: sa.Connection) -> None:
    """Wait until no transaction reads the tables, in turns with new readers."""
    statement = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(CLEARED)
    for turn in range(1, TURNS + 1):
        try:
            with driver(connection).transaction():
                driver(connection).execute(TURN)
                driver(connection).execute(statement)
        # A reader of two of the tables can hold one and want the other.
        except (LockNotAvailable, DeadlockDetected):
            if turn == TURNS:
                raise
            time.sleep(PAUSE_S)
        else:
            break
    blockers.limit_waits(connection)


def now(connection: sa.Connection) -> datetime:
    moment = connection.scalar(sa.select(sa.func.clock_timestamp()))
    assert isinstance(moment, datetime)
    return moment
