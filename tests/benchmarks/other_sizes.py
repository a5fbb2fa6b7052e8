"""Parameters that follow from the data, beside fixed ones, on made-up ratings of several sizes.

    python tests/benchmarks/other_sizes.py [--ratings N [N ...]] [--seed N] [--bayes]

Of each size a tenth is tested, drawn at random. Prints nDCG@10 of `ease`, of `als` with its rule
and with what is best at 100,000 ratings, and of `blend` with the weights of its validation split;
with `--bayes` also the RMSE of `bayes_fm` with its rule and with rank 10 and 8 chains, which takes
minutes per million. At most 6,000 users are measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from generate import draw
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, UserRows
from recsys.evaluation.ranking import ranking_figures
from recsys.evaluation.splits import Split, random_split, rows_of
from recsys.jobs.training import derived, drawn, train_of, training_steps
from recsys.models.base import FitOptions
from recsys.models.registry import MODELS, make_config
from recsys.numerics.prediction import predict_ratings

SHAPES = {100_000: (943, 1682), 1_000_000: (6_040, 3_700), 10_000_000: (60_000, 10_000)}
"""Users and movies by number of ratings."""
TEST_SHARE, MEASURED_USERS, K = 0.1, 6_000, 10
FIXED: dict[str, dict[str, Any]] = {
    "als": {"factors": 32, "regularization": 20.0},
    "bayes_fm": {"rank": 10, "chains": 8},
}
OPTIONS = FitOptions(memory_mb=2048)


def split_of(ratings: int, seed: int) -> tuple[Interactions, Split]:
    users, movies = SHAPES[ratings]
    made = draw(users, movies, ratings, seed).ratings
    _, rows = np.unique(made.user_ids, return_inverse=True)
    _, columns = np.unique(made.movie_ids, return_inverse=True)
    user_items = csr_matrix((made.values, (rows, columns)))
    user_items.sort_indices()
    data = Interactions(user_items, csr_matrix((user_items.shape[1], 0)), ())
    split = random_split(user_items, TEST_SHARE, seed)
    return train_of(data, split), split


def measure(train: Interactions, split: Split, model: str, own: dict[str, Any]) -> None:
    """Fit a model and its parts; print the metric of each that is measured."""
    specs = [MODELS[name] for name in MODELS if name == model or name in parts_of(model)]
    configs = {s.name: make_config(s, own if s.name == model else {}) for s in specs}
    users = drawn(np.flatnonzero(np.diff(split.test.indptr)), MEASURED_USERS, 0)
    for step in training_steps(specs, configs, train, OPTIONS):
        begun = time.monotonic()
        fitted = step.fit()
        seconds = time.monotonic() - begun
        if step.spec.name == "bayes_fm":
            found = predict_ratings(train, fitted.fitted, rows_of(split.test), split.test.indices)
            value = float(np.sqrt(np.nanmean((found - split.test.data) ** 2)))
        else:
            lists = fitted.rank(UserRows.some(train, users), K, OPTIONS)
            figures = ranking_figures(lists, split.test[users], split.train[users], K)
            value = figures.sample("ndcg").mean
        name = step.spec.name
        used = derived(configs[name], step.config) or (own if name == model else "")
        say(f"  {name:9} {value:.4f}  {seconds:6.1f} s  {used}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parts_of(model: str) -> tuple[str, ...]:
    return MODELS[model].parts(make_config(MODELS[model], {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ratings", type=int, nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bayes", action="store_true")
    chosen = parser.parse_args()
    for ratings in chosen.ratings:
        users, movies = SHAPES[ratings]
        say(f"{ratings:,} ratings, {users:,} users, {movies:,} movies")
        train, split = split_of(ratings, chosen.seed)
        measure(train, split, "blend", {})
        measure(train, split, "als", FIXED["als"])
        if chosen.bayes:
            measure(train, split, "bayes_fm", {})
            measure(train, split, "bayes_fm", FIXED["bayes_fm"])


if __name__ == "__main__":
    main()
