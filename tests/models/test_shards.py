"""Models learn the same from shards of users as from all of them at once."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from cut_shards import CutShards
from scipy.sparse import csr_matrix

from recsys.domain import Charts, Ensemble, Factors, Fitted, Interactions, ItemVectors, Neighbours
from recsys.jobs.held_out import HeldOut, last_ratings, random_part
from recsys.jobs.training import fit_model, learned_of, training_steps
from recsys.models.base import tell_nobody
from recsys.models.knn.similarity import Similarity
from recsys.models.registry import MODELS, FitOptions, make_config
from recsys.models.shards import OneShard
from recsys.numerics.exact import exact_sums, factor_bits, on_grid, step_of, total

OPTIONS = FitOptions(k=7, threads=1, block_rows=5)
# Its parts do not all scale.
SCALING = [name for name, s in MODELS.items() if s.learn is not None and name != "collective_blend"]
EXACT_TO = {"svd": 1e-9, "mf": 1e-6}


def interactions(users: int, items: int, seed: int, step: float = 0.5) -> Interactions:
    random = np.random.default_rng(seed)
    known = random.random((users, items)) < np.linspace(0.8, 0.1, items)
    known[5] = False
    stars = np.round(random.uniform(0.5, 5, (users, items)) / step) * step
    ratings = csr_matrix(stars * known)
    # Many of one time, and some minutes apart: ties and sessions.
    times = 1e9 + np.floor(random.exponential(20, ratings.nnz)) * 170 + 1
    times[random.random(ratings.nnz) < 0.02] = np.nan
    genres = csr_matrix((random.random((items, 3)) < 0.4).astype(float))
    return Interactions(
        ratings,
        genres,
        ("a", "b", "c"),
        times,
        item_years=random.integers(1950, 2020, items).astype(np.int32),
        item_texts=tuple(f"film {n} of {n % 5}" for n in range(items)),
        rating_range=(0.5, 5.0),
    )


def learned(shards: Any, names: list[str]) -> dict[str, tuple[Fitted, Any]]:
    specs = [spec for name, spec in MODELS.items() if name in names]
    configs = {spec.name: make_config(spec, {}) for spec in specs}
    found = {}
    for step in training_steps(specs, configs, shards, OPTIONS):
        model = step.fit()
        metrics = step.learned(model).metrics
        found[step.spec.name] = model.fitted, (step.config, metrics)
    return found


def arrays(fitted: Fitted) -> list[np.ndarray]:
    if isinstance(fitted, Neighbours):
        base = [] if fitted.baselines is None else [fitted.baselines.items]
        return [fitted.indptr, fitted.indices, fitted.scores, *base]
    if isinstance(fitted, Factors):
        biases = [each for each in (fitted.user_bias, fitted.item_bias) if each is not None]
        return [fitted.users, fitted.items, *biases]
    if isinstance(fitted, Charts):
        return [each for c in fitted.charts for each in (c.items, c.scores, c.votes, c.means)]
    if isinstance(fitted, ItemVectors):
        return [part.toarray() for part in fitted.parts]
    assert isinstance(fitted, Ensemble)
    return [np.array(fitted.weights)]


def test_the_models_that_scale() -> None:
    others = {"user_knn", "bayes_fm", "bpr", "collective_als", "collective_blend"}
    networks = {"neural_dot", "youtube_dnn", "sasrec"}
    assert set(MODELS) - set(SCALING) == others | networks


@pytest.mark.parametrize(("users", "items"), [(90, 25), (9, 40)])
def test_models_learn_the_same_from_shards(users: int, items: int) -> None:
    """With many users by a Gram matrix, with few by their rows."""
    data = interactions(users, items, 1)
    whole = learned(data, SCALING)
    cut = learned(CutShards.of(data, users // 3, users // 2), SCALING)
    assert list(cut) == SCALING
    for name, (fitted, told) in whole.items():
        other, also_told = cut[name]
        rounding = EXACT_TO.get(name, 0.0)
        if name == "collective_ease" and users < items:
            rounding = 1e-5  # the rows come in another order
        for one, two in zip(arrays(fitted), arrays(other), strict=True):
            if rounding:
                np.testing.assert_allclose(one, two, rtol=rounding, atol=rounding, err_msg=name)
            else:
                np.testing.assert_array_equal(one, two, err_msg=name)
        assert repr(told[0]) == repr(also_told[0])
        values = [[metric.value for metric in each[1]] for each in (told, also_told)]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("similarity", get_args(Similarity))
def test_item_knn_learns_the_same_from_shards(similarity: str) -> None:
    data = interactions(60, 20, 2, step=0.1)
    spec = MODELS["item_knn"]
    config = make_config(spec, {"similarity": similarity, "max_ratings": 12})
    one, two = (
        arrays(fit_model(spec, config, each, OPTIONS).fitted)
        for each in (data, CutShards.of(data, 7, 30))
    )
    exact = similarity in ("cosine", "pearson", "jaccard")
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=0 if exact else 1e-12)


@pytest.mark.parametrize("rule", [lambda s: random_part(s, 0.2, 3), lambda s: last_ratings(s, 3)])
def test_the_same_ratings_are_held_out_of_shards(rule: Any) -> None:
    data = interactions(40, 20, 4)
    spec = MODELS["ease"]
    found = []
    for shards in (OneShard(data), CutShards.of(data, 13, 14, 29)):
        held = HeldOut(shards, rule(shards))
        model = fit_model(spec, make_config(spec, {}), held.train, OPTIONS)
        users = np.flatnonzero(held.counts)[::2]
        figures = held.figures(model, users, (10, 5), OPTIONS, (0.5, 5.0))
        found.append((held.counts, figures.users, *figures.values.values()))
        assert learned_of(model, spec, make_config(spec, {}), held.train, OPTIONS).metrics == ()
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_sums_are_exact_in_any_order() -> None:
    random = np.random.default_rng(5)
    places, values = random.integers(0, 3, 5000), random.exponential(size=5000)
    orders = [np.arange(5000), random.permutation(5000), np.argsort(values)]
    parts = [
        sum(exact_sums(places[half], values[half], 3, 16.0) for half in np.array_split(order, 7))
        for order in orders
    ]
    np.testing.assert_array_equal(parts[0], parts[1])
    np.testing.assert_array_equal(parts[0], parts[2])
    expected = [sum(sorted(values[places == place])) for place in range(3)]
    np.testing.assert_allclose(total(parts[0]), expected, rtol=1e-14)


@pytest.mark.parametrize("users", [1, 610, 480_189, 10**8])
def test_products_of_all_users_fit_into_a_sum(users: int) -> None:
    bits = factor_bits(users)
    assert 2 * bits + np.log2(users) <= 53
    assert bits >= 13
    largest = float(on_grid(np.array([1.19]), 1.2, bits)[0])
    assert abs(largest - 1.19) <= 2.0**-bits


@pytest.mark.parametrize(
    ("values", "step"),
    [([1, 2, 5], 1.0), ([0.5, 3], 0.5), ([3.7, 10], 0.1), ([0.25, 1], 0.25), ([np.pi, 1], None)],
)
def test_the_step_of_ratings(values: list[float], step: float | None) -> None:
    assert step_of(np.array(values, float)) == step


def test_a_shard_without_ratings_changes_nothing() -> None:
    data = interactions(30, 10, 6)
    empty = replace(data, user_items=csr_matrix((30, 10)), rated_at=np.zeros(0))
    for name in ("most_rated", "ease", "slist", "item_knn", "als", "mf", "svd", "trending"):
        spec = MODELS[name]
        for each in (CutShards.of(data, 5, 5, 6), CutShards.of(empty, 10)):
            fit_model(spec, make_config(spec, {}), each, OPTIONS)


def test_options_are_pickled_without_their_listener() -> None:
    """Executors do not get the progress bar of a command."""
    told = FitOptions(k=7, seed=3, memory_mb=99, threads=2, block_rows=5, told=lambda *_: None)
    sent = pickle.loads(pickle.dumps(told))
    assert sent == told
    assert sent.told is tell_nobody
