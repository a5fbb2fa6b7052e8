"""What the executors of a cluster do with the database: read shards and write lists.

These objects travel to the executors, and Spark may show or store them, so that they hold no
password. An executor takes the database's URL from its own environment, or the password from where
libpq looks for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recsys.config import settings
from recsys.domain import ComputeLimits, FittedModel, IdMap, Int32, Interactions, UserRows
from recsys.engine.node import ReadRatings, ShardOfUsers
from recsys.jobs.columns import USER_RECOMMENDATIONS, arrays
from recsys.jobs.gate import scores_not_finite
from recsys.jobs.results import ResultWriter
from recsys.jobs.training import ModelResults
from recsys.storage.runs import parts
from recsys.storage.server.engine import Database
from recsys.storage.snapshot import shards
from recsys.storage.snapshot.matrices import alike_ratings, read_ratings


@dataclass(frozen=True, slots=True)
class Reach:
    """How executors reach the database."""

    url: str
    """Without a password."""

    def database(self) -> Database:
        found = Database(settings.load().database_url or self.url)
        # A server accepts so many connections: a task waits for one.
        found.patient = True
        return found


@dataclass(frozen=True, slots=True)
class ReadShard:
    """Reads the ratings of a shard from the snapshot that the driver holds open."""

    reach: Reach
    snapshot: str
    movies: IdMap
    bounds: tuple[tuple[int, int], ...]
    """The first and the last user id of each shard."""
    times: bool
    implicit: bool

    @property
    def key(self) -> str:
        return self.snapshot

    def read(self, shard: ShardOfUsers) -> ReadRatings:
        within = self.bounds[shard.number]
        database = self.reach.database()
        try:
            with shards.imported(database, self.snapshot) as connection:
                users = shards.users_within(connection, *within)
                assert len(users) == shard.stop - shard.start
                ratings, rated_at, hashes = read_ratings(
                    connection, users, self.movies, shard.ratings, self.times, within=within
                )
        finally:
            database.engine.dispose()
        return ReadRatings(alike_ratings(ratings) if self.implicit else ratings, rated_at, hashes)


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """What the driver must know of the lists of a shard."""

    first_user: int
    stop: int
    lengths: Int32
    digest: bytes
    """sha256 over the rows, without the ids of run and model."""
    not_finite: int = 0
    """Number of scores that are not finite; with any, nothing is written."""


@dataclass(frozen=True, slots=True)
class WriteLists:
    """Ranks the users of a shard and writes their lists, once."""

    reach: Reach
    snapshot: str
    run_id: int
    movies: IdMap
    model_ids: Mapping[str, int]
    bounds: Mapping[int, tuple[int, int, int]]
    """By the first user of each shard its number, and its first and last user id."""

    def __call__(
        self, model: FittedModel, shard: Interactions, n: int, limits: ComputeLimits
    ) -> WrittenPart:
        users, (number, *within) = shard.user_items.shape[0], self.bounds[shard.first_user]
        rows = UserRows(
            np.arange(shard.first_user, shard.first_user + users),
            shard.user_items,
            shard.rated_at,
        )
        lists = model.rank(rows, n, limits)
        stop, lengths = shard.first_user + users, np.diff(lists.indptr).astype(np.int32)
        # An error would make Spark try again: the driver refuses the run.
        if wrong := scores_not_finite(ModelResults(recommendations=lists)):
            return WrittenPart(shard.first_user, stop, lengths, b"", wrong)
        database = self.reach.database()
        try:
            with shards.imported(database, self.snapshot) as connection:
                listed = shards.users_within(connection, within[0], within[1])
            writer = ResultWriter(self.run_id, listed, self.movies, self.model_ids)
            columns = writer.recommendations(lists, listed)
            digest = hashlib.sha256()
            for _, array in arrays(columns):
                digest.update(np.ascontiguousarray(array).data)
            with database.transaction() as connection:
                part = self.model_ids[model.name], number
                numbered = writer.numbered(model.name, columns)
                parts.append(connection, USER_RECOMMENDATIONS, self.run_id, part, numbered)
        finally:
            database.engine.dispose()
        return WrittenPart(shard.first_user, stop, lengths, digest.digest())
