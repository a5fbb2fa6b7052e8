"""The six-movie example to the digits published, and Pearson against numpy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import RankedLists, UserRows
from recsys.models.knn.co_rated import co_rated_neighbours
from recsys.models.knn.pearson_average import SPEC, PearsonAverageConfig
from recsys.models.registry import FitOptions
from recsys.numerics.scoring import rank_by_mean_product
from tests.models.helpers import fit, interactions, row

MOVIES = (
    "Terminator",
    "Terminator 2",
    "It happened one night",
    "27 Dresses",
    "Poirot",
    "Sherlock Holmes",
)
RATINGS = {
    "Tom": (4, 5, 3.5, 3, 4, 4),
    "Jack": (1.5, 1, 3.5, 3.5, 3, 3),
    "Tiger": (None, None, 4, 3, 5, 3.5),
    "Lisa": (3, 3.5, 5, 5, 4, 3.5),
    "Michele": (None, None, 3, 4, 3.5, None),
    "Sally": (2, 2, 4, 4, 3, 2),
}
TOY_STORY, STAR_WARS, SHAWSHANK = 1, 260, 318
NEWCOMER = {"Terminator": 5.0, "Sherlock Holmes": 4.0, "Poirot": 4.5}
CORRELATIONS = [
    ("27 Dresses", "Poirot", -0.30434782608695654),
    ("27 Dresses", "It happened one night", 0.5791405068790082),
    ("27 Dresses", "Sherlock Holmes", -0.27583864218368526),
    ("27 Dresses", "Terminator 2", -0.12547286652195427),
    ("27 Dresses", "Terminator", -0.15404159684748153),
    ("It happened one night", "Sherlock Holmes", 0.0),
    ("It happened one night", "Poirot", 0.2895702534395041),
    ("Terminator 2", "Sherlock Holmes", 0.7388957695181752),
    ("Terminator", "Sherlock Holmes", 0.7702079842374076),
    ("Poirot", "Sherlock Holmes", 0.6698938453032357),
]


def six_movies() -> csr_matrix:
    rows = [[value or 0.0 for value in row] for row in RATINGS.values()]
    return csr_matrix(np.array(rows))


def score_of(lists: RankedLists, one: int, item: int) -> float:
    part = row(lists, one)
    (score,) = lists.scores[part][lists.indices[part] == item]
    return float(score)


@pytest.mark.parametrize(("one", "other", "expected"), CORRELATIONS)
def test_correlations_of_the_six_movies(one: str, other: str, expected: float) -> None:
    lists = co_rated_neighbours(six_movies(), "pearson", 2, 0.0, FitOptions())
    i, j = MOVIES.index(one), MOVIES.index(other)
    assert score_of(lists, i, j) == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert score_of(lists, j, i) == score_of(lists, i, j)


def test_the_recommendation_for_the_new_user() -> None:
    newcomer = csr_matrix([[NEWCOMER.get(movie, 0.0) for movie in MOVIES]])
    lists = co_rated_neighbours(six_movies(), "pearson", 2, 0.0, FitOptions())
    found = rank_by_mean_product(lists, UserRows.all(newcomer), 100, FitOptions())
    assert [MOVIES[i] for i in found.indices] == [
        "Terminator 2",
        "It happened one night",
        "27 Dresses",
    ]
    expected = [4.0104504845, 0.6115200480, -1.0810425901]
    np.testing.assert_allclose(found.scores, expected, rtol=0, atol=5e-11)


def test_words_for_scores() -> None:
    """What SQL makes of them is tested with the contract."""
    assert SPEC.labels == (
        (3.0, "strongly recommended"),
        (0.0, "recommended"),
        (-math.inf, "not recommended"),
    )


@pytest.mark.parametrize(("min_support", "shrinkage"), [(2, 0.0), (4, 0.0), (2, 3.0)])
def test_all_pairs_agree_with_numpy(min_support: int, shrinkage: float) -> None:
    random = np.random.default_rng(7)
    dense = (random.random((25, 14)) < 0.5) * random.uniform(0.5, 5, (25, 14))
    dense[dense[:, 3] != 0, 3] = 3.7  # a constant column is similar to nothing
    lists = co_rated_neighbours(csr_matrix(dense), "pearson", min_support, shrinkage, FitOptions())
    expected = {}
    for i in range(14):
        for j in range(14):
            common = (dense[:, i] != 0) & (dense[:, j] != 0)
            n = int(common.sum())
            if i != j and 3 not in (i, j) and n >= min_support:
                correlation = np.corrcoef(dense[common, i], dense[common, j])[0, 1]
                expected[i, j] = correlation * n / (n + shrinkage)
    rows = np.repeat(np.arange(14), np.diff(lists.indptr))
    pairs = zip(rows.tolist(), lists.indices.tolist(), strict=True)
    found = dict(zip(pairs, lists.scores, strict=True))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(
        [found[pair] for pair in expected], list(expected.values()), rtol=1e-9
    )


def test_item_knn_takes_pearson_by_name() -> None:
    settings = {"similarity": "pearson", "shrinkage": 0}
    neighbours = fit("item_knn", interactions(six_movies()), **settings).neighbours
    assert neighbours is not None
    terminator = MOVIES.index("Terminator")
    assert score_of(neighbours, terminator, MOVIES.index("Sherlock Holmes")) == pytest.approx(
        0.7702079842374076, rel=1e-14
    )


@pytest.mark.parametrize(
    ("name", "settings"), [("pearson_average", {}), ("item_knn", {"similarity": "pearson"})]
)
def test_few_common_raters_say_little_by_default(name: str, settings: dict[str, str]) -> None:
    neighbours = fit(name, interactions(six_movies()), **settings).neighbours
    assert neighbours is not None
    for one, other, correlation in CORRELATIONS:
        if one == "Terminator":
            found = score_of(neighbours, MOVIES.index(one), MOVIES.index(other))
            # Tom, Jack, Lisa and Sally rated both.
            assert found == pytest.approx(correlation * 4 / (4 + 50), rel=1e-14)
    # Tiny data keeps its lists.
    assert np.diff(neighbours.indptr).tolist() == [5] * 6


def test_sequels_are_near_and_what_few_users_agree_on_is_not(ml_latest_small: Path) -> None:
    columns = {"delimiter": ",", "skiprows": 1, "usecols": (0, 1, 2)}
    users, movies, ratings = np.loadtxt(ml_latest_small / "ratings.csv", **columns).T
    ids, places = np.unique(movies.astype(int), return_inverse=True)
    matrix = csr_matrix((ratings, (users.astype(int) - 1, places)))
    of = np.searchsorted(ids, [TOY_STORY, STAR_WARS, SHAWSHANK])
    shrinkage, options = PearsonAverageConfig().shrinkage, FitOptions(k=3)
    near = co_rated_neighbours(matrix, "pearson", 2, shrinkage, options, of=of)
    assert ids[near.indices].reshape(3, 3).tolist() == [
        [3114, 588, 6377],  # Toy Story 2, Aladdin, Finding Nemo
        [1196, 1210, 457],  # Star Wars V, Star Wars VI, The Fugitive
        [527, 50, 904],  # Schindler's List, The Usual Suspects, Rear Window
    ]
