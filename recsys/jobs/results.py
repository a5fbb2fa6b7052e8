"""Write the results of models as rows of the result tables; positions become ids."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from recsys.domain import Chart, Factors, Float64, IdMap, Progress, RankedLists, TopN
from recsys.jobs.training import ModelResults
from recsys.storage.load import catalogue
from recsys.storage.load.copy import Column, Lists
from recsys.storage.runs import results
from recsys.storage.snapshot.matrices import Snapshot

Columns = dict[str, Column]
MOVIE_SIMILARITIES, USER_SIMILARITIES = "movie_similarities", "user_similarities"
USER_RECOMMENDATIONS = "user_recommendations"
RUN_USERS = "run_users"
MOVIE_CHARTS, USER_FACTORS, MOVIE_FACTORS = "movie_charts", "user_factors", "movie_factors"


class ResultWriter:
    """Write the results of a run's models into its partitions."""

    def __init__(self, run_id: int, snapshot: Snapshot, model_ids: dict[str, int]) -> None:
        self.run_id = run_id
        self._snapshot = snapshot
        self.model_ids = model_ids
        # One for each column of a model, so that the sum is the same in whatever parts it comes.
        self._digests: dict[str, Any] = {}
        self._tables: list[str] = []

    @property
    def checksum(self) -> str:
        """sha256 over all rows written, without the ids of the run and the models."""
        parts = (f"{name} {self._digests[name].hexdigest()}" for name in sorted(self._digests))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def write(
        self,
        connection: sa.Connection,
        computed: Mapping[str, ModelResults],
        progress: Progress,
    ) -> int:
        """COPY everything; return the rows. Tables without rows get no partition."""
        genre_ids = catalogue.genre_ids(connection)
        parts: list[tuple[str, str | None, Columns]] = [
            (table, name, columns)
            for name, found in computed.items()
            for table, columns in self.tables_of(found, genre_ids)
        ]
        parts.append((RUN_USERS, None, self.users()))
        total, written = sum(_length(columns) for _, _, columns in parts), 0

        def advance(done: int, _: int) -> None:
            progress(written + done, total)

        for table, name, columns in parts:
            written += self.append(connection, table, name, columns, advance)
        return written

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
        if not _length(columns):
            return 0
        if table not in self._tables:
            results.create(connection, table, self.run_id)
            self._tables.append(table)
        # Without the ids of run and models: equal input gives an equal checksum.
        for label, array in _arrays(columns):
            digest = self._digests.setdefault(f"{table} {name or ''} {label}", hashlib.sha256())
            digest.update(np.ascontiguousarray(array).data)
        numbered = self._numbered(name, columns)
        return results.append(connection, table, self.run_id, numbered, progress)

    def finish(self, connection: sa.Connection, tables: Collection[str] | None = None) -> None:
        """Give the partitions, or those of some tables, their keys, indexes and statistics."""
        for table in self._tables:
            if tables is None or table in tables:
                results.finish(connection, table, self.run_id)

    def users(self) -> Columns:
        """Return the rows of `run_users`: the count and hash of the ratings of each user."""
        return _user_columns(self._snapshot)

    def _numbered(self, model: str | None, columns: Columns) -> Columns:
        # Broadcast: one number for all rows takes no memory.
        rows = _length(columns)
        run = np.broadcast_to(np.int32(self.run_id), rows)
        if model is None:
            return {"run_id": run, **columns}
        model_id = np.broadcast_to(np.int16(self.model_ids[model]), rows)
        return {"run_id": run, "model_id": model_id, **columns}

    def tables_of(
        self, found: ModelResults, genre_ids: dict[str, int], first_user: int = 0
    ) -> Iterator[tuple[str, Columns]]:
        """Yield the rows of a model's results, table by table.

        Lists of users are those of the users from the position `first_user` on.
        """
        users, movies = self._snapshot.users, self._snapshot.movies
        if found.neighbours is not None:
            near = found.neighbours
            lists = _list_columns(near, movies, "movie_id", "similar_movie_ids", movies)
            yield MOVIE_SIMILARITIES, _in_least_precision(near, lists)
        if found.user_neighbours is not None:
            alike = found.user_neighbours
            lists = _list_columns(alike, users, "user_id", "similar_user_ids", users)
            common = _lists(alike, alike.common, np.int32)
            yield USER_SIMILARITIES, {**lists, "common_ratings": common}
            yield USER_FACTORS, _mean_columns(alike.means, users)
        if found.recommendations is not None:
            theirs = found.recommendations
            own = IdMap(users.ids[first_user : first_user + theirs.rows])
            lists = _list_columns(theirs, own, "user_id", "movie_ids", movies)
            yield USER_RECOMMENDATIONS, {**lists, **self._source_column(theirs)}
        for columns in _chart_columns(found.charts, movies, genre_ids):
            yield MOVIE_CHARTS, columns
        if found.factors is not None:
            yield from _factor_columns(found.factors, users, movies)

    def _source_column(self, lists: TopN) -> Columns:
        """Return the source models of the lists of a hybrid; no column for other models."""
        if lists.sources is None:
            return {}
        ids = np.array([self.model_ids[name] for name in lists.source_names], np.int16)
        return {"source_model_ids": _lists(lists, ids[lists.sources], np.int16)}


def _user_columns(snapshot: Snapshot) -> Columns:
    """Return the count and hash of the ratings of each user in the snapshot."""
    counts = np.diff(snapshot.interactions.user_items.indptr)
    rated = counts > 0
    return {
        "user_id": snapshot.users.ids[rated],
        "ratings_count": counts[rated].astype(np.int32),
        "ratings_hash": snapshot.ratings_hashes[rated],
    }


def _list_columns(
    lists: RankedLists, owners: IdMap, owner: str, listed: str, items: IdMap
) -> Columns:
    """Return one row per list that is not empty, its entries in the order of rank."""
    return {
        owner: owners.ids[np.diff(lists.indptr) > 0],
        listed: _lists(lists, items.ids[lists.indices], np.int32),
        "scores": _lists(lists, lists.scores, np.float64),
    }


def _in_least_precision(lists: RankedLists, columns: Columns) -> Columns:
    """Return single precision in place of double where the model computed in it: half the bytes."""
    single = lists.scores.astype(np.float32)
    if not np.array_equal(single, lists.scores):
        return columns
    rest = {name: column for name, column in columns.items() if name != "scores"}
    return {**rest, "real_scores": _lists(lists, single, np.float32)}


def _lists(lists: RankedLists, values: NDArray[Any], dtype: type[np.generic]) -> Lists:
    filled = np.diff(lists.indptr, prepend=-1) > 0  # without the ends of empty lists
    return Lists(lists.indptr[filled], values.astype(dtype, copy=False))


def _chart_columns(
    charts: Sequence[Chart], movies: IdMap, genre_ids: dict[str, int]
) -> Iterator[Columns]:
    """Yield rows with and without a genre, and with and without votes, apart.

    COPY takes whole columns: a NULL is a column left out.
    """
    overall = [chart for chart in charts if chart.genre is None]
    by_genre = [chart for chart in charts if chart.genre is not None]
    for group in filter(None, (overall, by_genre)):
        columns: dict[str, NDArray[Any]] = {
            "rank": np.concatenate([np.arange(1, len(c.items) + 1, dtype=np.int32) for c in group]),
            "movie_id": movies.ids[np.concatenate([c.items for c in group])],
            "votes": np.concatenate([c.votes for c in group]).astype(np.int64),
            "score": np.concatenate([c.scores for c in group]).astype(np.float64),
        }
        if group is by_genre:
            genres = [np.full(len(c.items), genre_ids[str(c.genre)], np.int16) for c in group]
            columns["genre_id"] = np.concatenate(genres)
        means = np.concatenate([c.means for c in group]).astype(np.float64)
        known = ~np.isnan(means)
        voted = {name: column[known] for name, column in columns.items()}
        yield {**voted, "mean_rating": means[known]}
        yield {name: column[~known] for name, column in columns.items()}


def _factor_columns(factors: Factors, users: IdMap, movies: IdMap) -> Iterator[tuple[str, Columns]]:
    """Yield the factors of the users and movies that the model knows."""
    sides = [
        (USER_FACTORS, "user_id", users, factors.users, factors.user_bias, factors.known_users),
        (MOVIE_FACTORS, "movie_id", movies, factors.items, factors.item_bias, factors.known_items),
    ]
    for table, column, ids, matrix, bias, known in sides:
        # Single precision halves the tables; predicted ratings need no more digits.
        columns: Columns = {column: ids.ids[known], "factors": matrix[known].astype(np.float32)}
        yield table, columns if bias is None else {**columns, "bias": bias[known]}


def _mean_columns(means: Float64, users: IdMap) -> Columns:
    """Return users' means as biases without factors, which predictions start from."""
    known = ~np.isnan(means)
    return {
        "user_id": users.ids[known],
        "factors": np.zeros((int(known.sum()), 0), np.float32),
        "bias": means[known],
    }


def _arrays(columns: Columns) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays behind the columns, each with a label."""
    for name, column in columns.items():
        if isinstance(column, Lists):
            yield f"{name} lengths", column.lengths
            yield name, column.values[column.indptr[0] : column.indptr[-1]]
        else:
            assert isinstance(column, np.ndarray)
            yield name, column


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))
