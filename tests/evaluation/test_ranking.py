"""Ranking metrics against figures by hand, plain loops, and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score, ndcg_score

from recsys.domain import TopN
from recsys.errors import EvaluationError
from recsys.evaluation.beyond_accuracy import (
    diversity,
    novelty,
    popular_items,
    popularity_share,
)
from recsys.evaluation.ranking import (
    RANKING_METRICS,
    first_entries,
    liked,
    ranking_figures,
    to_five,
)
from recsys.evaluation.splits import random_split

LOG3 = math.log2(3)


def top_n(*rows: list[int]) -> TopN:
    indptr = np.cumsum([0, *map(len, rows)])
    items = np.array([item for row in rows for item in row], np.int32)
    return TopN(indptr, items, -np.arange(len(items)) * 1.0)


def random_case(seed: int, users: int = 40, items: int = 30, length: int = 12):
    """Return lists of random lengths over unseen items, with train and test."""
    random = np.random.default_rng(seed)
    rated = random.random((users, items)) < random.random((users, 1)) * 0.7
    split = random_split(csr_matrix(rated * random.integers(1, 6, rated.shape) * 1.0), 0.4, seed)
    seen = split.train.toarray() != 0
    rows = [
        random.permutation(np.flatnonzero(~seen[user]))[: random.integers(0, length)].tolist()
        for user in range(users)
    ]
    return top_n(*rows), rows, split


def test_by_hand() -> None:
    test = csr_matrix(
        np.array(
            [
                [0, 5, 0, 3, 0, 1.0],  # 1 and 3 found at ranks 1 and 3 of 3
                [2, 0, 0, 0, 0, 0],  # found at rank 2 of 2
                [0, 0, 4, 0, 0, 0],  # no list
                [0, 0, 0, 0, 0, 0],  # nothing to find
                [0, 0, 0, 0, 0, 3],  # on the list, but at rank 4
            ]
        )
    )
    lists = top_n([1, 0, 3, 5], [4, 0], [], [1, 2], [0, 1, 2, 5])
    figures = ranking_figures(lists, test, csr_matrix(test.shape), 3)
    assert figures.users.tolist() == [0, 1, 2, 4]
    nan = math.nan
    expected = {
        "precision": [2 / 3, 1 / 3, 0, 0],
        "recall": [2 / 3, 1, 0, 0],
        "ndcg": [(1 + 1 / 2) / (1 + 1 / LOG3 + 1 / 2), 1 / LOG3, 0, 0],
        "map": [(1 + 2 / 3) / 3, 1 / 2, 0, 0],
        "mrr": [1, 1 / 2, 0, 0],
        "hit_rate": [1, 1, 0, 0],
        # Ratings of 4 and 5: one each of the first and the third user.
        "ndcg_liked": [1, nan, 0, nan],
        # The gains of 5, 3 and 1 are 31, 7 and 1.
        "ndcg_gain": [(31 + 7 / 2) / (31 + 7 / LOG3 + 1 / 2), 1 / LOG3, 0, 0],
        "disliked_share": [0, 1, nan, nan],
    }
    assert set(figures.values) == set(expected) == set(RANKING_METRICS)
    for name, values in expected.items():
        np.testing.assert_allclose(figures.values[name], values, rtol=1e-14)
        assert figures.values[name].dtype == np.float64


def test_means_leave_out_whom_a_metric_does_not_measure() -> None:
    test = csr_matrix(np.array([[5, 1, 2, 0], [3, 0, 0, 0], [4, 2, 0, 0.0]]))
    figures = ranking_figures(top_n([0, 1, 2], [3, 0], [2, 1]), test, csr_matrix((3, 4)), 3)
    found = {name: figures.sample(name) for name in RANKING_METRICS[-3:]}
    # The second user liked nothing. Of five hits, two of the first and one of the third are low.
    assert {name: sample.size for name, sample in found.items()} == {
        "ndcg_liked": 2, "ndcg_gain": 3, "disliked_share": 5
    }  # fmt: skip
    assert found["ndcg_liked"].mean == 0.5
    assert found["disliked_share"].mean == 3 / 5
    some = figures.of(np.array([False, True, True]))
    assert (some.users.tolist(), some.sample("disliked_share").mean) == ([1, 2], 1 / 2)


def test_ratings_of_zero_are_relevant_and_have_no_gain() -> None:
    test = csr_matrix(([0.0], ([0], [1])), shape=(1, 2))
    values = ranking_figures(top_n([1]), test, csr_matrix((1, 2)), 1, (0, 5)).values
    assert {name: column.tolist() for name, column in values.items() if column[0] > 0} == {
        name: [1.0] for name in (*RANKING_METRICS[:6], "disliked_share")
    }
    assert np.isnan([values["ndcg_liked"][0], values["ndcg_gain"][0]]).all()


@pytest.mark.parametrize(
    ("scale", "ratings", "expected"),
    [
        ((1, 5), [1, 2.5, 5], [1, 2.5, 5]),
        ((0.5, 5), [0.5, 3.5, 5], [0.5, 3.5, 5]),
        ((1, 10), [1, 4, 10], [0.5, 2, 5]),
        ((0, 100), [0, 40, 100], [0, 2, 5]),
        ((-10, 10), [-10, -2, 10], [0, 2, 5]),
        ((1, 1), [1, 1], [5, 5]),
        ((0, 0), [0, 0], [5, 5]),
        ((-1, -1), [-1], [5]),
    ],
)
def test_ratings_on_a_scale_to_five(scale, ratings, expected) -> None:
    assert to_five(np.array(ratings, np.float64), scale).tolist() == expected


def test_liked_is_four_of_five_or_the_upper_third_of_the_user() -> None:
    # Quantiles 2/3 of each user: of 3, 6, 8, 9 it is 8; of 1, 4 it is 3; of 7, 7 it is 7; of 2 it
    # is 2; of 1, 2, 3 it is 7/3.
    test = csr_matrix(
        np.array([[6, 8, 9, 0], [0, 4, 0, 0], [7, 0, 0, 0], [0, 0, 0, 2], [2, 3, 0, 0.0]])
    )
    train = csr_matrix(
        np.array([[0, 0, 0, 3], [1, 0, 0, 0], [0, 7, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    )
    marks = [False, True, True, True, True, True, False, True]
    assert liked(test, train, (1, 10)).tolist() == marks
    assert liked(test / 2, train / 2, (0.5, 5)).tolist() == [False, True, True] + [False] * 5
    # A scale to 5 with negative ratings is none of stars.
    assert liked(test, train, (-5, 5)).tolist() == marks
    assert liked(csr_matrix((2, 3)), csr_matrix((2, 3)), (1, 10)).tolist() == []


def by_loops(rows: list[list[int]], relevant: np.ndarray, k: int) -> dict[str, list[float]]:
    """Follow the published definitions one user at a time."""
    figures: dict[str, list[float]] = {name: [] for name in RANKING_METRICS[:6]}
    for row, wanted in zip(rows, relevant, strict=True):
        if not wanted.any():
            continue
        hits = [bool(wanted[item]) for item in row[:k]]
        ranks = [rank for rank, hit in enumerate(hits, start=1) if hit]
        best = range(1, min(k, int(wanted.sum())) + 1)
        # The recommenders library of 2020: (hits so far / rank) summed, over the actual number.
        reciprocal = sum(number / rank for number, rank in enumerate(ranks, start=1))
        figures["precision"].append(len(ranks) / k)
        figures["recall"].append(len(ranks) / int(wanted.sum()))
        gain = sum(1 / math.log(1 + rank) for rank in ranks)
        figures["ndcg"].append(gain / sum(1 / math.log(1 + rank) for rank in best))
        figures["map"].append(reciprocal / int(wanted.sum()))
        figures["mrr"].append(1 / ranks[0] if ranks else 0)
        figures["hit_rate"].append(float(bool(ranks)))
    return figures


@pytest.mark.parametrize("k", [1, 5, 10, 50])
@pytest.mark.parametrize("seed", range(4))
def test_against_loops(seed: int, k: int) -> None:
    lists, rows, split = random_case(seed)
    test = split.test.toarray()
    figures = ranking_figures(lists, split.test, split.train, k)
    assert figures.users.tolist() == np.flatnonzero(test.any(axis=1)).tolist()
    for name, values in by_loops(rows, test > 0, k).items():
        np.testing.assert_allclose(figures.values[name], values, rtol=1e-12, err_msg=name)
    measured = figures.values["ndcg_liked"][~np.isnan(figures.values["ndcg_liked"])]
    np.testing.assert_allclose(measured, by_loops(rows, test >= 4, k)["ndcg"], rtol=1e-12)
    hits = [test[user, item] for user, row in enumerate(rows) for item in row[:k]]
    hits = [rating for rating in hits if rating]
    share = figures.sample("disliked_share")
    assert (share.size, share.mean) == (len(hits), np.mean(np.array(hits) <= 2))


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed: int) -> None:
    """With every unseen item listed, both rank the same."""
    random = np.random.default_rng(seed)
    users, items = 30, 25
    relevant = random.random((users, items)) < 0.2
    ratings = relevant * random.integers(1, 11, relevant.shape) * 1.0
    scores = random.random((users, items))
    order = np.argsort(-scores, axis=1)
    lists, test = top_n(*order.tolist()), csr_matrix(relevant * 1.0)
    counted = relevant.any(axis=1)
    for k in (1, 5, 10, items):
        ours = ranking_figures(lists, test, csr_matrix(test.shape), k)
        theirs = ndcg_score(relevant[counted], scores[counted], k=k)
        assert ours.values["ndcg"].mean() == pytest.approx(theirs, rel=1e-12)
        graded = ranking_figures(lists, csr_matrix(ratings), csr_matrix(test.shape), k, (1, 10))
        theirs = ndcg_score(2 ** (ratings[counted] / 2) - 1, scores[counted], k=k)
        assert graded.values["ndcg_gain"].mean() == pytest.approx(theirs, rel=1e-12)
    each = [average_precision_score(relevant[u], scores[u]) for u in np.flatnonzero(counted)]
    np.testing.assert_allclose(ours.values["map"], each, rtol=1e-12)


def test_figures_stay_in_their_bounds() -> None:
    lists, _, split = random_case(9)
    figures = ranking_figures(lists, split.test, split.train, 5).values
    for values in figures.values():
        assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()
    assert (figures["map"] <= figures["recall"]).all()
    assert (figures["mrr"] <= figures["hit_rate"]).all()


def test_a_perfect_list_is_perfect() -> None:
    test = csr_matrix(np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 1.0]]))
    figures = ranking_figures(top_n([2, 0, 1], [4]), test, csr_matrix((2, 5)), 3).values
    for name in ("ndcg", "ndcg_liked", "ndcg_gain", "map", "mrr", "hit_rate", "recall"):
        assert figures[name].tolist() == [1, 1]
    assert figures["precision"].tolist() == [1, 1 / 3]


def test_empty_lists_and_nothing() -> None:
    test = csr_matrix(np.array([[1.0, 0], [0, 0]]))
    figures = ranking_figures(top_n([], []), test, csr_matrix((2, 2)), 10)
    assert np.isnan(figures.values["disliked_share"]).tolist() == [True]
    assert {name: figures.values[name].tolist() for name in RANKING_METRICS[:-1]} == {
        name: [0.0] for name in RANKING_METRICS[:-1]
    }
    nothing = ranking_figures(top_n(), csr_matrix((0, 0)), csr_matrix((0, 0)), 10)
    assert nothing.users.tolist() == []
    assert all(len(values) == 0 for values in nothing.values.values())


def test_train_items_on_a_list_are_refused() -> None:
    test = csr_matrix(np.array([[1.0, 0, 0]]))
    train = csr_matrix(np.array([[0, 0, 2.0]]))
    with pytest.raises(EvaluationError, match="1 entries of the lists are train ratings"):
        ranking_figures(top_n([0, 1, 2]), test, train, 1)


def test_k_must_be_positive() -> None:
    with pytest.raises(EvaluationError, match="k = 0 is out of range"):
        first_entries(top_n([1]), 0)


def test_first_entries() -> None:
    users, items, ranks = first_entries(top_n([4, 2, 9], [], [7]), 2)
    assert (users.tolist(), items.tolist(), ranks.tolist()) == ([0, 0, 2], [4, 2, 7], [1, 2, 1])


# --- beside being right ---------------------------------------------------------------------------


def test_novelty() -> None:
    # Item 0 is rated by all 4 users with ratings, item 1 by 2, item 2 by 1, item 3 by none.
    counts = np.array([4, 2, 1, 0])
    lists = top_n([2, 3], [3], [1, 3], [1, 2, 3], [0, 1, 2])
    assert novelty(lists, counts, 4, 2).tolist() == [2.0, 2.0, 1.5, 1.5, 0.5]
    assert novelty(lists, counts, 4, 9).tolist() == [2.0, 2.0, 1.5, 5 / 3, 1.0]
    assert np.isnan(novelty(top_n([], [], [], [], []), counts, 4, 2)).all()
    assert novelty(top_n([0]), np.zeros(1, int), 0, 2).tolist() == [0]


def test_popularity_share() -> None:
    counts = np.array([3, 0, 7, 1, 3, 0, 1, 1, 1, 1, 1, 1, 1])  # 11 rated: two are a tenth
    assert np.flatnonzero(popular_items(counts)).tolist() == [0, 2]
    assert np.flatnonzero(popular_items(counts, 0.25)).tolist() == [0, 2, 4]
    assert popular_items(np.zeros(3, np.int64)).tolist() == [False] * 3
    lists = top_n([], [1], [12, 1], [0, 2, 1, 5], [], [], [0])
    expected = [math.nan, 0, 0, 0.5, math.nan, math.nan, 1]
    np.testing.assert_array_equal(popularity_share(lists, counts, 9), expected)
    assert popularity_share(lists, counts, 2)[3] == 1


def test_diversity_by_hand() -> None:
    genres = csr_matrix(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0.0]]))
    lists = top_n([0, 1], [0, 2], [0, 3], [4, 0], [0, 1, 2], [3], [], [4, 4])
    expected = [0, 1, 1 - math.sqrt(0.5), 1, 2 / 3, math.nan, math.nan, 1]
    np.testing.assert_allclose(diversity(lists, genres, 9), expected, atol=1e-15)
    assert diversity(lists, genres, 2)[4] == 0


def test_diversity_against_every_pair() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(30, 6)) * (random.random((30, 6)) < 0.6)
    vectors[7] = 0
    lists, rows, _ = random_case(5)
    norms = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors.T / np.maximum(1e-300, np.outer(norms, norms))
    expected = [
        1 - np.mean([cosines[i, j] for i in row[:6] for j in row[:6] if i != j])
        if len(row) > 1
        else math.nan
        for row in rows
    ]
    assert np.isnan(expected).any()
    np.testing.assert_allclose(diversity(lists, csr_matrix(vectors), 6), expected, atol=1e-12)
