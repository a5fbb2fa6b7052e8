"""Outputs of models, in positions, as columns of the result tables, in ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import sqlalchemy as sa

from recsys.domain import Chart, Factors, Float32, IdMap, ModelOutput, RankedLists
from recsys.storage import catalogue, results
from recsys.storage.copy import Column
from recsys.storage.matrices import Snapshot

Columns = dict[str, Column]
MOVIE_SIMILARITIES, USER_RECOMMENDATIONS = "movie_similarities", "user_recommendations"
MOVIE_CHARTS, USER_FACTORS, MOVIE_FACTORS = "movie_charts", "user_factors", "movie_factors"


class OutputWriter:
    """Write the outputs of a run's models into its partitions."""

    def __init__(self, run_id: int, snapshot: Snapshot, model_ids: dict[str, int]) -> None:
        self.run_id = run_id
        self._snapshot = snapshot
        self._model_ids = model_ids
        self._digest = hashlib.sha256()
        self._tables: list[str] = []

    @property
    def checksum(self) -> str:
        """sha256 over all that was written, run and model numbers aside."""
        return self._digest.hexdigest()

    def write(
        self,
        connection: sa.Connection,
        outputs: dict[str, ModelOutput],
        progress: Callable[[int, int], None],
    ) -> int:
        """COPY everything; return the rows. Tables without rows get no partition."""
        genre_ids = catalogue.genre_ids(connection)
        parts = [
            (table, name, columns)
            for name, output in outputs.items()
            for table, columns in self._tables_of(output, genre_ids)
            if _length(columns)
        ]
        total, written = sum(_length(columns) for _, _, columns in parts), 0

        def wrote(rows: int) -> None:
            nonlocal written
            written += rows
            progress(written, total)

        for table, name, columns in parts:
            if table not in self._tables:
                results.create(connection, table, self.run_id)
                self._tables.append(table)
            self._digest.update(f"{table}:{name}".encode())
            for column in columns.values():
                assert isinstance(column, np.ndarray)
                self._digest.update(np.ascontiguousarray(column).data)
            results.append(connection, table, self.run_id, self._numbered(name, columns), wrote)
        return written

    def finish(self, connection: sa.Connection) -> None:
        """Give every partition its keys, indexes and statistics."""
        for table in self._tables:
            results.finish(connection, table, self.run_id)

    def _numbered(self, model: str, columns: Columns) -> Columns:
        # Broadcast: one number for all rows takes no memory.
        rows = _length(columns)
        run = np.broadcast_to(np.int32(self.run_id), rows)
        model_id = np.broadcast_to(np.int16(self._model_ids[model]), rows)
        return {"run_id": run, "model_id": model_id, **columns}

    def _tables_of(
        self, output: ModelOutput, genre_ids: dict[str, int]
    ) -> Iterator[tuple[str, Columns]]:
        users, movies = self._snapshot.users, self._snapshot.movies
        if output.neighbours is not None:
            columns = _list_columns(
                output.neighbours, movies, "movie_id", "similar_movie_id", movies
            )
            yield MOVIE_SIMILARITIES, columns
        if output.recommendations is not None:
            columns = _list_columns(output.recommendations, users, "user_id", "movie_id", movies)
            yield USER_RECOMMENDATIONS, columns
        overall = [chart for chart in output.charts if chart.genre is None]
        by_genre = [chart for chart in output.charts if chart.genre is not None]
        if overall:
            yield MOVIE_CHARTS, _chart_columns(overall, movies)
        if by_genre:
            genres = [np.full(len(c.items), genre_ids[str(c.genre)], np.int16) for c in by_genre]
            columns = {**_chart_columns(by_genre, movies), "genre_id": np.concatenate(genres)}
            yield MOVIE_CHARTS, columns
        if output.factors is not None:
            yield from _factor_columns(output.factors, users, movies)


def _list_columns(
    lists: RankedLists, owners: IdMap, owner: str, listed: str, items: IdMap
) -> Columns:
    lengths = np.diff(lists.indptr)
    rank = np.arange(1, len(lists) + 1) - np.repeat(lists.indptr[:-1], lengths)
    return {
        "rank": rank.astype(np.int16),
        owner: np.repeat(owners.ids, lengths),
        listed: items.ids[lists.indices],
        "score": lists.scores.astype(np.float64, copy=False),
    }


def _chart_columns(charts: list[Chart], movies: IdMap) -> Columns:
    return {
        "rank": np.concatenate([np.arange(1, len(c.items) + 1, dtype=np.int32) for c in charts]),
        "movie_id": movies.ids[np.concatenate([c.items for c in charts])],
        "votes": np.concatenate([c.votes for c in charts]).astype(np.int64),
        "score": np.concatenate([c.scores for c in charts]).astype(np.float64),
        "mean_rating": np.concatenate([c.means for c in charts]).astype(np.float64),
    }


def _factor_columns(factors: Factors, users: IdMap, movies: IdMap) -> Iterator[tuple[str, Columns]]:
    """Leave out users and movies without ratings: their factors are zeros."""
    owners: list[tuple[str, str, IdMap, Float32]] = [
        (USER_FACTORS, "user_id", users, factors.users),
        (MOVIE_FACTORS, "movie_id", movies, factors.items),
    ]
    for table, column, ids, matrix in owners:
        known = matrix.any(axis=1)
        yield table, {column: ids.ids[known], "factors": matrix[known].astype(np.float32)}


def _length(columns: Columns) -> int:
    first = next(iter(columns.values()))
    assert isinstance(first, np.ndarray)
    return len(first)
