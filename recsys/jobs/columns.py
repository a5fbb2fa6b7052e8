"""Results of models as columns of the result tables; positions become ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Chart, Factors, Float64, IdMap, NetworkFactors, RankedLists
from recsys.jobs.training_data import Training
from recsys.storage.load.copy import Column, Lists

Columns = dict[str, Column]
MOVIE_SIMILARITIES, USER_SIMILARITIES = "movie_similarities", "user_similarities"
USER_RECOMMENDATIONS = "user_recommendations"
RUN_USERS = "run_users"
MOVIE_CHARTS, USER_FACTORS, MOVIE_FACTORS = "movie_charts", "user_factors", "movie_factors"
NETWORKS = "networks"


def user_columns(read: Training) -> Columns:
    """Return the count and hash of the ratings of each user that were read."""
    rated = read.counts > 0
    return {
        "user_id": read.users.ids[rated],
        "ratings_count": read.counts[rated].astype(np.int32),
        "ratings_hash": read.ratings_hashes[rated],
    }


def list_columns(
    lists: RankedLists, owners: IdMap, owner: str, listed: str, items: IdMap
) -> Columns:
    """Return one row per list that is not empty, its entries in the order of rank."""
    return {
        owner: owners.ids[np.diff(lists.indptr) > 0],
        listed: ragged(lists, items.ids[lists.indices], np.int32),
        "scores": ragged(lists, lists.scores, np.float64),
    }


def in_least_precision(lists: RankedLists, columns: Columns) -> Columns:
    """Return single precision in place of double where the model computed in it: half the bytes."""
    single = lists.scores.astype(np.float32)
    if not np.array_equal(single, lists.scores):
        return columns
    rest = {name: column for name, column in columns.items() if name != "scores"}
    return {**rest, "real_scores": ragged(lists, single, np.float32)}


def ragged(lists: RankedLists, values: NDArray[Any], dtype: type[np.generic]) -> Lists:
    """Return a column of arrays from values of the entries; empty lists have no row."""
    filled = np.diff(lists.indptr, prepend=-1) > 0  # without the ends of empty lists
    return Lists(lists.indptr[filled], values.astype(dtype, copy=False))


def chart_columns(
    charts: Sequence[Chart], movies: IdMap, genre_ids: Mapping[str, int]
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


def factor_columns(factors: Factors, users: IdMap, movies: IdMap) -> Iterator[tuple[str, Columns]]:
    """Yield the factors of the users and movies that the model knows."""
    sides = [
        (USER_FACTORS, "user_id", users, factors.users, factors.user_bias, factors.known_users),
        (MOVIE_FACTORS, "movie_id", movies, factors.items, factors.item_bias, factors.known_items),
    ]
    for table, column, ids, matrix, bias, known in sides:
        # Single precision halves the tables; predicted ratings need no more digits.
        columns: Columns = {column: ids.ids[known], "factors": matrix[known].astype(np.float32)}
        yield table, columns if bias is None else {**columns, "bias": bias[known]}


def network_columns(factors: NetworkFactors, users: IdMap, movies: IdMap) -> Columns:
    """Return the one row of a network."""
    columns: Columns = {
        "network": np.frombuffer(factors.network, f"V{len(factors.network)}"),
        "movie_ids": movies.ids[None],
    }
    return {**columns, "user_ids": users.ids[None]} if factors.by_user else columns


def bias_columns(owner: str, biases: Float64, owners: IdMap) -> Columns:
    """Return biases without factors, which predictions by neighbours start from; NaN is left out.

    Those of users include the mean.
    """
    known = ~np.isnan(biases)
    return {
        owner: owners.ids[known],
        "factors": np.zeros((int(known.sum()), 0), np.float32),
        "bias": biases[known],
    }


def arrays(columns: Columns) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays behind the columns, each with a label."""
    for name, column in columns.items():
        if isinstance(column, Lists):
            yield f"{name} lengths", column.lengths
            yield name, column.values[column.indptr[0] : column.indptr[-1]]
        else:
            assert isinstance(column, np.ndarray)
            yield name, column


def rows_of(columns: Columns) -> int:
    """Return the number of rows, which all columns share."""
    return len(next(iter(columns.values())))
