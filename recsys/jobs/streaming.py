"""Write the results of a run while later ones are computed."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from recsys.domain import IdMap
from recsys.errors import RunError
from recsys.jobs.columns import RUN_USERS, USER_RECOMMENDATIONS, Columns
from recsys.jobs.results import ResultWriter, require_storable
from recsys.jobs.training import ModelResults
from recsys.storage.load import catalogue
from recsys.storage.load.copy import driver
from recsys.storage.runs import lock
from recsys.storage.server.engine import Database

WAITING = 4
"""Parts that may wait for a lane: more would fill the memory when the database is slower."""
PATIENCE_S = 30.0
"""How long an abandoned lane may take to end."""

Part = tuple[str, str | None, Columns]
"""Rows of a table, and the model they are of."""


class Stopped(RunError):
    """The results are not wanted any more."""


class _Lane:
    """A thread that writes into some of the tables, in a transaction of its own."""

    def __init__(self, name: str, database: Database, writer: ResultWriter) -> None:
        self.seconds = 0.0
        """Time spent on writing and indexing."""
        self.rows = 0
        self.error: BaseException | None = None
        self._database = database
        self._writer = writer
        # None is the end of the results.
        self._queue: Queue[Part | None] = Queue(WAITING)
        self._stopped = threading.Event()
        self._connection: sa.Connection | None = None
        # A daemon: a process that is told to end does not wait for it.
        self.thread = threading.Thread(target=self._run, name=f"recsys {name}", daemon=True)

    def put(self, part: Part | None) -> None:
        """Hand over a part; wait while others wait. Raises the error of a lane that failed."""
        while True:
            if self.error is not None:
                raise self.error
            if self._stopped.is_set():
                raise Stopped("the run was given up")
            try:
                return self._queue.put(part, timeout=0.2)
            except Full:
                continue

    def stop(self) -> None:
        """Give up: roll everything back."""
        self._stopped.set()
        if self._connection is not None and self.thread.is_alive():
            # It may have ended meanwhile, and its connection with it.
            with suppress(SQLAlchemyError, psycopg.Error):
                driver(self._connection).cancel_safe(timeout=5.0)

    def _run(self) -> None:
        try:
            with self._database.transaction() as connection:
                self._connection = connection
                lock.hold_for_hours(connection)
                self._write(connection)
        # An error that leaves a thread is printed and lost; the next part raises it instead.
        except BaseException as exc:
            self.error = exc

    def _write(self, connection: sa.Connection) -> None:
        tables = set()
        while (part := self._next()) is not None:
            started = time.monotonic()
            table, name, columns = part
            self.rows += self._writer.append(connection, table, name, columns, self._check)
            tables.add(table)
            self.seconds += time.monotonic() - started
        started = time.monotonic()
        self._writer.finish(connection, tables)
        self.seconds += time.monotonic() - started
        self._check()

    def _next(self) -> Part | None:
        while True:
            self._check()
            try:
                return self._queue.get(timeout=0.2)
            except Empty:
                continue

    def _check(self, *_: int) -> None:
        if self._stopped.is_set():
            raise Stopped("the run was given up")


class ResultStream:
    """Write results as they come; leave nothing behind if the run fails.

    Lists of users have a thread and a transaction of their own, and so have all other results: both
    fill and index their partitions while the models are computed. Used as a context manager, it
    rolls everything back on an error.
    """

    def __init__(self, database: Database, writer: ResultWriter, users: Columns) -> None:
        """Begin with the rows of `run_users`."""
        self._writer = writer
        self._users = users
        with database.transaction() as connection:
            self._genre_ids = catalogue.genre_ids(connection)
        self._lists = _Lane("lists", database, writer)
        self._others = _Lane("results", database, writer)
        self._lanes = (self._lists, self._others)

    def __enter__(self) -> Self:
        for lane in self._lanes:
            lane.thread.start()
        self._others.put((RUN_USERS, None, self._users))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.thread.join(PATIENCE_S)

    @property
    def seconds(self) -> float:
        """Time that the database has worked for this stream, all lanes together."""
        return sum(lane.seconds for lane in self._lanes)

    def write(self, name: str, found: ModelResults, listed: IdMap | None = None) -> None:
        """Hand over results of a model, to be written soon.

        `listed` are the users of the recommendations, all users if it is not given. Raises the
        error of an earlier part, and RunError for a network that is too large.
        """
        require_storable(name, found)
        for table, columns in self._writer.tables_of(found, self._genre_ids, listed):
            lane = self._lists if table == USER_RECOMMENDATIONS else self._others
            lane.put((table, name, columns))

    def close(self) -> None:
        """Tell that nothing follows: indexes are built from now on."""
        for lane in self._lanes:
            lane.put(None)

    def wait(self) -> int:
        """Wait until all is written, indexed and committed; return the rows."""
        for lane in self._lanes:
            while lane.thread.is_alive():
                # A join without a limit would not hear signals on every platform.
                lane.thread.join(0.2)
            if lane.error is not None:
                raise lane.error
        return sum(lane.rows for lane in self._lanes)
