"""Where a refresh reads, learns and ranks: in this process, or on the executors of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import sqlalchemy as sa

from recsys.jobs.lists import Lists, LocalLists
from recsys.jobs.plan import Plan
from recsys.jobs.results import ResultWriter
from recsys.jobs.stages import StageClock
from recsys.jobs.training_data import Training, in_this_process
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import matrices


class OpenPlace(Protocol):
    """A place that is ready to work."""

    def reading(self, database: Database) -> AbstractContextManager[sa.Connection]:
        """Yield a session in the snapshot that is read."""

    def read(
        self, connection: sa.Connection, needs: Collection[str], clock: StageClock
    ) -> Training: ...

    def lists(
        self, database: Database, read: Training, writer: ResultWriter
    ) -> AbstractContextManager[Lists]: ...


class Place(Protocol):
    """A place to work."""

    def opened(
        self, database: Database, chosen: Plan, clock: StageClock
    ) -> AbstractContextManager[OpenPlace]:
        """Make it ready; raise ConfigError if it cannot compute the models of the plan."""


class LocalPlace:
    """This process."""

    @contextmanager
    def opened(self, database: Database, chosen: Plan, clock: StageClock) -> Iterator[OpenPlace]:
        yield self

    def reading(self, database: Database) -> AbstractContextManager[sa.Connection]:
        return database.snapshot()

    def read(
        self, connection: sa.Connection, needs: Collection[str], clock: StageClock
    ) -> Training:
        return in_this_process(matrices.read_snapshot(connection, needs, progress=clock.advance))

    @contextmanager
    def lists(self, database: Database, read: Training, writer: ResultWriter) -> Iterator[Lists]:
        yield LocalLists(read)


IN_THIS_PROCESS = LocalPlace()
