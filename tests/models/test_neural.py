"""Networks: what is held out, and that they learn what the data says. Most tests train."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Epoch, Interactions, NetworkFactors, StoredNetwork, TrainedItems, UserRows
from recsys.errors import ConfigError, RunError
from recsys.models.base import FitOptions
from recsys.models.neural.training import held_out
from recsys.models.registry import MODELS, make_config

OPTIONS = FitOptions()
NETWORKS = ("neural_dot", "youtube_dnn", "sasrec")
SMALL = {
    "youtube_dnn": {
        **{"factors": 16, "embedding": 16, "hidden": (32,), "history": 16, "dropout": 0.2},
        **{"batch_size": 30, "epochs": 80, "learning_rate": 0.02, "patience": 80},
    },
    "sasrec": {
        **{"factors": 16, "window": 6, "blocks": 1, "dropout": 0.1, "batch_size": 20},
        **{"epochs": 40, "learning_rate": 0.01, "patience": 40, "orders": 1},
    },
}


def halves() -> Interactions:
    """Return 60 users who like movies of one half and dislike one of the other."""
    random = np.random.default_rng(1)
    ratings = np.zeros((60, 20))
    for user in range(60):
        own = 10 * (user % 2)
        ratings[user, own + random.choice(10, 6, replace=False)] = 5
        ratings[user, 10 - own + random.integers(10)] = 1
    return with_times(csr_matrix(ratings))


def circle() -> Interactions:
    """Return users who watch the movie after the last one, round and round, from any start."""
    ratings, times = np.zeros((48, 16)), np.zeros((48, 16))
    for user in range(48):
        for step in range(10):
            ratings[user, (user + step) % 16] = 4
            times[user, (user + step) % 16] = 1 + step
    return with_times(csr_matrix(ratings), csr_matrix(times).data)


def forks() -> Interactions:
    """Return users who go on with movie 10 from what they liked, with movie 11 from the others.

    The last 20 have not gone on.
    """
    ratings, times = np.zeros((60, 12)), np.zeros((60, 12))
    for user in range(60):
        rated, star = user // 2 % 10, (1, 5)[user % 2]
        ratings[user, rated], times[user, rated] = star, 1
        if user < 40:
            ratings[user, 11 - user % 2], times[user, 11 - user % 2] = 3, 2
    return with_times(csr_matrix(ratings), csr_matrix(times).data)


def with_times(ratings: csr_matrix, times: Any = None) -> Interactions:
    rated_at = np.arange(1.0, ratings.nnz + 1) if times is None else times
    none = csr_matrix((ratings.shape[1], 0))
    return Interactions(ratings, none, (), rated_at, rating_range=(1.0, 5.0))


def fit(name: str, data: Interactions, **parameters: Any) -> NetworkFactors:
    spec = MODELS[name]
    config = make_config(spec, {**SMALL.get(name, {}), **parameters})
    fitted = spec.fit(data, config, OPTIONS)
    assert isinstance(fitted, NetworkFactors)
    return fitted


def first_of(fitted: NetworkFactors, data: Interactions) -> np.ndarray:
    lists = MODELS["sasrec"].rank(fitted, UserRows.all(data.user_items, data.rated_at), 1, OPTIONS)
    assert (np.diff(lists.indptr) == 1).all()
    return lists.indices


# --- without a network ----------------------------------------------------------------------------


def test_the_newest_ratings_of_some_users_are_held_out() -> None:
    ratings = csr_matrix(np.array([[1, 2, 3, 4, 5], [0, 3, 0, 0, 0], [4, 0, 0, 5, 0]], float))
    times = np.array([50.0, 10, 40, 30, 20, 7, 9, 8])
    marks = held_out(ratings, times, 0.4, 10, seed=1)
    assert marks.tolist() == [True, False, True, False, False, False, True, False]
    of_one = held_out(ratings, times, 0.0, 1, seed=1)
    assert of_one.sum() == 1
    assert not held_out(ratings, times, 0.4, 0, seed=1).any()
    # Without times they are drawn, as many of each user.
    drawn = held_out(ratings, None, 0.4, 10, seed=1)
    assert [drawn[:5].sum(), drawn[5], drawn[6:].sum()] == [2, False, 1]


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_to_learn_from_needs_no_network(name: str) -> None:
    found = fit(name, with_times(csr_matrix((3, 4))))
    assert (found.users.shape[0], found.items.shape[0], found.network) == (3, 4, b"")
    assert not found.users.any()
    assert not found.items.any()


def test_heads_share_the_factors() -> None:
    with pytest.raises(ConfigError, match="factors = 10 cannot be divided among 4 heads"):
        make_config(MODELS["sasrec"], {"factors": 10, "heads": 4})


def test_what_the_side_information_reads() -> None:
    spec = MODELS["youtube_dnn"]
    asked = make_config(spec, {"side": ("texts", "attributes")})
    assert spec.needs(asked) == {"times", "texts", "attributes"}
    assert spec.needs(make_config(spec, {"side": ()})) == {"times"}


# --- with one -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [{}, {"full_softmax": 0, "negatives": 8}], ids=str)
def test_youtube_dnn_tells_halves_apart(parameters: dict[str, Any]) -> None:
    data = halves()
    first = first_of(fit("youtube_dnn", data, **parameters), data)
    assert (first // 10 == np.arange(60) % 2).mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [{}, {"full_softmax": 0, "negatives": 8}, {"precision": "mixed"}, {"validation_users": 0}],
    ids=str,
)
def test_sasrec_learns_what_follows(parameters: dict[str, Any]) -> None:
    data = circle()
    first = first_of(fit("sasrec", data, **parameters), data)
    assert (first == (np.arange(48) + 10) % 16).mean() > 0.95


@pytest.mark.slow
def test_sasrec_knows_whether_a_movie_was_liked() -> None:
    data = forks()
    first = first_of(fit("sasrec", data, validation_users=0), data)
    assert first[40:].tolist() == [11, 10] * 10


@pytest.mark.slow
def test_neural_dot_predicts_better_than_biases() -> None:
    random = np.random.default_rng(2)
    users, items = random.normal(size=(80, 3)), random.normal(size=(60, 3))
    rated = random.random((80, 60)) < 0.5
    ratings = np.clip(3 + users @ items.T, 0.5, 5) * rated
    data = with_times(csr_matrix(ratings))
    fitted = fit("neural_dot", data, factors=8, regularization=0.2, batch_size=256)
    assert fitted.user_bias is not None
    assert fitted.item_bias is not None
    biases = fitted.user_bias[:, None] + fitted.item_bias
    predicted = biases + fitted.users @ fitted.items.T
    truth = np.clip(3 + users @ items.T, 0.5, 5)
    error, plain = ((np.abs(each - truth)[~rated]).mean() for each in (predicted, biases))
    assert error < 0.6 * plain
    assert fitted.epochs[-1].validation is not None
    assert fitted.metric == "rmse"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["youtube_dnn", "sasrec"])
def test_users_are_folded_in_by_the_stored_network(name: str) -> None:
    data = {"youtube_dnn": halves, "sasrec": circle}[name]()
    fitted = fit(name, data, epochs=2)
    users, items = data.user_items.shape
    spec, config = MODELS[name], make_config(MODELS[name], {**SMALL[name], "epochs": 2})

    def folded(rows: UserRows, places: np.ndarray) -> Any:
        assert spec.fold_in is not None
        stored = StoredNetwork(fitted.network, places, np.arange(users))
        none = np.zeros((len(places), config.factors), np.float32)
        trained = TrainedItems(none, np.zeros(len(places)), 3.0, 1.0, (1.0, 5.0), network=stored)
        return spec.fold_in(trained, rows, config, OPTIONS)

    rows = UserRows.all(data.user_items, data.rated_at)
    found = folded(rows, np.arange(items))
    np.testing.assert_allclose(found.users, fitted.users, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.items, fitted.items)
    alone = folded(rows.block(5, 6), np.arange(items))
    np.testing.assert_allclose(alone.users[0], found.users[5], rtol=1e-4, atol=1e-5)
    # A movie that the network does not know changes nothing and has no vector.
    wider = csr_matrix((users, items + 1))
    padded = csr_matrix(
        (rows.ratings.data, rows.ratings.indices + 1, rows.ratings.indptr), shape=wider.shape
    )
    moved = folded(UserRows(rows.positions, padded, rows.rated_at), np.arange(-1, items))
    np.testing.assert_allclose(moved.users, found.users, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(moved.items, np.vstack([np.zeros((1, 16)), found.items]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_warm_start_goes_on_where_the_network_was(name: str) -> None:
    data = circle() if name == "sasrec" else halves()
    small = {"epochs": 12, "patience": 12}
    cold = fit(name, data, **small)
    users, items = data.user_items.shape
    stored = StoredNetwork(cold.network, np.arange(items), np.arange(users))
    warm = fit(name, replace(data, previous={name: stored}), **{**small, "patience": 1})
    assert warm.epochs[0].loss < cold.epochs[0].loss
    # What was held out the first time is known to networks that were then trained on everything.
    assert (warm.epochs[0].validation is None) == (name != "sasrec")
    assert name == "sasrec" or len(warm.epochs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("warm", [False, True])
def test_the_network_that_is_kept_has_seen_all_ratings(
    warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys.models.neural.networks import training
    from recsys.models.neural.training import TrainingParams

    seen: list[tuple[Any, ...]] = []

    def train(network: Any, batches: Any, params: Any, told: Any, **asked: Any) -> Any:
        seen.append((network, batches.tolist(), asked.get("epochs")))
        figures = [0.1, 0.3, 0.2] if "validation" in asked else [None]
        return tuple(Epoch(1.0, figure, 0.0) for figure in figures)

    monkeypatch.setattr(training, "train", train)
    names, held = iter(["first", "second"]), np.array([False, True, False])
    network, epochs = training.train_on_all(
        lambda: next(names), lambda marks: marks, held,
        lambda trial: training.Validation("ndcg@10", lambda: 0.0),
        TrainingParams(patience=7), OPTIONS.told, warm=warm,
    )  # fmt: skip
    every = [True, True, True]
    if warm:
        assert (network, len(epochs)) == ("first", 1)
        assert seen == [("first", every, 7)]
    else:
        assert (network, len(epochs)) == ("second", 3)
        assert seen == [("first", [True, False, True], None), ("second", every, 2)]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_fails_the_fit() -> None:
    ratings = csr_matrix(np.random.default_rng(1).random((30, 4)) * 1e30)
    with pytest.raises(RunError, match="the loss of epoch 1 is not finite"):
        fit("neural_dot", with_times(ratings))


@pytest.mark.slow
def test_the_sum_in_one_pass_has_the_gradients_of_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import jax
    import jax.numpy as jnp

    from recsys.models.neural.networks import softmax

    monkeypatch.setattr(softmax, "_SCORES_AT_ONCE", 300)  # six rows at a time
    random = np.random.default_rng(0)
    rows, vectors = (jnp.array(random.normal(size=(n, 5)), jnp.float32) for n in (37, 50))
    weights = jnp.array(random.random(37), jnp.float32)

    def plain(rows: Any, vectors: Any) -> Any:
        return 2 * (weights * jax.nn.logsumexp(rows @ vectors.T, axis=1)).sum()

    def fused(rows: Any, vectors: Any) -> Any:
        return 2 * softmax.sum_of_logsumexp(rows, vectors, weights)

    assert float(fused(rows, vectors)) == pytest.approx(float(plain(rows, vectors)), rel=1e-5)
    for one, other in zip(
        jax.grad(fused, (0, 1))(rows, vectors), jax.grad(plain, (0, 1))(rows, vectors), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_every_rating_but_the_first_follows_the_one_before_it_once() -> None:
    from recsys.models.neural.networks.attention import _batches

    ratings = np.zeros((3, 40))
    times = np.zeros((3, 40))
    for user, count in enumerate((23, 4, 1)):
        order = np.random.default_rng(user).permutation(40)[:count]
        ratings[user, order], times[user, order] = 4, np.arange(1, count + 1)
    ratings[0] = np.where(ratings[0] > 0, np.arange(40) % 5 + 1, 0)
    data = csr_matrix(ratings)
    expected = []
    for user in range(3):
        rated = [item for item in np.argsort(times[user]) if ratings[user, item]]
        grades = [1 if star < 3 else 3 if star > 3 else 2 for star in ratings[user, rated]]
        expected += [(*pair, grade) for pair, grade in zip(pairwise(rated), grades, strict=False)]
    config = make_config(MODELS["sasrec"], {**SMALL["sasrec"], "batch_size": 1})
    batches = _batches(data, csr_matrix(times).data, (1.0, 5.0), config, 1)
    found = []
    for number in range(len(batches)):
        [inputs] = batches[number]
        inside = inputs["next"] > 0
        assert (inside == (inputs["window"] > 0)).all()
        assert (inside == (inputs["grades"] > 0)).all()
        before, following = inputs["window"][inside] - 1, inputs["next"][inside] - 1
        found += list(zip(before, following, inputs["grades"][inside], strict=True))
    assert sorted(found) == sorted(expected)


@pytest.mark.slow
def test_the_sampled_softmax_is_the_whole_one_if_all_are_drawn() -> None:
    from recsys.models.neural.networks.candidates import _built

    config = make_config(MODELS["youtube_dnn"], SMALL["youtube_dnn"])
    network = _built(np.zeros((9, 0), np.float32), 0, config, 1)
    scores = np.random.default_rng(1).normal(size=(4, 9)).astype(np.float32)
    own = scores[:, [2, 5]]
    ones = np.ones(9, np.float32)
    found = network._sampled(own, scores, ones, np.ones((4, 2), np.float32))
    plain = np.log(np.exp(scores).sum(axis=1, keepdims=True)) - own
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5)
    # What is wanted and not drawn counts once.
    rest = [0, 1, 3, 4, 6, 7, 8]
    found = network._sampled(own[:, :1], scores[:, [*rest, 5]], ones[:8], np.zeros((4, 1)))
    np.testing.assert_allclose(found, plain[:, :1], rtol=1e-5, atol=1e-5)
