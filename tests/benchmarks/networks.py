"""Networks: new people with few ratings, side information, an ensemble, and seconds per epoch.

    python tests/benchmarks/networks.py new-people [--given 3] [--seeds N [N ...]]
    python tests/benchmarks/networks.py side [--seeds N [N ...]]
    python tests/benchmarks/networks.py ensemble [--seeds N [N ...]] [--weights .1 .1 .8]
    python tests/benchmarks/networks.py epochs [--ratings 1000000]

The first three read the database that `recsys` would use: load a data set before. `new-people`
takes a tenth of the users out of the training, gives the models a few ratings of each, the oldest,
and measures nDCG@10 on all others, of lists by the networks and of those that SQL computes live.
`side` measures `youtube_dnn` with and without each kind of side information on a random tenth of
the ratings of each seed. `ensemble` measures a `blend` of `slist`, `ease` and `sasrec` on the last
rating of each user, and its difference from each of them, with an interval. `epochs` trains on
made-up ratings in the form of ml-1m.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from generate import draw
from scipy.sparse import csr_matrix

from recsys.config import settings
from recsys.domain import Factors, Interactions, StoredNetwork, TopN, TrainedItems, UserRows
from recsys.evaluation.intervals import Sample, difference_interval
from recsys.evaluation.ranking import ranking_figures
from recsys.evaluation.splits import leave_last_out, random_split
from recsys.jobs.training import train_of, training_steps
from recsys.models.base import FitOptions
from recsys.models.registry import MODELS, make_config
from recsys.numerics.sequences import in_time
from recsys.numerics.sparse import select_entries
from recsys.storage.server.address import open_address
from recsys.storage.server.engine import Database
from recsys.storage.snapshot.matrices import read_snapshot

K = 10
OPTIONS = FitOptions()
Figures = Iterator[tuple[str, float]]
NETWORKS = ("youtube_dnn", "sasrec")
ENSEMBLE = ("slist", "ease", "sasrec")
LIVE = ("ease", "slist", "item_knn", "most_rated")
SIDES = ((), ("genres",), ("years",), ("texts",), ("attributes",),
         ("genres", "years", "texts", "attributes"))  # fmt: skip


def loaded() -> Interactions:
    """Return the ratings of the database, with all that models may read."""
    current = settings.load()
    with open_address(current.home, current.database_url) as address:
        database = Database(address.url, address.folder)
        with database.snapshot() as connection:
            needs = ("times", "untagged_texts", "attributes")
            return read_snapshot(connection, needs).interactions


def new_people(data: Interactions, given: int, seed: int) -> Figures:
    """Yield the nDCG@10 of each model for users whose first ratings are all it gets."""
    ratings = data.user_items
    counts = np.diff(ratings.indptr)
    able = np.flatnonzero(counts >= given + 5)
    random = np.random.default_rng(seed)
    new = np.sort(random.choice(able, len(able) // 10, replace=False))
    old = np.setdiff1d(np.arange(len(counts)), new)
    known = UserRows.some(data, old)
    train = replace(data, user_items=known.ratings, rated_at=known.rated_at)
    attributes = data.user_attributes
    train = replace(train, user_attributes=None if attributes is None else attributes[old])
    theirs = UserRows.some(data, new)
    place = np.empty(theirs.ratings.nnz, np.int64)
    place[in_time(theirs.ratings, theirs.rated_at, seed)] = np.arange(theirs.ratings.nnz)
    first = place < np.repeat(theirs.ratings.indptr[:-1] + given, np.diff(theirs.ratings.indptr))
    shown, hidden = (select_entries(theirs.ratings, marks) for marks in (first, ~first))
    times = None if theirs.rated_at is None else theirs.rated_at[first]
    rows = UserRows(np.arange(len(new)), shown, times)
    specs = [MODELS[name] for name in MODELS if name in NETWORKS + LIVE]
    for step in training_steps(specs, configs(specs), train, OPTIONS):
        model = step.fit()
        fitted: Any = model.fitted
        if isinstance(fitted, Factors):
            network = StoredNetwork(fitted.network, np.arange(ratings.shape[1]), np.zeros(0, int))
            trained = TrainedItems(
                fitted.items, np.zeros(len(fitted.items)), 0.0, 1.0, data.rating_range or (0, 5),
                network=network,
            )  # fmt: skip
            assert step.spec.fold_in is not None
            fitted = step.spec.fold_in(trained, rows, step.config, OPTIONS)
        lists: TopN = step.spec.rank(fitted, rows, K, OPTIONS)
        figures = ranking_figures(lists, hidden, shown, K, data.rating_range)
        yield step.spec.name, figures.sample("ndcg").mean


def side(data: Interactions, seed: int) -> Figures:
    """Yield the nDCG@10 of `youtube_dnn` with each kind of side information."""
    split = random_split(data.user_items, 0.1, seed)
    train = train_of(data, split)
    spec = MODELS["youtube_dnn"]
    for asked in SIDES:
        fitted = spec.fit(train, make_config(spec, {"side": asked}), OPTIONS)
        lists = spec.rank(fitted, UserRows.all(train.user_items, train.rated_at), K, OPTIONS)
        figures = ranking_figures(lists, split.test, split.train, K, data.rating_range)
        yield " ".join(asked) or "nothing", figures.sample("ndcg").mean


def ensemble(data: Interactions, weights: Sequence[float], seed: int) -> Figures:
    """Yield the nDCG@10 of each model, and of the blend; print the paired differences."""
    split = leave_last_out(data.user_items, data.rated_at, seed)
    train = train_of(data, split)
    chosen = make_config(MODELS["blend"], {"models": ENSEMBLE, "weights": tuple(weights)})
    specs = [MODELS[name] for name in (*ENSEMBLE, "blend")]
    rows = UserRows.all(train.user_items, train.rated_at)
    samples: dict[str, Sample] = {}
    for step in training_steps(specs, {**configs(specs), "blend": chosen}, train, OPTIONS):
        lists = step.fit().rank(rows, K)
        figures = ranking_figures(lists, split.test, split.train, K, data.rating_range)
        samples[step.spec.name] = figures.sample("ndcg")
        yield step.spec.name, samples[step.spec.name].mean
    for name in ENSEMBLE:
        gain = samples["blend"].mean - samples[name].mean
        found = difference_interval(samples["blend"], samples[name], seed)
        say(f"seed {seed}  blend - {name:32} {gain:.4f} [{found.low:.4f}, {found.high:.4f}]")


def epochs(ratings: int) -> None:
    """Print the seconds of each epoch on ratings in the form of ml-1m."""
    made = draw(6_040, 3_700, ratings, 1).ratings
    _, users = np.unique(made.user_ids, return_inverse=True)
    _, movies = np.unique(made.movie_ids, return_inverse=True)
    order = np.lexsort((movies, users))
    user_items = csr_matrix((made.values[order], (users[order], movies[order])))
    none = csr_matrix((user_items.shape[1], 0))
    data = Interactions(user_items, none, (), made.rated_at[order].astype(float))
    for name, rounds in (("neural_dot", None), ("youtube_dnn", 3), ("sasrec", 3)):
        spec, begun = MODELS[name], time.monotonic()
        config = make_config(spec, {} if rounds is None else {"epochs": rounds})
        fitted = spec.fit(data, config, OPTIONS)
        seconds = [epoch.seconds for epoch in fitted.epochs]
        whole = f"{time.monotonic() - begun:.0f} s for {len(seconds)} epochs and all else"
        say(f"{name:12} {np.median(seconds):6.1f} s an epoch, {whole}")


def configs(specs: Sequence[Any]) -> dict[str, Any]:
    return {spec.name: make_config(spec, {}) for spec in specs}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("new-people", "side", "ensemble", "epochs"))
    parser.add_argument("--given", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2])
    parser.add_argument("--weights", type=float, nargs=len(ENSEMBLE), default=[0.1, 0.1, 0.8])
    parser.add_argument("--ratings", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.what == "epochs":
        return epochs(options.ratings)
    data = loaded()
    kinds: dict[str, Callable[[int], Figures]] = {
        "new-people": lambda seed: new_people(data, options.given, seed),
        "side": lambda seed: side(data, seed),
        "ensemble": lambda seed: ensemble(data, options.weights, seed),
    }
    found: dict[str, list[float]] = {}
    for seed in options.seeds:
        for name, value in kinds[options.what](seed):
            found.setdefault(name, []).append(value)
            say(f"seed {seed}  {name:40} {value:.4f}")
    for name, values in sorted(found.items(), key=lambda item: -np.mean(item[1])):
        say(f"{name:40} {np.mean(values):.4f} ± {np.std(values):.4f}")
    return None


if __name__ == "__main__":
    main()
