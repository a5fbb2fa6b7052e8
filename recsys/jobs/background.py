"""What runs beside the main thread of a refresh, so that it hears signals and is heard of."""

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
COMPUTING = "recsys computing"
"""Name of the thread that computes: a process that leaves need not wait for it."""


def interruptibly(work: Callable[[], Result]) -> Result:
    """Return what `work` returns, or raise what it raises; signals are heard meanwhile.

    In the main thread a signal would wait for the library's kernel that runs, for minutes perhaps.
    Work that is interrupted goes on until the process ends, and comes to nothing.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=run, name=COMPUTING, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def heartbeat(database: Database, run_id: int) -> Iterator[None]:
    """Tell the database every few seconds that the run is being computed."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(lock.HEARTBEAT_S):
            try:
                with database.transaction() as connection:
                    lifecycle.beat(connection, run_id)
            except StorageError as exc:
                logger.debug("no heartbeat: %s", exc)

    thread = threading.Thread(target=tell, name="recsys heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
