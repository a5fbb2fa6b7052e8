"""The models that `beside_libraries.py` compares: ours and those of other libraries.

A contestant is given a task and returns a trial, which trains and answers once and says how long
that took. Bringing the ratings into the form a library wants comes before it and is not timed.
Other libraries are imported where they are used: any of them may be missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from recsys.domain import FittedModel, Float64, Interactions, TopN, UserRows
from recsys.evaluation.splits import Split, entries_of, rows_of
from recsys.jobs.training import fit_model
from recsys.models.factors.als import AlsConfig
from recsys.models.factors.bpr import BprConfig
from recsys.models.linear.ease import EaseConfig
from recsys.models.registry import MODELS, FitOptions, ModelSpec, make_config
from recsys.numerics.prediction import predict_ratings
from recsys.numerics.sparse import binarize

K, SEED, NEIGHBOURS = 10, 42, 100
ALS, BPR, EASE = AlsConfig(), BprConfig(), EaseConfig()
OPTIONS = FitOptions(k=NEIGHBOURS, seed=SEED)


@dataclass(frozen=True)
class Task:
    train: Interactions
    """The training data, with genres, years and attributes of users."""
    split: Split


@dataclass(frozen=True)
class Answer:
    """Lists of all users, or predictions of `split.test`, NaN where unknown."""

    train_seconds: float
    seconds: float
    lists: TopN | None = None
    predicted: Float64 | None = None


Trial = Callable[[], Answer]


@dataclass(frozen=True)
class Contestant:
    project: str
    """As pip calls it."""
    package: str
    """As Python does."""
    model: str
    prepare: Callable[[Task], Trial]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def top_n(users: Any, items: Any, rows: int) -> TopN:
    """Return lists from pairs, those of a user in their order; scores are no more than places."""
    order = np.argsort(users, kind="stable")
    lengths = np.bincount(users, minlength=rows)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(len(order)) - indptr[np.asarray(users)[order]]
    return TopN(indptr, np.asarray(items, np.int32)[order], -places.astype(np.float64))


def pairs_of(split: Split) -> pd.DataFrame:
    """Return the train ratings as a table; positions serve as ids."""
    train = split.train
    return pd.DataFrame({"user_id": rows_of(train), "item_id": train.indices, "rating": train.data})


# --- ours -----------------------------------------------------------------------------------------


def trained(spec: ModelSpec, config: Any, task: Task) -> FittedModel:
    """Train as a refresh does: the similar movies of every movie belong to the training."""
    model = fit_model(spec, config, task.train, OPTIONS)
    spec.similar(model.fitted, OPTIONS)
    return model


def our_lists(name: str) -> Contestant:
    spec = MODELS[name]
    config = make_config(spec, {})

    def trial(task: Task) -> Answer:
        learning, model = timed(lambda: trained(spec, config, task))
        users = UserRows.all(task.train.user_items)
        listing, lists = timed(lambda: model.rank(users, K, OPTIONS))
        return Answer(learning, listing, lists=lists)

    return Contestant("recsys", "recsys", name, lambda task: lambda: trial(task))


def our_ratings(name: str, package: str = "recsys", **changed: Any) -> Contestant:
    spec = MODELS[name]
    config = make_config(spec, changed)

    def trial(task: Task) -> Answer:
        learning, model = timed(lambda: trained(spec, config, task))
        users, items = rows_of(task.split.test), task.split.test.indices
        taken, predicted = timed(lambda: predict_ratings(task.train, model.fitted, users, items))
        return Answer(learning, taken, predicted=predicted)

    return Contestant("recsys", package, name, lambda task: lambda: trial(task))


# --- implicit -------------------------------------------------------------------------------------


def implicit_lists(model: str, where: str, **arguments: Any) -> Contestant:
    """Compare a class of `implicit`, as `cpu.als.AlternatingLeastSquares`."""

    def prepare(task: Task) -> Trial:
        module, name = f"implicit.{where}".rsplit(".", 1)
        make = getattr(import_module(module), name)
        train = binarize(task.split.train, np.float32).copy()
        train.indices, train.indptr = train.indices.astype("i4"), train.indptr.astype("i4")
        users = np.arange(train.shape[0])

        def trial() -> Answer:
            with threadpool_limits(1, "blas"):  # the library has threads of its own
                fitted = make(**arguments)
                learning, _ = timed(lambda: fitted.fit(train, show_progress=False))
                listing, (items, _) = timed(lambda: fitted.recommend(users, train, N=K))
            rows, items = np.repeat(users, items.shape[1]), items.ravel()
            there = items >= 0  # -1 pads
            return Answer(learning, listing, top_n(rows[there], items[there], len(users)))

        return trial

    return Contestant("implicit", "implicit", model, prepare)


# --- scikit-surprise ------------------------------------------------------------------------------


def surprise_ratings(model: str, **arguments: Any) -> Contestant:
    def prepare(task: Task) -> Trial:
        surprise = import_module("surprise")
        low, high = task.split.train.data.min(), task.split.train.data.max()
        reader = surprise.Reader(rating_scale=(low, high))
        data = surprise.Dataset.load_from_df(pairs_of(task.split), reader).build_full_trainset()
        test = task.split.test
        asked = list(zip(rows_of(test).tolist(), test.indices.tolist(), test.data, strict=True))

        def trial() -> Answer:
            np.random.seed(SEED)
            fitted = getattr(surprise, model)(**arguments)
            learning, _ = timed(lambda: fitted.fit(data))
            taken, told = timed(lambda: fitted.test(asked))
            return Answer(learning, taken, predicted=np.array([one.est for one in told]))

        return trial

    return Contestant("scikit-surprise", "surprise", model, prepare)


# --- LensKit --------------------------------------------------------------------------------------


def lenskit_model(model: str, where: str, predicts: bool = False, **config: Any) -> Contestant:
    """Compare a scorer of LensKit, as `knn.EASEScorer`, in its standard pipeline."""

    def prepare(task: Task) -> Trial:
        from lenskit.data import from_interactions_df

        module, name = f"lenskit.{where}".rsplit(".", 1)
        scorer = getattr(import_module(module), name)
        data = from_interactions_df(pairs_of(task.split))
        work = _lenskit_ratings if predicts else _lenskit_lists
        return lambda: work(task.split, data, scorer(**config))

    return Contestant("lenskit", "lenskit", model, prepare)


def _lenskit_lists(split: Split, data: Any, scorer: Any) -> Answer:
    from lenskit.batch import recommend
    from lenskit.pipeline import topn_pipeline

    pipeline = topn_pipeline(scorer, n=K)
    learning, _ = timed(lambda: _lenskit_train(pipeline, data))
    users = np.unique(rows_of(split.train)).tolist()
    listing, found = timed(lambda: recommend(pipeline, users, n=K, n_jobs=1))
    table = found.to_df().sort_values(["user_id", "rank"])
    return Answer(
        learning, listing, top_n(table["user_id"], table["item_id"], split.train.shape[0])
    )


def _lenskit_ratings(split: Split, data: Any, scorer: Any) -> Answer:
    from lenskit.batch import predict
    from lenskit.pipeline import predict_pipeline

    pipeline = predict_pipeline(scorer)
    learning, _ = timed(lambda: _lenskit_train(pipeline, data))
    asked = pd.DataFrame({"user_id": rows_of(split.test), "item_id": split.test.indices})
    taken, found = timed(lambda: predict(pipeline, asked, n_jobs=1))
    table = found.to_df()
    predicted = np.full(split.test.nnz, np.nan)
    where = entries_of(split.test, table["user_id"].to_numpy(), table["item_id"].to_numpy())
    predicted[where] = table["score"]
    return Answer(learning, taken, predicted=predicted)


def _lenskit_train(pipeline: Any, data: Any) -> None:
    from lenskit.training import TrainingOptions

    pipeline.train(data, TrainingOptions(rng=SEED))


# --- who takes part -------------------------------------------------------------------------------

LISTS = (
    our_lists("ease"),
    our_lists("als"),
    our_lists("bpr"),
    our_lists("item_knn"),
    implicit_lists(
        "ALS, our parameters", "cpu.als.AlternatingLeastSquares", **asdict(ALS), random_state=SEED
    ),
    implicit_lists("ALS", "cpu.als.AlternatingLeastSquares", random_state=SEED),
    implicit_lists(
        "BPR, our parameters", "cpu.bpr.BayesianPersonalizedRanking", **asdict(BPR),
        random_state=SEED,
    ),
    implicit_lists("BPR", "cpu.bpr.BayesianPersonalizedRanking", random_state=SEED),
    implicit_lists("cosine, K = 100", "nearest_neighbours.CosineRecommender", K=NEIGHBOURS),
    lenskit_model("EASE, our parameters", "knn.EASEScorer", regularization=EASE.regularization),
    lenskit_model("EASE", "knn.EASEScorer"),
    lenskit_model(
        "ALS, our parameters", "als.ImplicitMFScorer", embedding_size=ALS.factors,
        epochs=ALS.iterations, regularization=ALS.regularization, weight=ALS.alpha - 1,
    ),
    lenskit_model("ALS", "als.ImplicitMFScorer"),
    lenskit_model("ItemKNN, implicit", "knn.ItemKNNScorer", feedback="implicit"),
)  # fmt: skip
RATINGS = (
    our_ratings("bayes_fm", "myfm"),
    our_ratings("mf"),
    our_ratings("user_knn"),
    our_ratings("item_knn"),
    our_ratings("svd"),
    surprise_ratings("SVD", random_state=SEED),
    surprise_ratings("SVDpp", random_state=SEED),
    surprise_ratings("KNNBaseline", verbose=False),
    surprise_ratings("BaselineOnly", verbose=False),
    lenskit_model("BiasedMF", "als.BiasedMFScorer", predicts=True),
    lenskit_model("FlexMF, explicit", "flexmf.FlexMFExplicitScorer", predicts=True),
    lenskit_model("ItemKNN, explicit", "knn.ItemKNNScorer", predicts=True),
)
