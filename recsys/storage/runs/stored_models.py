"""Read what a run stored of its models, to make lists from it again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from recsys.domain import Float32, Float64, Int32, Int64
from recsys.storage.load.copy import HEADER, TRAILER, driver
from recsys.storage.runs import networks
from recsys.storage.runs.networks import RunNetwork
from recsys.storage.snapshot.matrices import read_lists

SIMILARITIES = """
COPY (
    SELECT
        s.movie_id, CAST(0 AS bigint), s.similar_movie_ids,
        coalesce(s.scores, CAST(s.real_scores AS double precision[]))
    FROM recsys_store.movie_similarities AS s
    WHERE s.run_id = %(run_id)s AND s.model_id = %(model_id)s AND s.movie_id = ANY (%(ids)s)
    ORDER BY s.movie_id
) TO STDOUT (FORMAT binary)
"""
WIDTH = """
SELECT cardinality(f.factors) FROM recsys_store.movie_factors AS f
WHERE f.run_id = :run_id AND f.model_id = :model_id LIMIT 1
"""
FACTORS = """
COPY (
    SELECT f.movie_id, f.bias, f.factors FROM recsys_store.movie_factors AS f
    WHERE f.run_id = %(run_id)s AND f.model_id = %(model_id)s
    ORDER BY f.movie_id
) TO STDOUT (FORMAT binary)
"""
CHART = """
SELECT c.movie_id, c.score, c.votes, coalesce(c.mean_rating, 'NaN')
FROM recsys_store.movie_charts AS c
WHERE c.run_id = :run_id AND c.model_id = :model_id AND c.genre_id IS NULL
ORDER BY c.rank
"""
RECORDED_SCALE = """
SELECT r.ratings_mean, r.ratings_deviation, r.rating_min, r.rating_max
FROM recsys_store.runs AS r
WHERE r.run_id = :run_id AND r.ratings_mean IS NOT NULL
"""
CURRENT_SCALE = """
SELECT avg(g.rating), stddev_pop(g.rating), min(g.rating), max(g.rating)
FROM recsys_store.ratings AS g
"""
RATING_COUNTS = """
SELECT r.movie_id, count(*) FROM recsys_store.ratings AS r GROUP BY r.movie_id ORDER BY r.movie_id
"""
TRAINING_ERRORS = """
SELECT k.model_id, k.value FROM recsys_store.run_metrics AS k
WHERE k.run_id = :run_id AND k.protocol = 'train' AND k.metric = 'rmse' AND k.segment = 'all'
"""


@dataclass(frozen=True, slots=True)
class StoredSimilarities:
    """Lists of some movies: list l is `indptr[l]` to `indptr[l + 1]` of both arrays."""

    movie_ids: Int32
    indptr: Int64
    similar_ids: Int32
    scores: Float64


@dataclass(frozen=True, slots=True)
class StoredFactors:
    movie_ids: Int32
    factors: Float32
    bias: Float64


@dataclass(frozen=True, slots=True)
class StoredChart:
    """A chart over all genres, in the order of rank."""

    movie_ids: Int32
    scores: Float64
    votes: Int64
    means: Float64


@dataclass(frozen=True, slots=True)
class StoredScale:
    """Mean and standard deviation of ratings, and the ends of their scale."""

    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class StoredModels:
    """Reads the models of one run."""

    connection: sa.Connection
    run_id: int
    model_ids: dict[str, int]

    def similarities(self, model: str, of: Int32) -> StoredSimilarities:
        """Return the lists that the run stored of some movies."""
        params = {"run_id": self.run_id, "model_id": self.model_ids[model], "ids": of}
        movies, indptr, similar, [scores] = read_lists(self.connection, SIMILARITIES, params)
        return StoredSimilarities(movies, indptr, similar, scores)

    def factors(self, model: str) -> StoredFactors:
        """Return the factors and biases of the movies, float32 as they are stored."""
        params = {"run_id": self.run_id, "model_id": self.model_ids[model]}
        width = self.connection.scalar(sa.text(WIDTH), params) or 0
        with driver(self.connection).cursor().copy(FACTORS, params) as copy:
            raw = b"".join(bytes(part) for part in copy)
        rows = np.frombuffer(raw[len(HEADER) : len(raw) - len(TRAILER)], _row_of_factors(width))
        factors = rows["factors"]["value"].astype(np.float32).reshape(len(rows), width)
        return StoredFactors(
            rows["movie_id"].astype(np.int32), factors, rows["bias"].astype(np.float64)
        )

    def network(self, model: str) -> RunNetwork | None:
        """Return the network of a model; None if it has none."""
        return networks.read(self.connection, self.run_id, model)

    def chart(self, model: str) -> StoredChart:
        """Return the chart of a model over all genres."""
        params = {"run_id": self.run_id, "model_id": self.model_ids[model]}
        rows = self.connection.execute(sa.text(CHART), params).all()
        columns = zip(*rows, strict=True) if rows else ((), (), (), ())
        ids, scores, votes, means = columns
        return StoredChart(
            np.array(ids, np.int32), np.array(scores), np.array(votes, np.int64), np.array(means)
        )

    def rating_counts(self) -> tuple[Int32, Int64]:
        """Return the movies with ratings now, by id, and the number of ratings of each."""
        rows = self.connection.execute(sa.text(RATING_COUNTS)).all()
        ids, counts = zip(*rows, strict=True) if rows else ((), ())
        return np.array(ids, np.int32), np.array(counts, np.int64)

    def scale(self) -> StoredScale:
        """Return the scale of the ratings that the run learned from.

        A run from before it was recorded has that of the current ratings.
        """
        given = {"run_id": self.run_id}
        found = self.connection.execute(sa.text(RECORDED_SCALE), given).one_or_none()
        return StoredScale(
            *map(float, found or self.connection.execute(sa.text(CURRENT_SCALE)).one())
        )

    def errors(self) -> dict[int, float]:
        """Return by model id the RMSE on the training ratings, where it was measured."""
        rows = self.connection.execute(sa.text(TRAINING_ERRORS), {"run_id": self.run_id})
        return {model_id: value for model_id, value in rows}


def of_run(connection: sa.Connection, run_id: int) -> StoredModels:
    """Return a reader of the models of a run."""
    models = connection.execute(sa.text("SELECT m.name, m.model_id FROM recsys_store.models AS m"))
    return StoredModels(connection, run_id, {name: model_id for name, model_id in models})


def _row_of_factors(width: int) -> np.dtype:
    """Return the layout of a row of FACTORS in binary; all rows of a model have one width."""
    array = [(name, ">i4") for name in ("dimensions", "nulls", "oid", "size", "from")]
    # An array without elements has no dimensions.
    header = array if width else array[:3]
    element = np.dtype([("length", ">i4"), ("value", ">f4")])
    return np.dtype(
        [
            ("fields", ">i2"),
            ("length_of_id", ">i4"), ("movie_id", ">i4"),
            ("length_of_bias", ">i4"), ("bias", ">f8"),
            ("length_of_factors", ">i4"), *header, ("factors", element, (width,)),
        ]
    )  # fmt: skip
