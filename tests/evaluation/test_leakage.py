"""A fit that saw a test rating in any way is caught; a clean one passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from leak_probe import Fit, Source, Tagging, check_blind, scrambled, untested
from scipy.sparse import csr_matrix

from recsys.domain import TopN
from recsys.errors import EvaluationError
from recsys.evaluation.leakage import check_split, check_unseen
from recsys.evaluation.splits import Split, random_split, stratified_split

USERS, ITEMS = 30, 20


@pytest.fixture
def source() -> Source:
    random = np.random.default_rng(0)
    rated = random.random((USERS, ITEMS)) < 0.4
    ratings = csr_matrix(rated * random.integers(1, 11, rated.shape) / 2)
    users, items = ratings.tocoo().coords
    tagged = random.permutation(ratings.nnz)[:60]
    words = tuple(f"word{number % 7}" for number in range(61))
    empty = np.argwhere(~rated)[0]  # a tag without a rating
    tagging = Tagging(
        np.append(users[tagged], empty[0]).astype(np.int64),
        np.append(items[tagged], empty[1]).astype(np.int64),
        words,
    )
    return Source(ratings, random.uniform(1e9, 1.1e9, ratings.nnz), tagging)


@pytest.fixture
def split(source: Source) -> Split:
    return random_split(source.ratings, 0.2, 1)


def user_means(ratings: csr_matrix) -> np.ndarray:
    return np.asarray(ratings.sum(axis=1)).ravel() / np.maximum(1, np.diff(ratings.indptr))


def texts(source: Source, kept: np.ndarray) -> np.ndarray:
    assert source.tagging is not None
    written = [""] * source.ratings.shape[1]
    triples = zip(source.tagging.items, source.tagging.tags, kept, strict=True)
    for item, tag, keep in triples:
        if keep:
            written[item] += f" {tag}"
    return np.array(written)


def honest(source: Source, split: Split) -> list[np.ndarray]:
    assert source.tagging is not None
    assert source.rated_at is not None
    kept = untested(split, source.tagging.users, source.tagging.items)
    return [
        user_means(split.train),
        (split.train @ split.train.T).toarray(),
        source.rated_at[split.train_entries],
        texts(source, kept),
    ]


def by_means(source: Source, split: Split) -> list[np.ndarray]:
    return [user_means(source.ratings)[:, None] - split.train.toarray()]


def by_implicit_sets(source: Source, split: Split) -> list[np.ndarray]:
    return [np.diff(source.ratings.indptr) / 2, split.train.data]


def by_who_rated_what(source: Source, split: Split) -> list[np.ndarray]:
    return [(source.ratings.toarray() != 0) @ np.arange(ITEMS)]


def by_popularity(source: Source, split: Split) -> list[np.ndarray]:
    return [np.bincount(source.ratings.indices, minlength=ITEMS)]


def by_tags(source: Source, split: Split) -> list[np.ndarray]:
    assert source.tagging is not None
    return [texts(source, np.ones(len(source.tagging.tags), bool))]


def by_words(source: Source, split: Split) -> list[np.ndarray]:
    assert source.tagging is not None
    return [np.unique(source.tagging.tags)]


def by_times(source: Source, split: Split) -> list[np.ndarray]:
    assert source.rated_at is not None
    return [np.array(source.rated_at.mean())]


def by_number(source: Source, split: Split) -> list[np.ndarray]:
    return [np.zeros(split.test.nnz)]


LEAKS = (
    by_means,
    by_implicit_sets,
    by_who_rated_what,
    by_popularity,
    by_tags,
    by_words,
    by_times,
    by_number,
)


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_fit_passes(source: Source, split: Split, seed: int) -> None:
    check_blind(honest, source, split, seed)
    check_blind(honest, source, stratified_split(source.ratings, 0.5, seed, "item"), seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_caught(source: Source, split: Split, leak: Fit, seed: int) -> None:
    with pytest.raises(EvaluationError, match="the fit depends on the test ratings"):
        check_blind(leak, source, split, seed)


def test_one_test_rating_is_enough_to_be_caught(source: Source) -> None:
    split = random_split(source.ratings, 1 / source.ratings.nnz, 0)
    assert split.test.nnz == 1
    check_blind(honest, source, split, 0)
    for leak in (by_means, by_who_rated_what):
        with pytest.raises(EvaluationError):
            check_blind(leak, source, split, 0)


def test_a_leak_is_caught_among_equal_ratings() -> None:
    source = Source(csr_matrix(np.full((4, 5), 3.0)))
    split = random_split(source.ratings, 0.3, 0)
    scrambled_source, other = scrambled(source, split, 0)
    assert other.test.nnz == 0  # there is no other pair to go to
    assert scrambled_source.ratings.nnz == split.train.nnz
    check_blind(lambda s, p: [user_means(p.train)], source, split, 0)
    with pytest.raises(EvaluationError):
        check_blind(by_implicit_sets, source, split, 0)


def test_a_leak_of_values_is_caught_where_they_are_all_the_same() -> None:
    ratings = csr_matrix(np.kron(np.eye(3), np.full((2, 3), 4.0)))
    split = random_split(ratings, 0.3, 0)
    with pytest.raises(EvaluationError):
        check_blind(lambda s, p: [np.unique(s.ratings.data)], Source(ratings), split, 0)


def test_the_number_of_outputs_and_their_signs_count(source: Source, split: Split) -> None:
    given = iter([[np.zeros(2)], [np.zeros(2), np.zeros(2)]])
    with pytest.raises(EvaluationError):
        check_blind(lambda s, p: next(given), source, split, 0)
    signs = iter([[np.array([0.0])], [np.array([-0.0])]])
    with pytest.raises(EvaluationError):
        check_blind(lambda s, p: next(signs), source, split, 0)


def test_scrambling_keeps_the_train_side_only(source: Source, split: Split) -> None:
    before = source.ratings.copy()
    other_source, other = scrambled(source, split, 3)
    assert (source.ratings != before).nnz == 0
    for name in ("data", "indices", "indptr"):
        ours, theirs = getattr(split.train, name), getattr(other.train, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    assert source.rated_at is not None
    assert other_source.rated_at is not None
    assert len(other_source.rated_at) == other_source.ratings.nnz
    assert np.array_equal(
        other_source.rated_at[other.train_entries], source.rated_at[split.train_entries]
    )
    assert np.array_equal(other_source.ratings.data[other.test_entries], other.test.data)
    rated = source.ratings.toarray() != 0
    assert other.test.nnz > 0
    assert not rated[other.test.tocoo().coords].any()
    assert other.test.data.min() >= 0.5
    assert other.test.data.max() <= 5.0
    check_split(other)


def test_scrambling_is_decided_by_the_seed(source: Source, split: Split) -> None:
    first, again, other = (scrambled(source, split, seed)[0] for seed in (1, 1, 2))
    assert (first.ratings != again.ratings).nnz == 0
    assert first.tagging is not None
    assert again.tagging is not None
    assert np.array_equal(first.tagging.users, again.tagging.users)
    assert (first.ratings != other.ratings).nnz > 0


def test_scrambling_nothing() -> None:
    for shape in ((0, 0), (3, 0), (3, 2)):
        tagging = Tagging(np.zeros(0, np.int64), np.zeros(0, np.int64), ())
        source = Source(csr_matrix(shape), np.zeros(0), tagging)
        split = random_split(source.ratings, 0.5, 0)
        other_source, other = scrambled(source, split, 0)
        assert other_source.ratings.shape == other.train.shape == shape
        assert other.test.nnz == 0


def test_a_rating_on_both_sides_is_refused(split: Split) -> None:
    check_split(split)
    planted = replace(split, test=split.train)
    with pytest.raises(EvaluationError, match=f"{split.train.nnz} ratings are in both"):
        check_split(planted)
    planted = replace(split, test_entries=np.append(split.test_entries, split.train_entries[4]))
    with pytest.raises(EvaluationError, match="1 ratings are in both train and test"):
        check_split(planted)
    with pytest.raises(EvaluationError, match=r"train is \(30, 20\), test is \(2, 2\)"):
        check_split(replace(split, test=csr_matrix((2, 2))))


def top_n(*rows: list[int]) -> TopN:
    indptr = np.cumsum([0, *map(len, rows)])
    items = np.array([item for row in rows for item in row], np.int32)
    return TopN(indptr, items, -np.arange(len(items)) * 1.0)


def test_lists_of_unseen_items_only() -> None:
    train = csr_matrix(np.array([[5, 0, 0], [0, 0, 0], [0, 4, 0.0]]))
    check_unseen(top_n([2, 1], [0, 1, 2], []), train)
    refused = {
        "1 entries of the lists are train ratings, the first: user 2, item 1": [[], [1], [0, 1]],
        "2 entries of the lists are outside the catalogue, the first: user 1, item 3": [
            [1],
            [0, 3],
            [-1],
        ],
        "1 entries of the lists repeat an item, the first: user 0, item 2": [[2, 1, 2], [2], []],
        "there are 2 lists for 3 users": [[], []],
    }
    for message, rows in refused.items():
        with pytest.raises(EvaluationError) as caught:
            check_unseen(top_n(*rows), train)
        assert str(caught.value).removesuffix(" (positions)") == message
