"""Time of the Pearson correlation of all pairs of movies, compared with other implementations.

    python tests/benchmarks/pearson_pairs.py [--users 6000] [--movies 4000] [--ratings 1000000]
        [--k 100] [--repeats 5] [--callable-movies 60]

Ours and the cosine kernel of `implicit` take turns; the median of the ratios counts. What one would
write with scikit-learn follows, once: its "correlation" of the dense matrix, which is fast for it
but takes missing ratings for 0, and a function of common raters, which computes what
ours does, for some movies only: its time for all is extrapolated from the number of pairs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from generate import draw
from implicit.nearest_neighbours import all_pairs_knn
from scipy.sparse import csr_matrix
from sklearn.metrics import pairwise_distances

from recsys.models.knn.co_rated import co_rated_neighbours
from recsys.models.registry import FitOptions


def matrix_of(users: int, movies: int, ratings: int, seed: int) -> csr_matrix:
    drawn = draw(users, movies, ratings, seed)
    where = drawn.ratings.user_ids - 1, np.searchsorted(drawn.movies.ids, drawn.ratings.movie_ids)
    return csr_matrix((drawn.ratings.values, where), shape=(users, movies))


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def correlation_distance(one: np.ndarray, other: np.ndarray) -> float:
    """1 - Pearson over the common raters; 2, the largest there is, where it is undefined."""
    both = (one != 0) & (other != 0)
    one, other = one[both], other[both]
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 2.0
    return float(1 - np.corrcoef(one, other)[0, 1])


def difference(ratings: csr_matrix, distances: np.ndarray) -> float:
    """Return the largest difference between ours and the function's, of the movies it was given."""
    lists = co_rated_neighbours(ratings[:, : len(distances)], "pearson", 2, 0.0, FitOptions())
    rows = np.repeat(np.arange(lists.rows), np.diff(lists.indptr))
    return float(np.abs(1 - distances[rows, lists.indices] - lists.scores).max())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--movies", type=int, default=4_000)
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--callable-movies", type=int, default=60)
    asked = parser.parse_args()
    ratings = matrix_of(asked.users, asked.movies, asked.ratings, asked.seed)
    options = FitOptions(k=asked.k)
    turns = []
    for _ in range(asked.repeats):
        cosine = seconds(lambda: all_pairs_knn(ratings, asked.k + 1, show_progress=False))
        ours = seconds(lambda: co_rated_neighbours(ratings, "pearson", 2, 0.0, options))
        turns.append((cosine, ours))
        say(f"implicit cosine {cosine:6.2f} s   ours {ours:6.2f} s   ratio {ours / cosine:5.2f}")
    cosine, ours = np.median(turns, axis=0)
    say(f"medians: implicit {cosine:.2f} s, ours {ours:.2f} s")
    say(f"ours / implicit: {np.median([b / a for a, b in turns]):.2f} (wanted: at most 4.8)")

    dense = np.ascontiguousarray(ratings.T.toarray())
    zeros = seconds(lambda: pairwise_distances(dense, metric="correlation"))
    say(f"scikit-learn, missing ratings as 0: {zeros:.1f} s, {zeros / ours:.0f} x ours (10 wanted)")
    few = dense[: asked.callable_movies]
    begun = time.perf_counter()
    distances = pairwise_distances(few, metric=correlation_distance)
    taken = time.perf_counter() - begun
    every = taken * asked.movies * (asked.movies - 1) / (len(few) * (len(few) - 1))
    say(
        f"scikit-learn, function of common raters: {taken:.2f} s for {len(few)} movies, which is "
        f"{every:.0f} s for all, {every / ours:.0f} x ours"
    )
    say(f"largest difference between that and ours: {difference(ratings, distances):.1e}")


if __name__ == "__main__":
    main()
