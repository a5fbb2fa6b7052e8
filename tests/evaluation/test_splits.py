"""Splits are complete, disjoint and repeatable, and follow their rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.errors import EvaluationError
from recsys.evaluation.splits import (
    Split,
    divided,
    entries_of,
    given_split,
    k_folds,
    leave_last_out,
    of_new_users,
    random_split,
    stratified_split,
    temporal_split,
)

NAN = np.nan


def ratings_of(users: int, items: int, seed: int, density: float = 0.3) -> csr_matrix:
    """Return random canonical ratings; some of the stored ones are zero."""
    random = np.random.default_rng(seed)
    rows, columns = np.nonzero(random.random((users, items)) < density)
    values = random.integers(0, 11, len(rows)) / 2
    return csr_matrix((values, (rows, columns)), shape=(users, items))


def row(*times: float) -> tuple[csr_matrix, np.ndarray]:
    """Return one user who rated as many items, at these times."""
    return csr_matrix(np.arange(1.0, len(times) + 1)[None]), np.array(times)


def times_of(ratings: csr_matrix) -> np.ndarray:
    random = np.random.default_rng(1)
    times = random.integers(0, 30, ratings.nnz).astype(np.float64)
    times[random.random(ratings.nnz) < 0.2] = NAN
    return times


SPLITS: dict[str, Callable[[csr_matrix, int], list[Split]]] = {
    "random": lambda r, seed: [random_split(r, 0.25, seed)],
    "by user": lambda r, seed: [stratified_split(r, 0.75, seed)],
    "by item": lambda r, seed: [stratified_split(r, 0.75, seed, by="item")],
    "temporal": lambda r, seed: [temporal_split(r, times_of(r), 0.2)],
    "last": lambda r, seed: [leave_last_out(r, times_of(r), seed)],
    "before the last": lambda r, seed: [leave_last_out(r, times_of(r), seed, before=True)],
    "folds": lambda r, seed: list(k_folds(r, 5, seed)) if r.nnz >= 5 else [],
    "given": lambda r, seed: [given_split(r, *(axis[:3] for axis in r.tocoo().coords))],
}
CASES = {
    "ordinary": ratings_of(40, 25, 0),
    "single rating": csr_matrix(([0.0], ([2], [1])), shape=(4, 3)),
    "no ratings": csr_matrix((3, 4)),
    "nothing": csr_matrix((0, 0)),
}


def same(a: csr_matrix, b: csr_matrix) -> bool:
    parts = zip((a.data, a.indices, a.indptr), (b.data, b.indices, b.indptr), strict=True)
    return a.shape == b.shape and all(np.array_equal(left, right) for left, right in parts)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", SPLITS)
def test_every_rating_is_on_one_side_at_most_as_it_was(kind: str, case: str) -> None:
    ratings = CASES[case]
    everything = ratings.tocoo()
    for split in SPLITS[kind](ratings, 7):
        both = np.concatenate([split.train_entries, split.test_entries])
        # The last ratings are on no side if those before them are tested.
        dropped = leave_last_out(ratings, times_of(ratings), 7).test_entries
        dropped = dropped if kind == "before the last" else dropped[:0]
        assert np.array_equal(np.sort([*both, *dropped]), np.arange(ratings.nnz))
        sides = ((split.train, split.train_entries), (split.test, split.test_entries))
        for part, entries in sides:
            assert part.shape == ratings.shape
            assert part.dtype == np.float64
            assert entries.dtype == np.int64
            rows, columns = part.tocoo().coords
            assert np.array_equal(rows, everything.coords[0][entries])
            assert np.array_equal(columns, everything.coords[1][entries])
            assert np.array_equal(part.data, everything.data[entries])
            fresh = csr_matrix((part.data, part.indices, part.indptr), shape=part.shape)
            assert fresh.has_canonical_format


@pytest.mark.parametrize("kind", SPLITS)
def test_the_seed_decides(kind: str) -> None:
    ratings = CASES["ordinary"]
    before = ratings.copy()
    first, again, other = (SPLITS[kind](ratings, seed) for seed in (3, 3, 4))
    assert same(ratings, before)
    assert all(same(a.test, b.test) for a, b in zip(first, again, strict=True))
    differ = not all(same(a.test, b.test) for a, b in zip(first, other, strict=True))
    assert differ == (kind not in ("temporal", "given"))


def test_random_share_is_of_all_ratings() -> None:
    ratings = CASES["ordinary"]
    for share in (0.001, 0.1, 0.5, 0.999):
        split = random_split(ratings, share, 1)
        assert split.test.nnz == round(share * ratings.nnz)


@pytest.mark.parametrize("by", ["user", "item"])
def test_stratified_keeps_the_rounded_share_of_each(by: str) -> None:
    ratings = CASES["ordinary"]
    for share in (0.75, 0.5, 0.1):
        split = stratified_split(ratings, share, 5, by)  # type: ignore[arg-type]
        axis = 0 if by == "user" else 1
        counts = np.bincount(ratings.tocoo().coords[axis])
        trained = np.bincount(split.train.tocoo().coords[axis], minlength=len(counts))
        assert trained.tolist() == [round(share * count) for count in counts.tolist()]


def test_stratified_is_by_chance_within_each() -> None:
    ratings = csr_matrix(np.ones((400, 4)))
    tested = np.bincount(stratified_split(ratings, 0.75, 0).test.indices, minlength=4)
    assert tested.sum() == 400
    assert tested.min() > 70


def test_temporal_tests_the_newest() -> None:
    ratings, times = row(5, 9, NAN, 7, 1, 8)
    split = temporal_split(ratings, times, 0.4)
    assert split.test_entries.tolist() == [1, 5]
    assert split.train_entries.tolist() == [0, 2, 3, 4]


def test_temporal_keeps_equal_times_together() -> None:
    ratings, times = row(1, 2, 3, 3, 3, 4)
    assert temporal_split(ratings, times, 0.5).test_entries.tolist() == [5]
    assert temporal_split(ratings, times, 0.7).test_entries.tolist() == [2, 3, 4, 5]
    ratings, times = row(2, 2, 2)
    assert temporal_split(ratings, times, 0.5).test.nnz == 0


def test_temporal_never_tests_an_unknown_time() -> None:
    ratings, times = row(NAN, NAN, NAN)
    assert temporal_split(ratings, times, 0.9).test.nnz == 0
    ratings, times = row(NAN, 4, NAN)
    assert temporal_split(ratings, times, 0.9).test.nnz == 0
    ratings, times = row(NAN, 4, 5)
    assert temporal_split(ratings, times, 0.9).test_entries.tolist() == [2]


def test_new_users_have_no_train_ratings() -> None:
    ratings = csr_matrix(np.array([[1, 2, 0], [3, 0, 4], [0, 5, 0], [0, 0, 6.0]]))
    split = divided(ratings, np.array([False, True, True, True, True, False]))
    new = of_new_users(split)
    assert new.test.toarray().tolist() == [[0, 0, 0], [3, 0, 4], [0, 5, 0], [0, 0, 0]]
    assert new.test_entries.tolist() == [2, 3, 4]
    assert (new.train, new.train_entries.tolist()) == (split.train, [0, 5])


def test_last_of_each_user() -> None:
    ratings = csr_matrix(np.array([[1, 2, 3, 0], [0, 4, 0, 0], [5, 0, 1, 2], [0, 0, 0, 0.0]]))
    times = np.array([3, 9, 1, 7, NAN, -4, NAN])
    split = leave_last_out(ratings, times, 0)
    assert split.test_entries.tolist() == [1, 5]


def test_before_the_last_of_each_user() -> None:
    ratings = csr_matrix(
        np.array([[1, 2, 3, 0], [0, 4, 0, 0], [5, 0, 1, 2], [0, 0, 1, 2], [0, 0, 0, 0.0]])
    )
    times = np.array([3, 9, 1, 7, NAN, -4, NAN, 5, 6])
    split = leave_last_out(ratings, times, 0, before=True)
    # Of three ratings one is tested and one is dropped; of two the last is dropped; one is kept.
    assert split.test_entries[0] == 0
    assert split.test_entries[1] in (4, 6)
    kept = 10 - split.test_entries[1]
    assert split.train_entries.tolist() == [2, 3, kept, 7]


def test_before_the_last_drops_what_the_protocol_tests() -> None:
    ratings = csr_matrix(np.ones((300, 4)))
    times = np.tile([2.0, 5.0, 5.0, 5.0], 300)
    last = leave_last_out(ratings, times, 3)
    before = leave_last_out(ratings, times, 3, before=True)
    used = np.concatenate([before.train_entries, before.test_entries, last.test_entries])
    assert np.array_equal(np.sort(used), np.arange(1200))
    assert (before.train.nnz, before.test.nnz) == (600, 300)
    # Ties are broken at random here too.
    tested = np.bincount(before.test.indices, minlength=4)
    assert (tested[0], tested[1:].min() > 75) == (0, True)


def test_last_of_equal_times_is_drawn() -> None:
    ratings = csr_matrix(np.ones((300, 3)))
    tested = leave_last_out(ratings, np.tile([2.0, 5.0, 5.0], 300), 0).test.indices
    assert np.bincount(tested, minlength=3)[0] == 0
    assert np.bincount(tested, minlength=3).min(initial=300, where=[False, True, True]) > 110


def test_folds_test_every_rating_once() -> None:
    ratings = CASES["ordinary"]
    folds = list(k_folds(ratings, 7, 2))
    assert len(folds) == 7
    sizes = [fold.test.nnz for fold in folds]
    more = ratings.nnz % 7
    assert sizes == [ratings.nnz // 7 + 1] * more + [ratings.nnz // 7] * (7 - more)
    tested = np.concatenate([fold.test_entries for fold in folds])
    assert np.array_equal(np.sort(tested), np.arange(ratings.nnz))


def test_given_pairs_are_the_test() -> None:
    ratings = csr_matrix(np.array([[1, 0, 2], [0, 3, 4.0]]))
    split = given_split(ratings, np.array([1, 0], np.int32), np.array([2, 0], np.int32))
    assert split.test.toarray().tolist() == [[1, 0, 0], [0, 0, 4]]
    assert split.train.toarray().tolist() == [[0, 0, 2], [0, 3, 0]]


@pytest.mark.parametrize("pair", [(0, 1), (2, 0), (0, 3), (0, 4), (-1, 2), (1, -1)])
def test_given_pair_that_is_not_rated(pair: tuple[int, int]) -> None:
    ratings = csr_matrix(np.array([[1, 0, 2], [0, 3, 4.0]]))
    users, items = np.array([[1, pair[0]], [2, pair[1]]])
    with pytest.raises(EvaluationError) as caught:
        given_split(ratings, users, items)
    assert str(caught.value) == (
        "1 of 2 given test pairs are not rated, "
        f"the first: user {pair[0]}, item {pair[1]} (positions)"
    )


def test_entries_are_found() -> None:
    ratings = CASES["ordinary"]
    rows, columns = (axis.ravel() for axis in np.indices(ratings.shape))
    expected = np.full(ratings.shape, -1)
    expected[ratings.tocoo().coords] = np.arange(ratings.nnz)
    assert np.array_equal(entries_of(ratings, rows, columns), expected.ravel())
    assert entries_of(CASES["nothing"], np.array([0]), np.array([0])).tolist() == [-1]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.1, NAN])
def test_shares_that_leave_a_side_empty_are_refused(share: float) -> None:
    ratings, times = row(1, 2, 3)
    with pytest.raises(EvaluationError, match=r"test_share = .* is out of range"):
        random_split(ratings, share, 0)
    with pytest.raises(EvaluationError, match=r"train_share = .* is out of range"):
        stratified_split(ratings, share, 0)
    with pytest.raises(EvaluationError, match=r"test_share = .* is out of range"):
        temporal_split(ratings, times, share)


def test_impossible_splits_are_refused() -> None:
    ratings, times = row(1, 2, 3)
    for k in (0, 1, 4):
        with pytest.raises(EvaluationError, match=f"3 ratings cannot be divided into {k} folds"):
            k_folds(ratings, k, 0)
    with pytest.raises(EvaluationError, match="2 times do not fit 3 ratings"):
        temporal_split(ratings, times[:2], 0.5)
    with pytest.raises(EvaluationError, match="2 times do not fit 3 ratings"):
        leave_last_out(ratings, times[:2], 0)
    with pytest.raises(EvaluationError, match="by = 'movie' is not known"):
        stratified_split(ratings, 0.5, 0, by="movie")  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="2 marks do not fit 3 ratings"):
        divided(ratings, np.zeros(2, bool))
    twice = csr_matrix(([1.0, 2.0], [1, 1], [0, 2]), shape=(1, 3))
    with pytest.raises(EvaluationError, match="hold a pair twice"):
        random_split(twice, 0.5, 0)
