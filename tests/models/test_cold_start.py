"""The charts for new users and new movies, against plain loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Chart, Interactions
from recsys.ingest import read_dataset
from recsys.models.charts.popular import liked
from recsys.models.registry import MODELS, FitOptions, make_config

GENRES = ("Action", "Musical", "War")


def sample(seed: int = 0) -> Interactions:
    """60 users, the first without ratings, x 40 items, the last without; no item is a musical."""
    random = np.random.default_rng(seed)
    rated = random.random((60, 40)) < random.uniform(0.05, 0.6, 40)
    rated[0], rated[:, 39] = False, False
    values = rated * random.integers(1, 11, (60, 40)) / 2
    values[1] = np.where(rated[1], 3.5, 0)
    genres = (random.random((40, 3)) < 0.4) * np.array([1.0, 0.0, 1.0])
    years = np.where(random.random(40) < 0.2, 0, random.integers(1971, 2001, 40))
    return Interactions(
        csr_matrix(values),
        csr_matrix(genres),
        GENRES,
        item_years=years.astype(np.int32),
        rating_range=(0.5, 5.0),
    )


def charts(name: str, data: Interactions, seed: int = 42, **params: Any) -> list[Chart]:
    spec = MODELS[name]
    return list(spec.fit(data, make_config(spec, params), FitOptions(seed=seed)).charts)


def scopes(data: Interactions, items: list[int]) -> dict[str | None, list[int]]:
    genres = data.item_genres.toarray()
    found: dict[str | None, list[int]] = {None: items}
    for column, genre in enumerate(data.genres):
        found[genre] = [item for item in items if genres[item, column]]
    return {genre: members for genre, members in found.items() if members}


def rated(data: Interactions) -> list[int]:
    return sorted(set(data.user_items.indices.tolist()))


def assert_charts(
    found: list[Chart], expected: dict[str | None, dict[int, float]], data: Interactions
) -> None:
    """`expected` has the score of each item of each chart."""
    dense = data.user_items.toarray()
    assert [chart.genre for chart in found] == list(expected)
    for chart, scores in zip(found, expected.values(), strict=True):
        order = sorted(scores, key=lambda item: (-scores[item], item))
        assert chart.items.tolist() == order
        np.testing.assert_allclose(chart.scores, [scores[item] for item in order], rtol=1e-9)
        columns = [dense[dense[:, item] > 0, item] for item in order]
        assert chart.votes.tolist() == [len(column) for column in columns]
        means = [column.mean() if len(column) else np.nan for column in columns]
        np.testing.assert_allclose(chart.means, means, rtol=1e-12)


# --- popular ------------------------------------------------------------------------------------


def test_popular_is_the_share_of_people_who_liked_it() -> None:
    data = sample()
    dense = data.user_items.toarray()
    likes: Counter[int] = Counter()
    for row in dense:
        given = np.flatnonzero(row)
        likes.update(item for item in given.tolist() if row[item] >= row[given].mean())
    people = 59
    scores = {item: likes[item] / people for item in rated(data)}
    expected = {
        genre: {item: scores[item] for item in members}
        for genre, members in scopes(data, rated(data)).items()
    }
    assert list(expected) == [None, "Action", "War"]
    assert_charts(charts("popular", data), expected, data)


def test_popular_by_hand() -> None:
    # The third likes all alike, the last has rated nothing.
    ratings = csr_matrix(np.array([[5.0, 1, 0, 3], [4, 5, 1, 0], [0, 2, 2, 0], [0, 0, 0, 0]]))
    (chart,) = charts("popular", Interactions(ratings, csr_matrix((4, 0)), ()))
    assert chart.items.tolist() == [0, 1, 2, 3]
    assert chart.scores.tolist() == [2 / 3, 2 / 3, 1 / 3, 1 / 3]
    assert chart.votes.tolist() == [2, 3, 2, 1]


@pytest.mark.parametrize("grade", [3.7, 0.1, 1e-9, 1e9])
@pytest.mark.parametrize("ratings", [1, 3, 7, 10_001])
def test_popular_likes_all_of_a_constant_rater(grade: float, ratings: int) -> None:
    assert liked(csr_matrix(np.full((1, ratings), grade))).all()


def test_popular_likes_all_of_a_constant_rater_at_zero() -> None:
    assert liked(csr_matrix((np.zeros(2), [0, 1], [0, 2]))).all()


def test_popular_tells_a_rating_just_below_the_mean() -> None:
    ratings = np.full((1, 100_000), 4.0)
    ratings[0, 0] = 4.5
    assert np.flatnonzero(liked(csr_matrix(ratings))).tolist() == [0]


# --- exploratory --------------------------------------------------------------------------------


def worths(data: Interactions, grades: int) -> dict[int, float]:
    assert data.rating_range is not None
    low, high = data.rating_range
    found = {}
    for item in rated(data):
        column = data.user_items[:, [item]].data
        given = Counter(
            min(int((value - low) / (high - low) * grades), grades - 1) for value in column
        )
        shares = [count / len(column) for count in given.values()]
        found[item] = log(len(column)) * -sum(share * log(share) for share in shares)
    return found


def cells_of(data: Interactions, item: int) -> set[tuple[int, int]]:
    assert data.item_years is not None
    era = int(data.item_years[item]) // 10
    genres = np.flatnonzero(data.item_genres[[item]].toarray())
    return {(genre, era) for genre in genres.tolist()} or {(-1, era)}


@pytest.mark.parametrize("grades", [2, 5, 10])
def test_exploratory_takes_turns(grades: int) -> None:
    data = sample(1)
    worth = worths(data, grades)
    assert {len(cells_of(data, item)) for item in worth} == {1, 2}
    assert any(cell == -1 for item in worth for cell, _ in cells_of(data, item))
    expected = {}
    for genre, members in scopes(data, rated(data)).items():
        places: dict[int, int] = {}
        cells: Counter[tuple[int, int]] = Counter()
        for item in sorted(members, key=lambda item: (-round(worth[item], 9), item)):
            of_item = cells_of(data, item)
            own = of_item if genre is None else {(0, era) for _, era in of_item}
            cells.update(own)
            places[item] = max(cells[cell] for cell in own)
        expected[genre] = {item: round(worth[item], 9) / places[item] for item in members}
    found = charts("exploratory", data, grades=grades)
    assert_charts(found, expected, data)


def test_exploratory_by_hand() -> None:
    """Five of one cell, one of another decade, one undisputed, one unrated."""
    ratings = np.zeros((8, 8))
    ratings[:, 0] = [1, 1, 2, 2, 4, 4, 5, 5]
    ratings[:, 1] = [1, 1, 1, 1, 5, 5, 5, 5]
    ratings[:4, 2] = [1, 1, 5, 5]
    ratings[:2, 3] = [1, 5]
    ratings[:4, 4] = [2, 2, 4, 4]
    ratings[:, 5] = 4
    ratings[:, 7] = [2, 2, 2, 2, 4, 4, 4, 4]  # a tie with 1
    years = np.array([1990, 1999, 1995, 1991, 1989, 1992, 1993, 1994], np.int32)
    data = Interactions(
        csr_matrix(ratings), csr_matrix(np.ones((8, 1))), ("Drama",), item_years=years
    )
    overall, drama = charts("exploratory", data)
    a = log(2)
    scores = {0: 6, 4: 2, 1: 3 / 2, 7: 3 / 3, 2: 2 / 4, 3: 1 / 5, 5: 0}
    for chart in (overall, drama):
        assert chart.items.tolist() == list(scores)
        expected = [score * a * a for score in scores.values()]
        np.testing.assert_allclose(chart.scores, expected, rtol=1e-11)


def test_exploratory_same_dispute_at_other_grades_is_a_tie() -> None:
    given = list(permutations([1, 2, 3, 5, 7]))
    columns = [np.repeat(np.arange(1.0, 6.0), counts) for counts in given]
    data = Interactions(csr_matrix(np.array(columns).T), csr_matrix((len(given), 0)), ())
    (chart,) = charts("exploratory", data)
    assert chart.items.tolist() == list(range(len(given)))


def test_exploratory_same_turn_shares_no_cell() -> None:
    data = sample(2)
    worth = worths(data, 5)
    (overall, *_) = charts("exploratory", data)
    turns: dict[int, list[set[tuple[int, int]]]] = {}
    for item, score in zip(overall.items.tolist(), overall.scores.tolist(), strict=True):
        turns.setdefault(round(worth[item] / score), []).append(cells_of(data, item))
    assert len(turns[1]) > 3
    for cells in turns.values():
        assert sum(map(len, cells)) == len(set().union(*cells))


def test_exploratory_without_years_or_scale() -> None:
    data = sample()
    bare = replace(data, item_years=None, rating_range=None)
    timeless = replace(data, item_years=np.zeros(40, np.int32))
    for found, expected in zip(
        charts("exploratory", bare), charts("exploratory", timeless), strict=True
    ):
        assert found.items.tolist() == expected.items.tolist()
        assert found.scores.tolist() == expected.scores.tolist()


def small(folder: Path) -> tuple[Interactions, list[str]]:
    dataset = read_dataset(folder)
    movies = sorted(dataset.movies, key=lambda movie: movie.movie_id)
    genres = tuple(sorted({genre for movie in movies for genre in movie.genres}))
    users, rows = np.unique(dataset.ratings.user_ids, return_inverse=True)
    ids = np.array([movie.movie_id for movie in movies])
    columns = np.searchsorted(ids, dataset.ratings.movie_ids)
    data = Interactions(
        csr_matrix((dataset.ratings.values, (rows, columns)), shape=(len(users), len(ids))),
        csr_matrix([[float(genre in movie.genres) for genre in genres] for movie in movies]),
        genres,
        item_years=np.array([movie.year or 0 for movie in movies], np.int32),
    )
    return data, [movie.title for movie in movies]


def test_exploratory_covers_more_of_ml_latest_small(ml_latest_small: Path) -> None:
    data, titles = small(ml_latest_small)
    assert data.item_years is not None

    def first_ten(name: str) -> tuple[list[str], int, int, int]:
        chart = charts(name, data)[0]
        ten = chart.items[:10]
        genres = data.item_genres[ten].toarray().any(axis=0).sum()
        decades = len(set((data.item_years[ten] // 10).tolist()))
        return [titles[item] for item in ten], int(genres), decades, int(chart.votes[:10].min())

    assert first_ten("most_rated")[1:] == (10, 2, 220)
    # Well known still: each of them to at least 60 of 610 people.
    assert first_ten("exploratory") == (
        [
            "Ace Ventura: Pet Detective",
            "Independence Day (a.k.a. ID4)",
            "E.T. the Extra-Terrestrial",
            "The Matrix Revolutions",
            "Die Hard",
            "Grease",
            "2001: A Space Odyssey",
            "The Wizard of Oz",
            "Inception",
            "Pinocchio",
        ],
        14,
        8,
        60,
    )


# --- random -------------------------------------------------------------------------------------


def test_random_lists_all_movies() -> None:
    data = sample()
    found = charts("random", data)
    overall = found[0]
    assert sorted(overall.items.tolist()) == list(range(40))
    assert overall.items.tolist() != list(range(40))
    scores = {item: (40 - place) / 40 for place, item in enumerate(overall.items.tolist())}
    expected = {
        genre: {item: scores[item] for item in members}
        for genre, members in scopes(data, list(range(40))).items()
    }
    assert list(expected) == [None, "Action", "War"]
    assert_charts(found, expected, data)
    assert overall.votes[overall.items == 39].tolist() == [0]


def test_random_depends_on_the_seed_only() -> None:
    data = sample()
    one, same, other = (charts("random", data, seed)[0].items.tolist() for seed in (1, 1, 2))
    assert one == same != other
    assert charts("random", sample(7), 1)[0].items.tolist() == one


def test_random_shuffles_evenly() -> None:
    data = Interactions(csr_matrix((1, 4)), csr_matrix((4, 0)), ())
    first = Counter(int(charts("random", data, seed)[0].items[0]) for seed in range(400))
    assert sorted(first) == [0, 1, 2, 3]
    assert min(first.values()) > 70
