"""Write the results of models as rows of the result tables; positions become ids."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from recsys.domain import IdMap, Progress, TopN
from recsys.errors import RunError
from recsys.jobs.columns import (
    MOVIE_CHARTS,
    MOVIE_FACTORS,
    MOVIE_SIMILARITIES,
    NETWORKS,
    USER_FACTORS,
    USER_RECOMMENDATIONS,
    USER_SIMILARITIES,
    Columns,
    arrays,
    bias_columns,
    chart_columns,
    factor_columns,
    in_least_precision,
    list_columns,
    network_columns,
    ragged,
    rows_of,
)
from recsys.jobs.training import ModelResults
from recsys.storage.runs import results

LARGEST_ROW_TEXT = 2**30 - 2**16
"""Characters of a row that `pg_dump` can write: PostgreSQL allows a text of 1 GiB, and the names of
the columns take some of it."""
_ID_TEXT = 11


def require_storable(name: str, found: ModelResults) -> None:
    """Raise RunError for a network that is too large for the database, or for a dump of it."""
    network = found.network
    if network is None:
        return
    ids = len(network.items) + (len(network.users) if network.by_user else 0)
    # A dump writes two digits for each byte.
    if 2 * len(network.network) + _ID_TEXT * ids > LARGEST_ROW_TEXT:
        most = (LARGEST_ROW_TEXT - _ID_TEXT * ids) / 2**21
        raise RunError(
            f"the network of {name} has {len(network.network) / 2**20:,.0f} MiB, and a dump of the "
            f"database holds {most:,.0f} MiB at most",
            hint="give it fewer factors or narrower layers, or leave the model out",
        )


class ResultWriter:
    """Write the results of a run's models into its partitions."""

    def __init__(
        self, run_id: int, users: IdMap, movies: IdMap, model_ids: Mapping[str, int]
    ) -> None:
        self.run_id = run_id
        self._users = users
        self._movies = movies
        self.model_ids = model_ids
        # One digest per column of a model: the checksum must not depend on the size of the parts.
        self._digests: dict[str, Any] = {}
        self._tables: list[str] = []

    @property
    def checksum(self) -> str:
        """sha256 over all rows written, without the ids of the run and the models."""
        parts = (f"{name} {self._digests[name].hexdigest()}" for name in sorted(self._digests))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def append(
        self,
        connection: sa.Connection,
        table: str,
        name: str | None,
        columns: Columns,
        progress: Progress | None = None,
    ) -> int:
        """COPY rows of a model, or of none, into a partition; return how many.

        All rows of a table go through one transaction, which makes the partition.
        """
        if not rows_of(columns):
            return 0
        if table not in self._tables:
            results.create(connection, table, self.run_id)
            self._tables.append(table)
        # Without the ids of run and models: equal input gives an equal checksum.
        for label, array in arrays(columns):
            digest = self._digests.setdefault(f"{table} {name or ''} {label}", hashlib.sha256())
            digest.update(np.ascontiguousarray(array).data)
        numbered = self.numbered(name, columns)
        return results.append(connection, table, self.run_id, numbered, progress)

    def note(self, table: str, name: str, digests: Iterable[bytes]) -> None:
        """Let rows that were written elsewhere count in the checksum, by the digests of parts."""
        digest = self._digests.setdefault(f"{table} {name} parts", hashlib.sha256())
        for part in digests:
            digest.update(part)

    def finish(self, connection: sa.Connection, tables: Collection[str] | None = None) -> None:
        """Give the partitions, or those of some tables, their keys, indexes and statistics."""
        for table in self._tables:
            if tables is None or table in tables:
                results.finish(connection, table, self.run_id)

    def numbered(self, model: str | None, columns: Columns) -> Columns:
        # Broadcast: one number for all rows takes no memory.
        rows = rows_of(columns)
        run = np.broadcast_to(np.int32(self.run_id), rows)
        if model is None:
            return {"run_id": run, **columns}
        model_id = np.broadcast_to(np.int16(self.model_ids[model]), rows)
        return {"run_id": run, "model_id": model_id, **columns}

    def tables_of(
        self, found: ModelResults, genre_ids: Mapping[str, int], listed: IdMap | None = None
    ) -> Iterator[tuple[str, Columns]]:
        """Yield the rows of a model's results, table by table.

        `listed` are the users of the recommendations, all users if it is not given.
        """
        users, movies = self._users, self._movies
        if found.neighbours is not None:
            near = found.neighbours
            lists = list_columns(near, movies, "movie_id", "similar_movie_ids", movies)
            yield MOVIE_SIMILARITIES, in_least_precision(near, lists)
        if found.user_neighbours is not None:
            alike = found.user_neighbours
            lists = list_columns(alike, users, "user_id", "similar_user_ids", users)
            common = ragged(alike, alike.common, np.int32)
            yield USER_SIMILARITIES, {**lists, "common_ratings": common}
            yield USER_FACTORS, bias_columns("user_id", alike.means, users)
        if found.recommendations is not None:
            yield USER_RECOMMENDATIONS, self.recommendations(found.recommendations, listed or users)
        if found.baselines is not None:
            yield MOVIE_FACTORS, bias_columns("movie_id", found.baselines.items, movies)
        for columns in chart_columns(found.charts, movies, genre_ids):
            yield MOVIE_CHARTS, columns
        if found.factors is not None:
            yield from factor_columns(found.factors, users, movies)
        if found.network is not None:
            yield NETWORKS, network_columns(found.network, users, movies)

    def recommendations(self, lists: TopN, listed: IdMap) -> Columns:
        """Return one row for each user of a block who has a list."""
        columns = list_columns(lists, listed, "user_id", "movie_ids", self._movies)
        return {**columns, **self._source_column(lists)}

    def _source_column(self, lists: TopN) -> Columns:
        """Return the source models of the lists of a hybrid; no column for other models."""
        if lists.sources is None:
            return {}
        ids = np.array([self.model_ids[name] for name in lists.source_names], np.int16)
        return {"source_model_ids": ragged(lists, ids[lists.sources], np.int16)}
