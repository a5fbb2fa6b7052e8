"""Embeddings of users and movies whose product predicts a rating."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Epoch, Float32, Interactions, NetworkFactors, StoredNetwork
from recsys.models.base import FitOptions
from recsys.models.neural.networks import keras, layers, ops
from recsys.models.neural.networks.saved import dump, load, taken_over
from recsys.models.neural.networks.training import (
    Batches,
    Marks,
    Validation,
    computing,
    shuffled,
    train_on_all,
)
from recsys.models.neural.neural_dot import NeuralDotConfig
from recsys.numerics.sparse import has_ratings, row_of_entries

_MEASURED_AT_ONCE = 1 << 16


class DotProduct(keras.Model):
    """Predict ratings, less their mean, from pairs (user, item): positions, batch x 2."""

    def __init__(self, ratings: csr_matrix, config: NeuralDotConfig, seed: int) -> None:
        """`ratings` are those trained on, users x items: their numbers scale the penalties."""
        super().__init__()
        users, items = map(int, ratings.shape)

        def embedding(rows: int, width: int, start: Any) -> layers.Embedding:
            return layers.Embedding(rows, width, embeddings_initializer=start)

        def normal(place: int) -> Any:
            return keras.initializers.RandomNormal(stddev=0.05, seed=seed + place)

        self.users = embedding(users, config.factors, normal(0))
        self.items = embedding(items, config.factors, normal(1))
        self.user_bias = embedding(users, 1, "zeros")
        self.item_bias = embedding(items, 1, "zeros")
        self.dropout = layers.Dropout(config.dropout, seed=seed + 2)
        self.penalty, self.bias_penalty = config.regularization, config.bias_regularization
        # Of a row's ratings each pays a part, so that the row pays by the root of their number.
        self.user_share = _inverse_roots(np.diff(ratings.indptr))
        self.item_share = _inverse_roots(np.bincount(ratings.indices, minlength=items))

    def call(self, pairs: Any, training: bool = False) -> Any:
        """Return the predictions, batch x 1; in training, add the penalty to the loss."""
        user, item = self.users(pairs[:, 0]), self.items(pairs[:, 1])
        user_bias, item_bias = self.user_bias(pairs[:, 0]), self.item_bias(pairs[:, 1])
        if training:
            own = self._penalty(user, user_bias) * ops.take(self.user_share, pairs[:, 0])
            other = self._penalty(item, item_bias) * ops.take(self.item_share, pairs[:, 1])
            self.add_loss(ops.mean(own + other))
        products = self.dropout(user * item, training=training)
        return ops.sum(products, axis=1, keepdims=True) + user_bias + item_bias

    def _penalty(self, factors: Any, bias: Any) -> Any:
        squares = ops.sum(factors**2, axis=1)
        return self.penalty * squares + self.bias_penalty * ops.sum(bias**2, axis=1)


def _inverse_roots(counts: NDArray[np.integer]) -> Float32:
    shares: Float32 = (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32)
    return shares


def learn(
    data: Interactions,
    config: NeuralDotConfig,
    options: FitOptions,
    start: StoredNetwork | None = None,
) -> NetworkFactors:
    """Train on a part of the ratings to find the number of epochs, then on all of them.

    Users and items without ratings have factors of 0 and a bias of NaN.
    """
    ratings = data.user_items
    pairs = np.column_stack([row_of_entries(ratings), ratings.indices]).astype(np.int32)
    mean = float(ratings.data.mean())
    targets = (ratings.data - mean).astype(np.float32)[:, None]

    def network() -> DotProduct:
        built = DotProduct(ratings, config, options.seed)
        built(keras.Input((2,), dtype="int32"))
        if start is not None:
            _, stored = load(start.network)
            rows = {0: start.users, 1: start.items, 2: start.users, 3: start.items}
            built.set_weights(taken_over(built.get_weights(), stored, rows))
        return built

    def batches(kept: Marks) -> Batches:
        return _batches(pairs[kept], targets[kept], config.batch_size, options.seed)

    # Ratings of any time are to be predicted, so that they are drawn from all times.
    held = np.random.default_rng(options.seed).random(ratings.nnz) < config.validation

    def validation(trial: DotProduct) -> Validation:
        return Validation("rmse", lambda: _error(trial, pairs[held], targets[held]))

    with computing(config.precision, options.threads):
        final, epochs = train_on_all(
            network, batches, held, validation, config, options.told,
            warm=start is not None, loss="mse",
        )  # fmt: skip
    return _factors(final, ratings, mean, epochs)


def _batches(pairs: Any, targets: Any, size: int, seed: int) -> Batches:
    """Return batches of one size in a new order each epoch; some pairs fill the last one again."""
    orders = shuffled(seed, len(pairs))
    order = next(orders)

    def shuffle() -> None:
        nonlocal order
        order = next(orders)

    def batch(number: int) -> tuple[Any, Any]:
        entries = order.take(range(number * size, (number + 1) * size), mode="wrap")
        return pairs[entries], targets[entries]

    return Batches(-(-len(pairs) // size), batch, shuffle)


def _error(network: DotProduct, pairs: Any, targets: Any) -> float:
    predicted = network.predict(pairs, batch_size=_MEASURED_AT_ONCE, verbose=0)
    return float(np.sqrt(np.mean((predicted - targets) ** 2)))


def _factors(
    network: DotProduct, ratings: csr_matrix, mean: float, epochs: tuple[Epoch, ...]
) -> NetworkFactors:
    users, items, user_bias, item_bias = (np.asarray(each) for each in network.get_weights())
    rated = has_ratings(ratings)
    return NetworkFactors(
        np.where(rated[0][:, None], users, 0),
        np.where(rated[1][:, None], items, 0),
        np.where(rated[0], mean + user_bias[:, 0].astype(np.float64), np.nan),
        np.where(rated[1], item_bias[:, 0].astype(np.float64), np.nan),
        dump({}, network.get_weights()),
        "rmse",
        epochs,
        by_user=True,
    )
