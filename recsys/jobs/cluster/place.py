"""A Spark cluster as the place where models learn and rank."""

from __future__ import annotations

import logging
import operator
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from recsys.config.settings import EngineSettings
from recsys.domain import ComputeLimits, FittedModel, Int64, Interactions
from recsys.engine import application
from recsys.engine.base import shards as cut
from recsys.engine.base import users_within
from recsys.engine.node import ShardOfUsers
from recsys.engine.spark import SparkShards, read_shards
from recsys.errors import ConfigError, NothingLoaded
from recsys.jobs.cluster.tasks import Reach, ReadShard, WriteLists
from recsys.jobs.columns import USER_RECOMMENDATIONS
from recsys.jobs.gate import refuse_scores
from recsys.jobs.lists import Listed, Lists
from recsys.jobs.plan import Plan
from recsys.jobs.results import ResultWriter
from recsys.jobs.stages import StageClock
from recsys.jobs.streaming import ResultStream
from recsys.jobs.training_data import Training
from recsys.storage.runs import lock, parts
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import feedback, shards
from recsys.storage.snapshot.checksum import input_checksum, row_hashes
from recsys.storage.snapshot.matrices import promised_range, read_features

if TYPE_CHECKING:
    from pyspark import SparkContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SparkPlace:
    """The executors of a Spark cluster, as `[engine]` describes it."""

    settings: EngineSettings

    @contextmanager
    def opened(self, database: Database, chosen: Plan, clock: StageClock) -> Iterator[OpenSpark]:
        require_scaling(chosen)
        with self._running(clock) as (context, slots), shards.exported(database) as exported:
            connection, snapshot = exported
            limits = ComputeLimits(memory_mb=chosen.settings.memory_mb)
            users = users_within(limits, chosen.settings.list_length)
            reach = Reach(database.without_password)
            yield OpenSpark(self.settings, context, connection, reach, snapshot, slots, users)

    @contextmanager
    def _running(self, clock: StageClock) -> Iterator[tuple[SparkContext, int]]:
        """Start an application whose executors have this code; yield it and its slots."""
        with ExitStack() as running:
            with clock.stage("spark") as done:
                context = application.start(_application(self.settings), "recsys")
                running.callback(application.stop, context)
                slots = application.slots(context)
                application.compare_versions(context)
                done(slots, "slots")
            running.enter_context(application.watched(context))
            yield context, slots


def _application(settings: EngineSettings) -> application.Application:
    return application.Application(
        settings.master,
        settings.archive,
        settings.python,
        settings.driver_memory,
        settings.executor_memory,
        settings.properties,
    )


def require_scaling(chosen: Plan) -> None:
    """Raise ConfigError naming the models that cannot learn from shards."""
    wrong = [spec.name for spec in chosen.specs if spec.learn is None]
    if wrong:
        able = [spec.name for spec in chosen.specs if spec.learn is not None]
        raise chosen.settings.located(
            ConfigError(
                f"the engine spark cannot compute {', '.join(wrong)}: "
                "these models need all ratings in one place",
                hint=f"leave them out of [refresh] models, as in {', '.join(able) or 'ease'}, "
                'or set kind = "local" in [engine]',
            ),
            "refresh",
            "models",
        )


@dataclass(frozen=True, slots=True)
class OpenSpark:
    """A running application of Spark, and the snapshot that its executors read."""

    settings: EngineSettings
    context: SparkContext
    connection: sa.Connection
    reach: Reach
    snapshot: str
    slots: int
    shard_users: int
    bounds: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @contextmanager
    def reading(self, database: Database) -> Iterator[sa.Connection]:
        yield self.connection

    def read(
        self, connection: sa.Connection, needs: Collection[str], clock: StageClock
    ) -> Training:
        """Let the executors read the ratings; the driver reads the catalogue."""
        users, movies = shards.ids(connection)
        counts = shards.rating_counts(connection, users)
        if not counts.any():
            raise NothingLoaded(
                "there are no ratings in the database",
                hint="load some, or refresh in this process: --engine local",
            )
        implicit = feedback.is_implicit(connection)
        catalogue = read_features(connection, movies, needs)
        scale = (1.0, 1.0) if implicit else promised_range(connection)
        cuts = self._cuts(counts)
        bounds = tuple((int(users.ids[c.start]), int(users.ids[c.stop - 1])) for c in cuts)
        for shard, (first, last) in zip(cuts, bounds, strict=True):
            self.bounds[shard.start] = shard.number, first, last
        source = ReadShard(self.reach, self.snapshot, movies, bounds, "times" in needs, implicit)
        tasks = min(self.slots, self.settings.connections)
        found, read_counts, hashes = read_shards(
            self.context, source, cuts, replace(catalogue, rating_range=scale), tasks
        )
        assert np.array_equal(read_counts, counts)
        clock.advance(found.ratings, found.ratings)
        squares = found.reduce(_squares)
        mean = found.facts.rating_mean
        deviation = float(np.sqrt(max(0.0, squares / max(1, found.ratings) - mean**2)))
        ids = movies.ids
        rows = found.rows(lambda shard: row_hashes(shard.user_items, ids, shard.rated_at))
        taken_at = connection.scalar(sa.text("SELECT now()"))
        return Training(
            users,
            movies,
            found,
            counts,
            hashes,
            deviation if found.ratings else None,
            taken_at,
            input_checksum(users, movies, rows, catalogue, found.facts.rating_range),
        )

    def _cuts(self, counts: Int64) -> list[ShardOfUsers]:
        """Cut the users into shards of about equal numbers of ratings, two a slot or more."""
        total = int(counts.sum())
        size = max(1, min(self.settings.shard_ratings, -(-total // (2 * self.slots))))
        before = np.concatenate(([0], np.cumsum(counts)))
        edges = [(shard.start, shard.stop) for shard in cut(before, size, self.shard_users)]
        return [
            ShardOfUsers(number, a, b, int(before[a]), int(before[b] - before[a]))
            for number, (a, b) in enumerate(edges)
        ]

    @contextmanager
    def lists(self, database: Database, read: Training, writer: ResultWriter) -> Iterator[Lists]:
        with database.transaction() as connection:
            parts.create(connection, USER_RECOMMENDATIONS, writer.run_id)
        try:
            yield SparkLists(self, database, read, writer)
        except BaseException:
            # Before the partition is dropped: tasks that write would keep it locked.
            application.cancel(self.context)
            raise


@dataclass(frozen=True, slots=True)
class SparkLists:
    """Lets the executors rank and write, each shard once."""

    place: OpenSpark
    database: Database
    read: Training
    writer: ResultWriter
    rows: list[int] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)
    """By model the parts that are written."""

    def make(
        self, model: FittedModel, n: int, limits: ComputeLimits, stream: ResultStream
    ) -> Iterator[Listed]:
        found, writer = self.read.shards, self.writer
        assert isinstance(found, SparkShards)
        write = WriteLists(
            self.place.reach,
            self.place.snapshot,
            writer.run_id,
            self.read.movies,
            writer.model_ids,
            self.place.bounds,
        )
        single = ComputeLimits(memory_mb=limits.memory_mb, threads=1)
        told = found.each(lambda shard: write(model, shard, n, single))
        refuse_scores(model.name, sum(part.not_finite for part in told))
        told.sort(key=operator.attrgetter("first_user"))
        writer.note(USER_RECOMMENDATIONS, model.name, (part.digest for part in told))
        self.made[writer.model_ids[model.name]] = len(told)
        for part in told:
            self.rows.append(int(np.count_nonzero(part.lengths)))
            yield Listed(part.stop, part.lengths.astype(np.int64))

    def finish(self, database: Database) -> int:
        with database.transaction() as connection:
            lock.hold_for_hours(connection)
            parts.finish(connection, USER_RECOMMENDATIONS, self.writer.run_id, self.made)
        return sum(self.rows)


def _squares(shard: Interactions) -> float:
    return float(np.sum(shard.user_items.data**2))
