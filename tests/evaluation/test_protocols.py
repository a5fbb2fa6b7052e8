"""Protocols by name, and the figures that come of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Metric, TopN
from recsys.errors import EvaluationError
from recsys.evaluation.figures import averaged, measure_ranking, measure_ratings
from recsys.evaluation.protocols import PROTOCOLS, Material, Protocol, before_last, protocol_named
from recsys.evaluation.ranking import RANKING_METRICS
from recsys.evaluation.rating import user_mean_fallback
from recsys.evaluation.segments import movie_segments
from recsys.evaluation.splits import Split, random_split, rows_of
from recsys.numerics.sparse import column_counts


@pytest.fixture(scope="module")
def material() -> Material:
    random = np.random.default_rng(0)
    rated = random.random((60, 40)) < 0.4
    ratings = csr_matrix(rated * random.integers(1, 6, rated.shape) * 1.0)
    users, items = (axis[::9].astype(np.int64) for axis in ratings.tocoo().coords)
    return Material(ratings, random.uniform(1e9, 1.1e9, ratings.nnz), (users, items))


def test_names() -> None:
    assert list(PROTOCOLS) == [
        "recommenders-ml100k",
        *(f"ml100k-{part}" for part in ("u1", "u2", "u3", "u4", "u5", "ua", "ub")),
        "surprise-5fold",
        "random-90-10",
        "temporal",
        "leave-last-out",
    ]
    for name, protocol in PROTOCOLS.items():
        assert protocol_named(name) is protocol
        assert protocol.name == name
        assert protocol.k == 10
        assert 0 < len(protocol.description) < 160
    with pytest.raises(EvaluationError, match="there is no protocol 'u1'"):
        protocol_named("u1")


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_splits_of_every_protocol(protocol: Protocol, material: Material) -> None:
    splits = list(protocol.splits(material))
    assert len(splits) == (5 if protocol.name == "surprise-5fold" else 1)
    for split, again in zip(splits, protocol.splits(material, 42), strict=True):
        assert split.train.nnz + split.test.nnz == material.ratings.nnz
        assert np.array_equal(split.test_entries, again.test_entries)


def test_sizes(material: Material) -> None:
    assert material.pairs is not None
    n = material.ratings.nnz
    counts = np.bincount(material.ratings.indices)
    trained = sum(round(0.75 * count) for count in counts.tolist())
    expected = {
        "recommenders-ml100k": n - trained,
        "ml100k-u1": len(material.pairs[0]),
        "random-90-10": round(0.1 * n),
        "temporal": round(0.1 * n),
        "leave-last-out": 60,
    }
    for name, size in expected.items():
        assert next(PROTOCOLS[name].splits(material)).test.nnz == size


def test_protocols_without_their_data_are_refused(material: Material) -> None:
    bare = Material(material.ratings)
    without = Material(material.ratings, np.full(material.ratings.nnz, math.nan))
    for name, protocol in PROTOCOLS.items():
        if name.startswith("ml100k"):
            words = "the test pairs of the data set"
        elif name in ("temporal", "leave-last-out"):
            words = "the times of the ratings"
        else:
            assert next(protocol.splits(bare)).test.nnz > 0
            continue
        for lacking in (bare, without):
            with pytest.raises(EvaluationError) as caught:
                next(protocol.splits(lacking))
            assert str(caught.value) == f"protocol {name} needs {words}"


def test_the_rating_before_the_last(material: Material) -> None:
    protocol = before_last(PROTOCOLS["leave-last-out"])
    assert (protocol.name, protocol.kind, protocol.needs) == (
        "leave-last-out-before", "ranking", frozenset({"times"})
    )  # fmt: skip
    [last] = PROTOCOLS["leave-last-out"].splits(material, 5)
    [before] = protocol.splits(material, 5)
    assert np.isin(before.test_entries, last.train_entries).all()
    left = np.setdiff1d(last.train_entries, before.test_entries)
    assert np.array_equal(before.train_entries, left)
    for other in (*PROTOCOLS.values(), protocol):
        if other.name != "leave-last-out":
            with pytest.raises(EvaluationError, match="has no rating before the last"):
                before_last(other)


def test_too_little_to_test() -> None:
    single = Material(csr_matrix(np.array([[4.0]])), np.zeros(1))
    for name in ("recommenders-ml100k", "random-90-10", "temporal", "leave-last-out"):
        with pytest.raises(EvaluationError, match="leaves 1 ratings to train on and 0 to test"):
            next(PROTOCOLS[name].splits(single))
    with pytest.raises(EvaluationError, match="1 ratings cannot be divided into 5 folds"):
        next(PROTOCOLS["surprise-5fold"].splits(single))


def test_a_split_that_leaks_is_refused(material: Material) -> None:
    def twice(material: Material, seed: int):
        split = random_split(material.ratings, 0.5, seed)
        yield replace(split, test=split.train)

    protocol = replace(PROTOCOLS["random-90-10"], divide=twice)
    with pytest.raises(EvaluationError, match="are in both train and test"):
        next(protocol.splits(material))


def test_the_order_of_the_lines_gives_the_split_of_the_recommenders_library() -> None:
    """Each line draws a number; the movie's lines of the lowest numbers are trained on."""
    lines = np.array([[2, 0], [0, 1], [0, 0], [3, 1], [1, 2], [3, 0], [0, 2], [1, 0], [2, 1]])
    users, items = lines.T
    ratings = csr_matrix((np.arange(1.0, 10), (users, items)))
    ratings.sort_indices()
    # Seed 42 draws .37 .95 .73 .60 .16 .16 .06 .87 .60: line 7 has the highest of the 4 of movie 0,
    # line 1 of the 3 of movie 1; the 1.5 lines to train on of movie 2 are rounded to both.
    split = next(PROTOCOLS["recommenders-ml100k"].splits(Material(ratings, order=(users, items))))
    expected = np.zeros((4, 3))
    expected[1, 0], expected[0, 1] = 8, 2
    assert split.test.toarray().tolist() == expected.tolist()
    for part in ((users[:8], items[:8]), (users[[*range(8), 0]], items[[*range(8), 0]])):
        with pytest.raises(EvaluationError, match="the file names 8 of 9 ratings, not each once"):
            next(PROTOCOLS["recommenders-ml100k"].splits(Material(ratings, order=part)))


# --- figures --------------------------------------------------------------------------------------


def popular_lists(train: csr_matrix, n: int) -> TopN:
    counts = np.bincount(train.indices, minlength=train.shape[1])
    scores = np.where(train.toarray() != 0, -1.0, counts)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    rows, columns = np.nonzero(np.take_along_axis(scores, order, 1) > 0)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(scores)))])
    items = order[rows, columns].astype(np.int32)
    return TopN(indptr, items, scores[rows, items])


@pytest.fixture(scope="module")
def split(material: Material) -> Split:
    return next(PROTOCOLS["random-90-10"].splits(material))


def table(metrics: tuple[Metric, ...]) -> dict[tuple[str, str], Metric]:
    found = {(metric.segment, metric.name): metric for metric in metrics}
    assert len(found) == len(metrics)
    return found


def test_ranking_figures_are_ready_to_store(split: Split) -> None:
    protocol = replace(PROTOCOLS["random-90-10"], k=3)
    genres = csr_matrix(np.eye(4)[np.arange(40) % 4])
    metrics = measure_ranking(protocol, popular_lists(split.train, 10), split, genres, 1)
    assert metrics == measure_ranking(protocol, popular_lists(split.train, 10), split, genres, 1)
    found = table(metrics)
    names = [f"{name}@3" for name in RANKING_METRICS]
    beyond = [f"{name}@3" for name in ("coverage", "novelty", "diversity", "popularity_share")]
    assert list(found) == [
        *(("all", name) for name in names),
        *(("new users", name) for name in names),
        # No light user liked or found a test movie.
        *(
            ("light users", name)
            for name in names
            if name not in ("ndcg_liked@3", "disliked_share@3")
        ),
        ("head movies", "recall@3"),
        ("tail movies", "recall@3"),
        *(("all", name) for name in beyond),
    ]
    tested = np.diff(split.test.indptr) > 0
    new = np.diff(split.train.indptr) <= 20
    assert found["all", "ndcg@3"].n == tested.sum()
    assert found["new users", "ndcg@3"].n == (tested & new).sum()
    assert found["all", "novelty@3"].n == 60
    for metric in metrics:
        assert metric.protocol == "random-90-10"
        assert math.isfinite(metric.value)
        if metric.name == "coverage@3":
            assert (metric.ci_low, metric.ci_high) == (None, None)
        else:
            assert metric.ci_low is not None
            assert metric.ci_high is not None
            assert metric.ci_low <= metric.value <= metric.ci_high
    for name in names:
        segments = (("new users", name), ("light users", name))
        parts = [found[segment] for segment in segments if segment in found]
        whole = found["all", name]
        assert whole.n == sum(part.n for part in parts)
        weighted = sum(part.value * part.n for part in parts) / whole.n
        assert whole.value == pytest.approx(weighted)
    assert 0 < found["all", "ndcg_liked@3"].n < tested.sum()


def test_recall_of_movie_segments(split: Split) -> None:
    """The most rated come first for everybody, so the head is found and the tail is not."""
    protocol = PROTOCOLS["random-90-10"]
    found = table(
        measure_ranking(protocol, popular_lists(split.train, 10), split, csr_matrix((40, 2)), 0)
    )
    head, tail = (found[f"{side} movies", "recall@10"] for side in ("head", "tail"))
    assert head.value > 0.8
    assert tail.value < 0.2
    counts = np.bincount(split.train.indices, minlength=40)
    order = np.argsort(-counts, kind="stable")
    size = int(np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)) + 1
    in_head = np.isin(split.test.indices, order[:size])
    assert head.n == len(np.unique(rows_of(split.test)[in_head]))
    assert tail.n == len(np.unique(rows_of(split.test)[~in_head]))


def test_empty_lists_have_figures_too(split: Split) -> None:
    lists = TopN(np.zeros(61, np.int64), np.zeros(0, np.int32), np.zeros(0))
    metrics = measure_ranking(PROTOCOLS["random-90-10"], lists, split, csr_matrix((40, 2)), 0)
    assert {metric.value for metric in metrics} == {0.0}
    # There is no hit to be disliked.
    assert {metric.name for metric in metrics} == {f"{name}@10" for name in RANKING_METRICS[:-1]}


def test_rating_figures_are_ready_to_store(split: Split) -> None:
    users = rows_of(split.test)
    fallback = user_mean_fallback(split.train, users)
    predicted = np.where(np.arange(len(users)) % 4 == 0, math.nan, 3.0)
    found = table(measure_ratings(PROTOCOLS["random-90-10"], predicted, fallback, split, 0))
    used = np.where(np.isnan(predicted), fallback, 3.0)
    errors = used - split.test.data
    n = len(users)
    assert found["all", "rmse"].value == pytest.approx(math.sqrt(np.mean(errors**2)))
    assert found["all", "mae"].value == pytest.approx(np.mean(np.abs(errors)))
    assert found["all", "known_share"].value == np.mean(np.arange(n) % 4 != 0)
    assert found["all", "known_share"].n == found["all", "rmse"].n == n
    for sides in (("new users", "light users"), ("head movies", "tail movies")):
        assert sum(found[side, "rmse"].n for side in sides) == n
        square = sum(found[side, "rmse"].value ** 2 * found[side, "rmse"].n for side in sides) / n
        assert math.sqrt(square) == pytest.approx(found["all", "rmse"].value)
    new = np.diff(split.train.indptr)[users] <= 20
    head = movie_segments(column_counts(split.train))["head movies"][split.test.indices]
    assert found["head movies", "mae"].value == pytest.approx(np.mean(np.abs(errors[head])))
    assert found["new users", "mae"].value == pytest.approx(np.mean(np.abs(errors[new])))
    assert ("heavy users", "rmse") not in found
    low, high = found["all", "rmse"].ci_low, found["all", "rmse"].ci_high
    assert low is not None
    assert high is not None
    assert low < found["all", "rmse"].value < high


def test_average_of_folds() -> None:
    first = Metric("p", "rmse", 1.0, 10, "all", 0.8, 1.2)
    second = Metric("p", "rmse", 2.0, 20, "all", 1.6, 2.2)
    rare = Metric("p", "rmse", 5.0, 3, "new users")
    assert averaged([(first, rare), (second,)]) == (
        Metric("p", "rmse", 1.5, 30, "all", pytest.approx(1.2), pytest.approx(1.7)),
        rare,
    )
    assert averaged([(first, rare)]) == (first, rare)
    assert averaged([]) == ()


# --- the literature -------------------------------------------------------------------------------


def ratings_of(folder: Path) -> tuple[csr_matrix, csr_matrix]:
    columns = np.loadtxt(folder / "u.data", dtype=np.int64, delimiter="\t")
    ratings = csr_matrix((columns[:, 2].astype(float), (columns[:, 0] - 1, columns[:, 1] - 1)))
    ratings.sort_indices()
    return ratings, csr_matrix((ratings.shape[1], 1))


def test_popularity_as_the_literature_has_it(ml_100k: Path) -> None:
    """On ml-100k the most rated movies get an nDCG@10 of .25 by this protocol."""
    ratings, genres = ratings_of(ml_100k)
    protocol = PROTOCOLS["recommenders-ml100k"]
    split = next(protocol.splits(Material(ratings)))
    assert split.test.nnz == 24_934
    found = table(measure_ranking(protocol, popular_lists(split.train, 10), split, genres, 0))
    assert found["all", "ndcg@10"].n == 943
    assert found["all", "ndcg@10"].value == pytest.approx(0.25, abs=0.01)


def test_the_split_of_the_recommenders_library(ml_100k: Path) -> None:
    """The train pairs are those of `python_stratified_split` of version 1.2.1, seed 42."""
    ratings, _ = ratings_of(ml_100k)
    users, items = np.loadtxt(ml_100k / "u.data", dtype=np.int64, usecols=(0, 1)).T - 1
    material = Material(ratings, order=(users, items))
    split = next(PROTOCOLS["recommenders-ml100k"].splits(material))
    assert (split.train.nnz, split.test.nnz) == (75_066, 24_934)
    pairs = (rows_of(split.train) + 1) * 10_000 + split.train.indices + 1
    assert hashlib.sha256(pairs.astype(np.int64).tobytes()).hexdigest() == (
        "3fa3738c14afadda72db07c5f4496025f5e292c1e60d59e388f6b4392763e77e"
    )


def test_the_official_pairs_of_ml_100k(ml_100k: Path) -> None:
    ratings, _ = ratings_of(ml_100k)
    rows = np.loadtxt(ml_100k / "u1.test", dtype=np.int64, delimiter="\t")
    material = Material(ratings, None, (rows[:, 0] - 1, rows[:, 1] - 1))
    protocol = PROTOCOLS["ml100k-u1"]
    split = next(protocol.splits(material))
    assert (split.train.nnz, split.test.nnz) == (80_000, 20_000)
    users = rows_of(split.test)
    predicted = user_mean_fallback(split.train, users)
    found = table(measure_ratings(protocol, predicted, predicted, split, 0))
    by_pair = dict(zip(zip(*(rows[:, :2] - 1).T.tolist(), strict=True), rows[:, 2], strict=True))
    given = [by_pair[pair] for pair in zip(users, split.test.indices, strict=True)]
    assert np.array_equal(split.test.data, given)
    assert found["all", "rmse"].value == pytest.approx(1.063, abs=0.001)
