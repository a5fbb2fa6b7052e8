"""The charts against pandas, and the formula against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Chart, Interactions, Votes
from recsys.models.charts.build import count_votes, weighted_rating
from recsys.models.registry import MODELS, FitOptions, make_config

DAY = 86_400.0
GENRES = ("Action", "Musical", "War")


def sample(seed: int = 0) -> Interactions:
    """200 users x 50 items; item 49 has no ratings, no item is a musical."""
    random = np.random.default_rng(seed)
    rated = random.random((200, 50)) < random.uniform(0.02, 0.6, 50)
    rated[:, 49] = False
    values = csr_matrix(rated * random.integers(1, 11, (200, 50)) / 2)
    genres = (random.random((50, 3)) < 0.4) * np.array([1.0, 0.0, 1.0])
    times = 1e9 - random.uniform(0, 900, values.nnz) * DAY
    times[random.random(values.nnz) < 0.1] = np.nan
    return Interactions(values, csr_matrix(genres), GENRES, times)


def table(data: Interactions) -> pd.DataFrame:
    entries = data.user_items.tocoo()
    return pd.DataFrame({"item": entries.col, "rating": entries.data, "at": data.rated_at})


def charts(name: str, data: Interactions, **params: float | str) -> list[Chart]:
    spec = MODELS[name]
    return list(spec.fit(data, make_config(spec, params), FitOptions()).charts)


def scopes(data: Interactions) -> dict[str | None, pd.DataFrame]:
    """Ratings behind each expected chart."""
    ratings, genres = table(data), data.item_genres.toarray()
    found: dict[str | None, pd.DataFrame] = {None: ratings}
    for column, genre in enumerate(data.genres):
        found[genre] = ratings[ratings["item"].isin(np.flatnonzero(genres[:, column]))]
    return {genre: part for genre, part in found.items() if len(part)}


def assert_chart(chart: Chart, scores: pd.Series, data: Interactions) -> None:
    """`scores` is by item; ties go by item."""
    order = np.lexsort((scores.index, -scores.to_numpy()))
    expected = scores.iloc[order]
    grouped = table(data).groupby("item")["rating"]
    assert chart.items.tolist() == expected.index.tolist()
    np.testing.assert_allclose(chart.scores, expected, rtol=1e-12)
    assert chart.votes.tolist() == grouped.count()[expected.index].tolist()
    np.testing.assert_allclose(chart.means, grouped.mean()[expected.index], rtol=1e-12)


def test_weighted_rating_by_hand() -> None:
    # m is half-way between 10 and 30, C = (5 + 3 + 4 + 2) / 4.
    result = weighted_rating(np.array([10, 30, 40, 2]), np.array([5.0, 3.0, 4.0, 2.0]), 0.5)
    assert (result.C, result.m) == (3.5, 20.0)
    assert result.qualifies.tolist() == [False, True, True, False]
    expected = [4.0, 0.6 * 3 + 0.4 * 3.5, 40 / 60 * 4 + 20 / 60 * 3.5, (2 * 2 + 20 * 3.5) / 22]
    np.testing.assert_allclose(result.scores, expected, rtol=1e-12)


def test_weighted_rating_without_votes_is_the_mean() -> None:
    result = weighted_rating(np.array([0, 0, 5]), np.array([0.0, 0.0, 3.0]), 0.1)
    assert result.scores.tolist() == [1.0, 1.0, 3.0]
    assert result.qualifies.tolist() == [True, True, True]


def test_weighted_rating_of_nothing() -> None:
    result = weighted_rating(np.zeros(0, np.int64), np.zeros(0), 0.9)
    assert (len(result.scores), result.C, result.m, len(result.qualifies)) == (0, 0.0, 0.0, 0)


@pytest.mark.parametrize("q", [0.0, 0.5, 0.9, 1.0])
def test_top_rated_is_what_pandas_computes(q: float) -> None:
    data = sample()
    found = charts("top_rated", data, q=q)
    expected = scopes(data)
    assert [chart.genre for chart in found] == [None, "Action", "War"] == list(expected)
    for chart, part in zip(found, expected.values(), strict=True):
        movies = part.groupby("item")["rating"].agg(["count", "mean"])
        v, mean = movies["count"], movies["mean"]
        m = v.quantile(q)
        scores = v / (v + m) * mean + m / (v + m) * mean.mean()
        assert_chart(chart, scores[v >= m], data)


def test_counting_votes() -> None:
    votes = count_votes(csr_matrix(np.array([[4.0, 0, 1], [3, 0, 0]])))
    assert votes.counts.tolist() == [2, 0, 1]
    assert votes.means.tolist() == pytest.approx([3.5, np.nan, 1.0], nan_ok=True)


def with_votes(seed: int = 0) -> Interactions:
    """The sample with votes of others: of items 3 and 4 none are known, of 5 there are 0."""
    random = np.random.default_rng(seed)
    counts, means = random.geometric(0.01, 50), random.uniform(1, 10, 50).round(1)
    counts[[3, 5]], means[[3, 4]], means[5] = 0, np.nan, 0
    return replace(sample(), item_votes=Votes(counts, means))


@pytest.mark.parametrize("q", [0.0, 0.5, 0.9, 1.0])
def test_top_rated_by_metadata_is_what_pandas_computes(q: float) -> None:
    data = with_votes()
    assert data.item_votes is not None
    columns = {"v": data.item_votes.counts, "mean": data.item_votes.means}
    known = pd.DataFrame(columns).dropna()
    genres = data.item_genres.toarray()
    found = charts("top_rated", data, q=q, votes="metadata")
    assert [chart.genre for chart in found] == [None, "Action", "War"]
    for chart, column in zip(found, [None, 0, 2], strict=True):
        movies = known if column is None else known[genres[known.index, column] > 0]
        m = movies["v"].quantile(q)
        share = (movies["v"] / (movies["v"] + m)).fillna(0)  # 0 / 0
        scores = share * movies["mean"] + (1 - share) * movies["mean"].mean()
        best = scores[movies["v"] >= m].sort_values(ascending=False, kind="stable")
        assert chart.items.tolist() == best.index.tolist()
        np.testing.assert_allclose(chart.scores, best, rtol=1e-12)
        assert chart.votes.tolist() == movies["v"][best.index].tolist()
        assert chart.means.tolist() == movies["mean"][best.index].tolist()
    assert {3, 4}.isdisjoint(found[0].items.tolist())
    assert (5 in found[0].items) == (q == 0)


@pytest.mark.parametrize("votes", [None, Votes(np.zeros(50, np.int64), np.full(50, np.nan))])
def test_top_rated_by_metadata_needs_votes(votes: Votes | None) -> None:
    assert charts("top_rated", replace(sample(), item_votes=votes), votes="metadata") == []


def test_top_rated_reads_votes_only_where_it_counts_them() -> None:
    spec = MODELS["top_rated"]
    assert spec.needs(make_config(spec, {})) == frozenset()
    assert spec.needs(make_config(spec, {"votes": "metadata"})) == {"votes"}
    assert MODELS["trending"].needs(make_config(MODELS["trending"], {})) == {"times"}


# By the number of rows there are: those at hand, or the whole file.
TMDB = {
    5_000: (
        (6.069459999999999, 568.1000000000004, 500),
        [
            ("The Shawshank Redemption", 8.345309),
            ("The Godfather", 8.290539),
            ("Fight Club", 8.176327),
        ],
    ),
    45_466: (
        (5.618207215133889, 160.0, 4_555),
        [("The Shawshank Redemption", 8.445869), ("The Godfather", 8.425439)],
    ),
}


def test_top_rated_of_the_movies_dataset(the_movies_dataset: Path) -> None:
    columns = ["title", "vote_average", "vote_count"]
    table = pd.read_csv(
        the_movies_dataset / "movies_metadata.csv", usecols=columns, low_memory=False
    )
    (mean, least, qualified), leaders = TMDB[len(table)]
    counts, means = table["vote_count"].to_numpy(), table["vote_average"].to_numpy()
    known = ~np.isnan(means)
    result = weighted_rating(counts[known], means[known], 0.9)
    assert (result.C, result.m) == pytest.approx((mean, least), rel=1e-12)

    votes = Votes(np.nan_to_num(counts).astype(np.int64), means)
    data = Interactions(
        csr_matrix((1, len(table))), csr_matrix((len(table), 0)), (), item_votes=votes
    )
    (chart,) = charts("top_rated", data, votes="metadata")
    assert len(chart.items) == qualified
    best = zip(table["title"][chart.items].tolist(), chart.scores.tolist(), strict=True)
    assert [next(best) for _ in leaders] == [
        (title, pytest.approx(score, abs=5e-7)) for title, score in leaders
    ]

    # As the tutorial has it.
    films = table[table["vote_count"] >= least].copy()
    v, rating = films["vote_count"], films["vote_average"]
    films["score"] = v / (v + least) * rating + least / (least + v) * mean
    films = films.sort_values("score", ascending=False, kind="stable")
    assert chart.items.tolist() == films.index.tolist()
    np.testing.assert_allclose(chart.scores, films["score"], rtol=1e-12)


def test_most_rated_counts() -> None:
    data = sample()
    found = charts("most_rated", data)
    assert len(found[0].items) == 49
    for chart, part in zip(found, scopes(data).values(), strict=True):
        assert_chart(chart, part.groupby("item")["rating"].count().astype(float), data)


def test_trending_sums_decayed_ratings() -> None:
    data = sample()
    found = charts("trending", data, half_life_days=30)
    newest = float(np.nanmax(data.rated_at))
    for chart, part in zip(found, scopes(data).values(), strict=True):
        decayed = 0.5 ** ((newest - part["at"]) / (30 * DAY))
        sums = decayed.fillna(0).groupby(part["item"]).sum()
        assert_chart(chart, sums[sums > 0], data)


def test_trending_by_hand() -> None:
    now = 1.5e9
    ratings = csr_matrix(np.array([[4.0, 5, 1, 2], [3, 0, 0, 0]]))
    times = np.array([now - 90 * DAY, now, np.nan, now - 1e6 * DAY, now - 180 * DAY])
    data = Interactions(ratings, csr_matrix((4, 0)), (), times)
    (chart,) = charts("trending", data, half_life_days=90)
    # 2^(-1) + 2^(-2); the newest counts 1; unknown and underflown ones are absent.
    assert chart.items.tolist() == [1, 0]
    assert chart.scores.tolist() == [1.0, 0.75]
    assert chart.means.tolist() == [5.0, 3.5]


@pytest.mark.parametrize(("days", "half_life"), [(14, 14), (3, 7)])
def test_trending_halves_over_the_newest_ratings_or_a_week(days: int, half_life: int) -> None:
    ratings = csr_matrix(np.array([[4.0, 5, 1]]))
    times = 1.5e9 - np.array([days * DAY, 0, np.nan])
    (chart,) = charts("trending", Interactions(ratings, csr_matrix((3, 0)), (), times))
    assert chart.items.tolist() == [1, 0]
    assert chart.scores.tolist() == pytest.approx([1, 0.5 ** (days / half_life)])


def test_trending_counts_the_newest_5000_for_its_half_life() -> None:
    times = np.concatenate([[1e9 - 900 * DAY], 1e9 - np.arange(5000) * DAY / 100])
    ratings = csr_matrix(np.ones((5001, 1)))
    (chart,) = charts("trending", Interactions(ratings, csr_matrix((1, 0)), (), times))
    span = 49.99
    wanted = (0.5 ** ((1e9 - times) / DAY / span)).sum()
    assert chart.scores.tolist() == pytest.approx([wanted])


@pytest.mark.parametrize("times", [None, np.full(2, np.nan)])
def test_trending_needs_times(times: np.ndarray | None) -> None:
    data = Interactions(csr_matrix(np.array([[4.0, 5.0]])), csr_matrix((2, 0)), (), times)
    assert charts("trending", data) == []


def test_ties_go_by_index() -> None:
    data = Interactions(csr_matrix(np.full((3, 4), 4.0)), csr_matrix((4, 0)), ())
    assert charts("most_rated", data)[0].items.tolist() == [0, 1, 2, 3]
    assert charts("top_rated", data)[0].items.tolist() == [0, 1, 2, 3]
