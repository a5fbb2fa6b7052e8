"""Threads beside the main thread of a refresh: the computation and the heartbeat."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from recsys.errors import StorageError
from recsys.storage.runs import lifecycle, lock
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
WAKE_UP_S = 1.0
COMPUTING = "recsys computing"
"""Name of the computing thread; a process that exits does not wait for it."""


def interruptibly(work: Callable[[], Result]) -> Result:
    """Run `work` in a thread, so that signals are handled meanwhile; return its result.

    Python handles signals between two instructions of the main thread: a call into LAPACK there
    delays them by minutes. Interrupted work goes on until the process ends; its result is lost.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        # An error that leaves a thread is printed and lost; the caller raises it instead.
        except BaseException as exc:
            errors.append(exc)

    # A daemon: the interpreter would join any other thread before it exits.
    thread = threading.Thread(target=run, name=COMPUTING, daemon=True)
    thread.start()
    # The system may hand a signal to any thread; Python handles it once the main thread wakes up.
    while thread.is_alive():
        thread.join(WAKE_UP_S)
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def heartbeat(database: Database, run_id: int) -> Iterator[None]:
    """Record a heartbeat of the run every few seconds."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(lock.HEARTBEAT_S):
            try:
                with database.transaction() as connection:
                    lifecycle.beat(connection, run_id)
            # One missed beat does no harm; an error of the database shows in the main thread.
            except StorageError as exc:
                logger.debug("no heartbeat: %s", exc)

    thread = threading.Thread(target=tell, name="recsys heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
