"""The hash of each user's ratings, from which the checksum of a run's input is made."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import IdMap, Interactions
from recsys.storage.snapshot import checksum
from recsys.storage.snapshot.checksum import input_checksum, row_hashes

IDS = np.array([3, 50, 51, 9_000], np.int32)
DENSE = np.array([[4.0, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 5], [4, 0, 2, 0]])


def test_a_hash_is_the_sum_over_the_ratings_of_a_user():
    """By the definition of the finalizer, in Python's integers."""

    def mixed(number):
        number = (number + 0x9E3779B97F4A7C15) % 2**64
        number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
        return number ^ number >> 31

    def bits(value):
        return int(np.float64(value).view(np.uint64))

    found = row_hashes(csr_matrix(DENSE), IDS, np.array([1.0, 2, 3, np.nan, 1, 2])).tolist()
    ratings = [(3, 4, 1), (51, 2, 2), (50, 3, 3), (9_000, 5, np.nan)]
    one, other, third, fourth = (
        mixed(mixed(mixed(item) ^ bits(value)) ^ bits(at)) for item, value, at in ratings
    )
    assert found == [(one + other) % 2**64, 0, (third + fourth) % 2**64, found[0]]


@pytest.mark.parametrize("at_once", [1, 2, 3, 1 << 21])
@pytest.mark.parametrize("cuts", [[], [1], [2, 3]])
def test_it_does_not_depend_on_the_parts(monkeypatch, at_once, cuts):
    times = np.arange(6.0)
    whole, dense = row_hashes(csr_matrix(DENSE), IDS, times), csr_matrix(DENSE)
    monkeypatch.setattr(checksum, "_RATINGS_AT_ONCE", at_once)
    edges = [0, *cuts, 4]
    parts = [
        row_hashes(dense[start:stop], IDS, times[dense.indptr[start] : dense.indptr[stop]])
        for start, stop in itertools.pairwise(edges)
    ]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_every_change_shows():
    matrix, times = csr_matrix(DENSE), np.arange(6.0)
    before = row_hashes(matrix, IDS, times).tolist()
    for place in range(6):
        for change in ("value", "time", "movie"):
            data, at, indices = matrix.data.copy(), times.copy(), matrix.indices.copy()
            if change == "value":
                data[place] += 0.5
            elif change == "time":
                at[place] += 1
            else:
                indices[place] = (indices[place] + 1) % 4
            other = csr_matrix((data, indices, matrix.indptr), matrix.shape)
            owner = np.searchsorted(matrix.indptr, place, side="right") - 1
            after = row_hashes(other, IDS, at).tolist()
            assert [row for row in range(4) if after[row] != before[row]] == [owner]
    # The hash leaves out times that are not given.
    assert row_hashes(matrix, IDS).tolist() != before


def test_the_checksum_is_of_ids_features_scale_and_hashes():
    users, movies = IdMap(np.arange(4, dtype=np.int32)), IdMap(IDS)
    hashes = row_hashes(csr_matrix(DENSE), IDS)
    genres = csr_matrix(np.eye(4)[:, :2])
    features = Interactions(csr_matrix((0, 4)), genres, ("Drama", "War"), item_texts=("a",) * 4)
    found = {
        input_checksum(users, movies, hashes, features, (1.0, 5.0)),
        input_checksum(IdMap(users.ids + 1), movies, hashes, features, (1.0, 5.0)),
        input_checksum(users, IdMap(IDS + 1), hashes, features, (1.0, 5.0)),
        input_checksum(users, movies, hashes[::-1], features, (1.0, 5.0)),
        input_checksum(users, movies, hashes, features, (0.5, 5.0)),
        input_checksum(
            users, movies, hashes, replace(features, item_genres=genres * 2), (1.0, 5.0)
        ),
        input_checksum(
            users, movies, hashes, replace(features, item_years=np.full(4, 1999.0)), (1.0, 5.0)
        ),
        input_checksum(users, movies, hashes, Interactions(
            csr_matrix((0, 4)), genres, ("Drama", "War"), item_texts=("a", "a", "a", "b")
        ), (1.0, 5.0)),
    }  # fmt: skip
    assert len(found) == 8
    assert {len(each) for each in found} == {64}
