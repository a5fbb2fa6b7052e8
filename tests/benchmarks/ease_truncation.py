"""Cost of keeping only the strongest weights of EASE: nDCG@10 over a random hold-out.

    python tests/benchmarks/ease_truncation.py --data FOLDER [--regularization 600 ...] [--validate]

FOLDER holds `ratings.csv` (ml-latest, ml-20m and later) or `u.data` (ml-100k). 75 % of the ratings,
drawn at random, are the training set, once for each seed. With --validate the training set alone is
split again, which is where a number of weights or a regularization is to be chosen.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, UserRows
from recsys.models.linear.ease import EaseConfig, rows_of
from recsys.models.linear.inverse import inverse_gram
from recsys.models.registry import FitOptions
from recsys.models.shards import OneShard
from recsys.numerics.gram import most_rated_items, strongest
from recsys.numerics.scoring import rank_by_sum
from recsys.numerics.sparse import column_counts
from recsys.numerics.topk import as_neighbours, scatter
from recsys.numerics.weighting import on_scale_of

LENGTH = 10


@dataclass(frozen=True)
class Split:
    train: csr_matrix
    test: csr_matrix


def read_ratings(folder: Path) -> csr_matrix:
    """Read users x movies out of one of the two files."""
    if (folder / "u.data").exists():
        table = pd.read_csv(folder / "u.data", sep="\t", header=None, usecols=[0, 1, 2])
    else:
        table = pd.read_csv(folder / "ratings.csv", usecols=["userId", "movieId", "rating"])
    users, items = (pd.factorize(table.iloc[:, column], sort=True)[0] for column in (0, 1))
    return csr_matrix((table.iloc[:, 2].to_numpy(float), (users, items)))


def split(ratings: csr_matrix, seed: int) -> Split:
    """Draw 75 % of the ratings for training, the rest for testing."""
    entries = ratings.tocoo()
    chosen = np.random.default_rng(seed).random(entries.nnz) < 0.75

    def part(mask: np.ndarray) -> csr_matrix:
        where = entries.row[mask], entries.col[mask]
        return csr_matrix((entries.data[mask], where), shape=ratings.shape)

    return Split(part(chosen), part(~chosen))


def ndcg(indptr: np.ndarray, indices: np.ndarray, test: csr_matrix) -> float:
    """Mean nDCG@10 of the lists over users with test ratings, all of which are relevant."""
    relevant = np.diff(test.indptr)
    rows = np.repeat(np.arange(len(relevant)), np.diff(indptr))
    ranks = np.arange(len(indices)) - indptr[rows]
    hits = np.asarray((test != 0)[rows, indices]).ravel()
    gains = np.bincount(rows, hits / np.log2(ranks + 2), minlength=len(relevant))
    ideal = np.concatenate(([0.0], np.cumsum(1 / np.log2(np.arange(LENGTH) + 2))))
    tested = relevant > 0
    return float(np.mean(gains[tested] / ideal[np.minimum(relevant[tested], LENGTH)]))


def measure(
    data: Split, regularization: float, min_raters: float, weights: list[int]
) -> dict[str, tuple[float, int]]:
    """Return nDCG@10 and the number of rows by the number of weights kept for each item."""
    options, items = FitOptions(), data.train.shape[1]
    kept = most_rated_items(column_counts(data.train), 20_000)
    train = Interactions(data.train, csr_matrix((items, 0)), ())
    counts = on_scale_of(train, EaseConfig().rating_weights)
    shards = OneShard(train)
    rows = rows_of(shards, EaseConfig())
    inverse = inverse_gram(shards, rows, kept, regularization, options)

    def weights_of(start: int, stop: int) -> np.ndarray:
        return -inverse.rows(start, stop) / inverse.diagonal

    users, figures = UserRows.all(data.train), {}
    for count in [*weights, items]:
        least = 0.0 if count == items else min_raters / regularization
        own = strongest(weights_of, inverse.size, count, least, options)
        lists = as_neighbours(scatter(own, kept, kept, items), counts)
        best = rank_by_sum(lists, users, LENGTH, options)
        name = "all" if count == items else str(count)
        figures[name] = ndcg(best.indptr, best.indices, data.test), len(lists)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--regularization", type=float, nargs="+", default=[450.0])
    weights = [50, 100, 200, 300, 400, 500, 1000]
    parser.add_argument("--weights", type=int, nargs="*", default=weights)
    parser.add_argument("--min-raters", type=float, default=0.6)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2, 3, 4])
    asked = parser.parse_args()
    ratings = read_ratings(asked.data)
    splits = [split(ratings, seed) for seed in asked.seeds]
    if asked.validate:
        splits = [
            split(data.train, seed + 1000) for data, seed in zip(splits, asked.seeds, strict=True)
        ]
    for regularization in asked.regularization:
        figures = [
            measure(data, regularization, asked.min_raters, asked.weights) for data in splits
        ]
        for name in figures[0]:
            values = np.array([of_seed[name][0] for of_seed in figures])
            lost = 100 * (1 - values / [of_seed["all"][0] for of_seed in figures])
            error = lost.std(ddof=1) / len(lost) ** 0.5 if len(lost) > 1 else np.nan
            rows = round(np.mean([of_seed[name][1] for of_seed in figures]))
            sys.stdout.write(
                f"lambda {regularization:7g}  weights {name:>5}  rows {rows:>10,}"
                f"  nDCG@10 {values.mean():.4f}  lost {lost.mean():5.2f} +- {error:.2f} %\n"
            )


if __name__ == "__main__":
    main()
