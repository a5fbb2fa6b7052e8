"""The contract that every model of the registry fulfils."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import (
    ComputeLimits,
    FittedModel,
    Interactions,
    RankedLists,
    TopN,
    UserRows,
    Votes,
)
from recsys.jobs.training import ModelResults, fit_model, results_of
from recsys.models.registry import MODELS, FitOptions, ModelSpec, make_config
from recsys.numerics.topk import truncate

GENRES = ("Comedy", "Drama", "War")
WORDS = ("boat", "captain", "desert", "engine", "forest", "ghost", "harbour", "island", "the", "of")
# The defaults are for real data; here every weight is to count.
PARAMS = {
    "ease": {"regularization": 2.0, "min_raters": 0.0},
    "als": {"factors": 4, "regularization": 0.1},
    "bpr": {"factors": 4},
    "collective_ease": {"regularization": 2.0, "min_raters": 0.0},
    "collective_als": {"factors": 4, "regularization": 0.1},
    "mf": {"factors": 4, "regularization": 0.1},
    "bayes_fm": {"rank": 2, "chains": 2, "iterations": 12, "burn_in": 4, "stored_factors": 6},
    "item_knn": {"min_support": 1},
    "slist": {"regularization": 2.0},
    "slist_newest": {"regularization": 2.0},
    "neural_dot": {"factors": 4, "epochs": 3, "batch_size": 32},
    "youtube_dnn": {
        **{"factors": 4, "embedding": 4, "hidden": (6,), "history": 8, "epochs": 3},
        **{"batch_size": 16, "side": ("genres", "years", "texts", "attributes")},
    },
    "sasrec": {"factors": 4, "window": 4, "blocks": 1, "epochs": 3, "batch_size": 16},
}
# These recommend unrated movies.
BY_CONTENT = ("content_genres", "content_text", "content")
# These are made of other models' lists, charts among them, and have something for everybody.
HYBRIDS = ("hybrid_switching", "hybrid_mixed")
# Their lists of similar movies have a length of their own.
BY_WEIGHTS = ("ease", "collective_ease", "slist", "slist_newest")
# Dense products round differently for blocks of another size: only these scores may differ at all.
BY_PRODUCTS = (
    *("svd", "mf", "bayes_fm", "als", "bpr", "collective_als"),
    *("blend", "collective_blend", "timely", "hybrid_mixed"),
    *("neural_dot", "youtube_dnn", "sasrec"),
)


def interactions(user_items: csr_matrix, seed: int = 0) -> Interactions:
    random = np.random.default_rng(seed)
    users, items = user_items.shape
    genres = csr_matrix((random.random((items, len(GENRES))) < 0.5).astype(np.float64))
    attributes = csr_matrix((random.random((users, 4)) < 0.5).astype(np.float64))
    years = np.where(random.random(items) < 0.1, 0, random.integers(1930, 2020, items))
    means = np.where(random.random(items) < 0.1, np.nan, random.uniform(1, 10, items))
    return Interactions(
        user_items,
        genres,
        GENRES,
        random.uniform(1e9, 1.1e9, user_items.nnz),
        item_years=years.astype(np.int32),
        item_texts=tuple(" ".join(random.choice(WORDS, size)) for size in range(items)),
        item_votes=Votes(random.integers(0, 99, items), means),
        user_attributes=attributes,
        rating_range=(0.5, 5.0),
    )


def random_ratings(users: int, items: int, seed: int, density: float = 0.3) -> csr_matrix:
    random = np.random.default_rng(seed)
    rated = random.random((users, items)) < density
    return csr_matrix(rated * random.integers(1, 11, (users, items)) / 2)


def edge_cases() -> dict[str, csr_matrix]:
    ordinary = random_ratings(30, 17, 1).toarray()
    silent, unrated, constant, twins = (ordinary.copy() for _ in range(4))
    silent[[0, 7, 29]] = 0
    unrated[:, [0, 5, 16]] = 0
    constant[3] = 4.0
    twins[:, 9] = twins[:, 2]
    twins[:, 16] = twins[:, 2]
    single = np.zeros((4, 5))
    single[2, 3] = 3.5
    cases = {
        "ordinary": ordinary,
        "user without ratings": silent,
        "movie without ratings": unrated,
        "single rating": single,
        "constant rater of everything": constant,
        "duplicate columns": twins,
        "all the same": np.full((6, 8), 3.0),
        "ties": np.kron(np.eye(3), np.full((2, 4), 5.0)),
        "no ratings": np.zeros((3, 4)),
        "no users": np.zeros((0, 4)),
        "no items": np.zeros((3, 0)),
        "nothing": np.zeros((0, 0)),
        "one user": ordinary[:1],
        "one item": ordinary[:, :1],
        "few users": random_ratings(5, 40, 2).toarray(),
    }
    return {name: csr_matrix(dense) for name, dense in cases.items()}


CASES = edge_cases()


def fitted(spec: ModelSpec, data: Interactions, options: FitOptions) -> FittedModel:
    """Fit a model, and before it the models it is composed of."""
    config = config_of(spec)
    parts = {name: fitted(MODELS[name], data, options) for name in spec.parts(config)}
    return fit_model(spec, config, data, options, parts)


def config_of(spec: ModelSpec) -> object:
    return make_config(spec, PARAMS.get(spec.name, {}))


def fit(spec: ModelSpec, data: Interactions, n: int = 100, **settings: int) -> ModelResults:
    options = FitOptions(**settings)
    model = fitted(spec, data, options)
    return results_of(model, spec, config_of(spec), data, options, n)


def check_lists(lists: RankedLists, rows: int, columns: int, length: int) -> None:
    assert (lists.indptr.dtype, lists.indices.dtype, lists.scores.dtype) == (
        np.int64,
        np.int32,
        np.float64,
    )
    assert lists.rows == rows
    assert lists.indptr[0] == 0
    assert lists.indptr[-1] == len(lists.indices) == len(lists.scores)
    assert np.isfinite(lists.scores).all()
    for start, stop in zip(lists.indptr, lists.indptr[1:], strict=False):
        indices, scores = lists.indices[start:stop], lists.scores[start:stop]
        assert len(indices) <= length
        assert len(set(indices.tolist())) == len(indices)
        assert all(0 <= index < columns for index in indices)
        for own in of_each_source(lists, slice(start, stop)):
            order = np.lexsort((indices[own], -scores[own]))
            assert np.array_equal(order, np.arange(len(order)))


def of_each_source(lists: RankedLists, row: slice) -> list[np.ndarray]:
    """Return which entries of a row came from each model: scores of one descend."""
    if not isinstance(lists, TopN) or lists.sources is None:
        return [np.ones(row.stop - row.start, bool)]
    assert lists.sources.dtype == np.int16
    assert len(lists.sources) == len(lists)
    sources = lists.sources[row]
    return [sources == source for source in np.unique(sources)]


def as_dense(lists: RankedLists, columns: int) -> np.ndarray:
    dense = np.zeros((lists.rows, columns), bool)
    dense[np.repeat(np.arange(lists.rows), np.diff(lists.indptr)), lists.indices] = True
    return dense


def marked(spec: ModelSpec) -> Any:
    """Mark the models that are compiled for seconds before each fit."""
    marks = [pytest.mark.slow] if spec.family == "neural" else []
    return pytest.param(spec, id=spec.name, marks=marks)


@pytest.fixture(params=list(map(marked, MODELS.values())))
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    return request.param


@pytest.fixture(params=list(CASES), ids=list(CASES))
def data(request: pytest.FixtureRequest) -> Interactions:
    return interactions(CASES[request.param])


def test_output_is_well_formed(spec: ModelSpec, data: Interactions) -> None:
    users, items = data.user_items.shape
    output = fit(spec, data, k=6, n=7)
    rated = data.user_items.toarray() != 0
    if output.neighbours is not None:
        length = 500 if spec.name in BY_WEIGHTS else 6
        check_lists(output.neighbours, items, items, length)
        assert not as_dense(output.neighbours, items).diagonal().any()
    if output.user_neighbours is not None:
        check_lists(output.user_neighbours, users, users, 6)
        assert not as_dense(output.user_neighbours, users).diagonal().any()
        assert np.array_equal(np.isfinite(output.user_neighbours.means), rated.any(axis=1))
    if output.recommendations is not None:
        check_lists(output.recommendations, users, items, 7)
        recommended = as_dense(output.recommendations, items)
        assert not (recommended & rated).any()
        if spec.name not in HYBRIDS:
            assert not recommended[~rated.any(axis=1)].any()
        if spec.name not in BY_CONTENT + HYBRIDS:
            assert not recommended[:, ~rated.any(axis=0)].any()
    if output.factors is not None:
        assert output.factors.users.shape[0] == users
        assert output.factors.items.shape[0] == items
        assert np.isfinite(output.factors.users).all()
        assert not output.factors.users[~rated.any(axis=1)].any()
        assert not output.factors.items[~rated.any(axis=0)].any()


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.kind == "chart"])
def test_charts_are_well_formed(name: str, data: Interactions) -> None:
    charts = fit(MODELS[name], data).charts
    everything = name == "random"
    listed = data.user_items.shape[1] if everything else data.user_items.nnz
    if listed == 0:
        assert charts == ()
        return
    counts = np.diff(data.user_items.tocsc().indptr)
    assert charts[0].genre is None
    assert [chart.genre for chart in charts[1:]] == sorted(c.genre for c in charts[1:])
    for chart in charts:
        assert len(chart.items) > 0
        assert np.isfinite(chart.scores).all()
        assert np.array_equal(np.isfinite(chart.means), chart.votes > 0)
        assert np.array_equal(chart.votes, counts[chart.items])
        assert everything or (chart.votes > 0).all()
        order = np.lexsort((chart.items, -chart.scores))
        assert np.array_equal(order, np.arange(len(chart.items)))


def test_yields_what_its_kind_says(spec: ModelSpec) -> None:
    output = fit(spec, interactions(CASES["ordinary"]))
    assert bool(output.charts) == (spec.kind == "chart")
    similar = spec.kind != "chart" and spec.name not in (
        *HYBRIDS,
        "blend",
        "collective_blend",
        "timely",
        "next",
    )
    near = output.user_neighbours if spec.name == "user_knn" else output.neighbours
    assert (near is not None and len(near) > 0) == similar
    assert (output.recommendations is not None) == (spec.kind == "personal")


def flat(output: ModelResults) -> list[np.ndarray]:
    arrays = []
    for lists in output.lists:
        arrays += arrays_of(lists)
    if output.factors is not None:
        arrays += [output.factors.users, output.factors.items]
    for chart in output.charts:
        arrays += [chart.items, chart.scores, chart.votes, chart.means]
    return arrays


def arrays_of(lists: RankedLists) -> list[np.ndarray]:
    """Return the arrays of lists, the models that entries came from included."""
    arrays = [lists.indptr, lists.indices, lists.scores]
    sources = lists.sources if isinstance(lists, TopN) else None
    return arrays if sources is None else [*arrays, sources]


def test_same_input_gives_the_same_output(spec: ModelSpec) -> None:
    data = interactions(random_ratings(80, 60, 3))
    once, again = flat(fit(spec, data)), flat(fit(spec, data))
    assert len(once) == len(again) > 0
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_blocks_and_threads_do_not_matter(spec: ModelSpec) -> None:
    data = interactions(random_ratings(80, 60, 4))
    whole = flat(fit(spec, data, k=5, n=5, threads=1))
    blocks = flat(fit(spec, data, k=5, n=5, threads=2, block_rows=7))
    for a, b in zip(whole, blocks, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_arguments_stay_as_they_are(spec: ModelSpec) -> None:
    data = interactions(random_ratings(20, 15, 5))
    for part in (data.user_items, data.item_genres):
        for array in (part.data, part.indices, part.indptr):
            array.flags.writeable = False
    assert data.rated_at is not None
    data.rated_at.flags.writeable = False
    assert flat(fit(spec, data))


def test_names_and_words(spec: ModelSpec) -> None:
    assert MODELS[spec.name] is spec
    assert spec.kind in ("chart", "similarity", "personal")
    assert 0 < len(spec.description) < 100
    assert 0 < len(spec.score_meaning) < 100


def test_order_of_the_registry() -> None:
    assert list(MODELS) == [
        "top_rated",
        "most_rated",
        "popular",
        "trending",
        "exploratory",
        "random",
        "pearson_average",
        "item_knn",
        "user_knn",
        "content_genres",
        "content_text",
        "content",
        "svd",
        "mf",
        "bayes_fm",
        "ease",
        "als",
        "bpr",
        "collective_ease",
        "collective_als",
        "slist",
        "slist_newest",
        "neural_dot",
        "youtube_dnn",
        "sasrec",
        "blend",
        "collective_blend",
        "timely",
        "next",
        "hybrid_switching",
        "hybrid_mixed",
    ]


# --- rank -----------------------------------------------------------------------------------------


def choices() -> list[list[np.ndarray]]:
    """Return ways to cut 60 users into blocks; in the last, users come in any order and twice."""
    mixed = np.random.default_rng(1).permutation(np.repeat(np.arange(60), 2))
    blocks = [np.split(np.arange(60), bounds) for bounds in (range(1, 60), [7, 7, 40])]
    return [*blocks, np.split(mixed, 5)]


@pytest.mark.parametrize("blocks", choices(), ids=["one by one", "uneven", "any order"])
def test_lists_do_not_depend_on_the_other_users(spec: ModelSpec, blocks: list[np.ndarray]) -> None:
    ratings = random_ratings(60, 45, 6).toarray()
    ratings[[3, 59]] = 0
    data = interactions(csr_matrix(ratings))
    model = fitted(spec, data, FitOptions(k=5))
    whole = model.rank(UserRows.all(data.user_items, data.rated_at), 6)
    assert whole.rows == 60
    assert len(whole) > 0
    for users in blocks:
        lists = model.rank(UserRows.some(data, users), 6)
        assert lists.rows == len(users)
        assert lists.source_names == whole.source_names
        same(arrays_of(lists), arrays_of(rows_of(whole, users)), spec)


@pytest.mark.parametrize("block_rows", [1, 7, 1000])
def test_lists_do_not_depend_on_the_blocks_of_the_work(spec: ModelSpec, block_rows: int) -> None:
    data = interactions(random_ratings(60, 45, 6))
    model, users = fitted(spec, data, FitOptions(k=5)), UserRows.all(data.user_items, data.rated_at)
    whole = model.rank(users, 6, ComputeLimits(threads=1))
    lists = model.rank(users, 6, ComputeLimits(threads=3, block_rows=block_rows))
    same(arrays_of(lists), arrays_of(whole), spec)


def test_shorter_lists_begin_as_longer_ones(spec: ModelSpec) -> None:
    data = interactions(random_ratings(60, 45, 7))
    model, users = fitted(spec, data, FitOptions(k=5)), UserRows.all(data.user_items, data.rated_at)
    long, short = truncate(model.rank(users, 20), 4), model.rank(users, 4)
    assert len(short) > 0
    for one, other in zip(arrays_of(long), arrays_of(short), strict=False):
        assert np.array_equal(one, other)


def test_no_users_have_no_lists(spec: ModelSpec) -> None:
    data = interactions(random_ratings(20, 15, 8))
    model = fitted(spec, data, FitOptions())
    lists = model.rank(UserRows.all(data.user_items, data.rated_at).block(4, 4), 5)
    assert (lists.rows, len(lists)) == (0, 0)


def rows_of(lists: TopN, rows: np.ndarray) -> TopN:
    """Return the lists of some rows."""
    own = [np.arange(lists.indptr[r], lists.indptr[r + 1]) for r in rows]
    entries = np.concatenate([np.zeros(0, np.int64), *own])
    indptr = np.concatenate(([0], np.cumsum([len(each) for each in own], dtype=np.int64)))
    sources = None if lists.sources is None else lists.sources[entries]
    return TopN(indptr, lists.indices[entries], lists.scores[entries], sources, lists.source_names)


def same(found: list[np.ndarray], expected: list[np.ndarray], spec: ModelSpec) -> None:
    for one, other in zip(found, expected, strict=True):
        if spec.name in BY_PRODUCTS and one.dtype == np.float64:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        else:
            assert np.array_equal(one, other)
