"""Causal self-attention over sequences of movies."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import (
    Factors,
    Float32,
    Float64,
    Int32,
    Int64,
    Interactions,
    NetworkFactors,
    TrainedItems,
    UserRows,
)
from recsys.models.base import FitOptions
from recsys.models.neural.networks import keras, layers, ops
from recsys.models.neural.networks.saved import (
    behind_padding,
    dump,
    in_network,
    load,
    taken_over,
)
from recsys.models.neural.networks.softmax import sum_of_logsumexp
from recsys.models.neural.networks.training import (
    USERS_AT_ONCE,
    Batches,
    Validation,
    computing,
    ndcg_at_10,
    predict_block,
    train,
)
from recsys.models.neural.sasrec import SasrecConfig
from recsys.models.neural.training import LIKED, grades_of, held_out, times_of
from recsys.numerics.prediction import rating_range
from recsys.numerics.sequences import in_time
from recsys.numerics.sparse import has_ratings, row_of_entries, select_entries

_SHAPE = ("factors", "window", "blocks", "heads", "dropout", "orders", "liked", "disliked")
"""Parameters that the network is built with again."""

Inputs = dict[str, NDArray[Any]]


class SelfAttention(keras.Model):
    """Predict the next movie at each place of a window.

    The inputs are `window`, positions from 1, batch x window, the newest last, 0 in front of short
    ones, and `grades` of the same shape. In training also `next`, what follows each place, 0 for
    nothing, and where not all movies are compared those `drawn`. The output is the vectors at the
    newest place, batch x factors.
    """

    def __init__(self, items: int, config: SasrecConfig, seed: int) -> None:
        super().__init__()
        self.items, self.config = items, config
        width = config.factors
        seeds = iter(range(seed, seed + 1_000))

        def normal(deviation: float) -> Any:
            return keras.initializers.RandomNormal(stddev=deviation, seed=next(seeds))

        def dense(units: int, activation: str | None = None) -> layers.Dense:
            start = keras.initializers.GlorotUniform(seed=next(seeds))
            return layers.Dense(units, activation, kernel_initializer=start)

        def dropout() -> layers.Dropout:
            return layers.Dropout(config.dropout, seed=next(seeds))

        # Row 0 stands for no movie.
        self.movies = layers.Embedding(items + 1, width, embeddings_initializer=normal(width**-0.5))
        self.places = layers.Embedding(config.window, width, embeddings_initializer=normal(0.02))
        self.grades = layers.Embedding(LIKED + 1, width, embeddings_initializer=normal(0.02))
        self.dropout = dropout()
        # Queries, keys, values and output. Keras's layer would start all four alike from one seed.
        self.projections = [dense(width) for _ in range(4 * config.blocks)]
        self.inner = [dense(4 * width, "relu") for _ in range(config.blocks)]
        self.outer = [dense(width) for _ in range(config.blocks)]
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2 * config.blocks + 1)]
        self.dropouts = [dropout() for _ in range(3 * config.blocks)]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the vectors of the users; in training, add the loss of all places."""
        hidden = self._hidden(inputs["window"], inputs["grades"], training)
        if training:
            self.add_loss(self._loss(hidden, inputs["next"], inputs.get("drawn")))
        return hidden[:, -1]

    def _hidden(self, window: Any, grades: Any, training: bool) -> Any:
        length = self.config.window
        root = self.config.factors**0.5
        hidden = self.movies(window) + self.places(ops.arange(length)) + self.grades(grades)
        hidden = hidden * root
        hidden = self.dropout(hidden, training=training)
        earlier = ops.tril(ops.ones((length, length), dtype="bool"))
        # Each place sees itself, so that no row of weights is empty.
        seen = ops.logical_and(earlier, ops.not_equal(window, 0)[:, None, :])
        seen = ops.logical_or(seen, ops.eye(length, dtype="bool"))
        for block in range(self.config.blocks):
            drops = self.dropouts[3 * block :]
            inner = self.norms[2 * block](hidden)
            inner = self._attend(inner, seen[:, None], self.projections[4 * block : 4 * block + 4])
            hidden = hidden + drops[0](inner, training=training)
            inner = self.inner[block](self.norms[2 * block + 1](hidden))
            inner = self.outer[block](drops[1](inner, training=training))
            hidden = hidden + drops[2](inner, training=training)
        return self.norms[-1](hidden)

    def _attend(self, hidden: Any, seen: Any, projections: Any) -> Any:
        heads = (*ops.shape(hidden)[:2], self.config.heads, -1)
        query, key, value = (ops.reshape(each(hidden), heads) for each in projections[:3])
        found = ops.dot_product_attention(query, key, value, mask=seen)
        return projections[3](ops.reshape(found, ops.shape(hidden)))

    def _loss(self, hidden: Any, following: Any, drawn: Any) -> Any:
        """Return the mean over the places that something follows."""
        counted = ops.cast(ops.not_equal(following, 0), "float32")
        hidden = ops.cast(hidden, "float32")
        vectors = ops.cast(self.movies.embeddings, "float32")
        positive = ops.sum(hidden * ops.take(vectors, following, axis=0), axis=-1)
        number = ops.maximum(ops.sum(counted), 1)
        if drawn is None:
            rows = ops.reshape(hidden, (-1, self.config.factors))
            all_scores = sum_of_logsumexp(rows, vectors[1:], ops.reshape(counted, (-1,)))
            return (all_scores - ops.sum(positive * counted)) / number
        scores = hidden @ ops.take(vectors, drawn, axis=0).T
        # A drawn movie that does follow is no negative.
        scores = jnp.where(drawn == following[..., None], -jnp.inf, scores)
        share, t = drawn.shape[0] / self.items, self.config.calibration
        beta = share * (t * (1 - 1 / share) + 1 / share)
        losses = beta * jax.nn.softplus(-positive) + jnp.sum(jax.nn.softplus(scores), -1)
        return ops.sum(losses * counted) / number


# --- training -------------------------------------------------------------------------------------


def learn(data: Interactions, config: SasrecConfig, options: FitOptions) -> NetworkFactors:
    """Train on all ratings but the held-out ones, and compute the vectors of all users."""
    ratings = data.user_items
    items = int(ratings.shape[1])
    with computing(config.precision, options.threads):
        network = _built(items, config, options.seed)
        if start := data.previous.get("sasrec"):
            _, stored = load(start.network)
            rows = {0: behind_padding(start.items)}
            network.set_weights(taken_over(network.get_weights(), stored, rows))
        held = held_out(ratings, data.rated_at, 0, config.validation_users, options.seed)
        trained, times = select_entries(ratings, ~held), times_of(data.rated_at, ~held)
        scale = rating_range(data)
        validation = None
        if held.any():
            shown = replace(data, user_items=trained, rated_at=times, rating_range=scale)
            hidden = select_entries(ratings, held)
            validation = _validation(network, shown, hidden, options.seed)
        batches = _batches(trained, times, scale, config, options.seed)
        epochs = train(network, batches, config, options.told, validation=validation)
        users = _vectors(network, ratings, data.rated_at, scale, options.seed)
    vectors = network.get_weights()[0][1:]
    known = has_ratings(ratings)[1]
    shape = {name: getattr(config, name) for name in _SHAPE}
    return NetworkFactors(
        users,
        np.where(known[:, None], vectors, np.float32(0)),
        network=dump({**shape, "items": items, "seed": options.seed}, network.get_weights()),
        metric="ndcg@10",
        epochs=epochs,
    )


def _built(items: int, config: SasrecConfig, seed: int) -> SelfAttention:
    network = SelfAttention(items, config, seed)
    # Symbolic: a call with numbers would compile each operation by itself.
    windows = (keras.Input((config.window,), dtype="int32") for _ in range(2))
    network(dict(zip(("window", "grades"), windows, strict=True)))
    return network


def _batches(
    ratings: csr_matrix,
    rated_at: Float64 | None,
    scale: tuple[float, float],
    config: SasrecConfig,
    seed: int,
) -> Batches:
    """Cut the sequences of all users into windows, elsewhere each epoch.

    Every rating but a user's first is in one window as that which follows.
    """
    items, length, size = int(ratings.shape[1]), config.window, config.batch_size
    random = np.random.default_rng(seed)
    users, first = row_of_entries(ratings), ratings.indptr[:-1]
    counts = np.diff(ratings.indptr)
    grades = grades_of(ratings, config, scale)
    order, starts, stops = (np.zeros(0, int) for _ in range(3))

    def cut() -> None:
        nonlocal order, starts, stops
        order = in_time(ratings, rated_at, int(random.integers(2**32)))
        shifts = np.where(counts > length + 1, random.integers(0, length, len(counts)), 0)
        followers = np.flatnonzero(np.arange(ratings.nnz) > first[users])
        own = users[followers]
        windows = (followers - first[own] - 1 + shifts[own]) // length
        begins = np.flatnonzero(
            (np.diff(own, prepend=-1) != 0) | (np.diff(windows, prepend=-1) != 0)
        )
        starts = followers[begins]
        stops = followers[np.append(begins[1:], len(followers)) - 1] + 1
        shuffled = random.permutation(len(starts))
        starts, stops = starts[shuffled], stops[shuffled]

    def batch(number: int) -> tuple[dict[str, Any]]:
        chosen = np.arange(number * size, (number + 1) * size) % len(starts)
        # The places of what follows, right-aligned; those before `starts` are padding.
        places = stops[chosen, None] - length + np.arange(length)
        inside = places >= starts[chosen, None]
        inputs = _windows(ratings, grades, order[np.maximum(places - 1, 0)], inside)
        following = ratings.indices[order[np.maximum(places, 0)]] + 1
        inputs["next"] = np.where(inside, following, 0).astype(np.int32)
        if items > config.full_softmax:
            drawn = random.choice(items, min(config.negatives, items), replace=False)
            inputs["drawn"] = (drawn + 1).astype(np.int32)
        return (inputs,)

    cut()
    # Shifts change the number of windows a little, and the number of batches stays.
    return Batches(-(-len(starts) // size), batch, cut)


def _windows(ratings: csr_matrix, grades: Int32, entries: Int64, inside: Any) -> Inputs:
    """Return the inputs of the network for entries of the ratings, rows x window.

    `inside` marks the entries that belong to the user of their row; the others become 0.
    """
    window = np.where(inside, ratings.indices[entries] + 1, 0).astype(np.int32)
    return {"window": window, "grades": np.where(inside, grades[entries], 0).astype(np.int32)}


def _validation(
    network: SelfAttention, trained: Interactions, held: csr_matrix, seed: int
) -> Validation:
    users = np.flatnonzero(np.diff(held.indptr))
    rows, scale = UserRows.some(trained, users), rating_range(trained)
    held = held[users]

    def ndcg() -> float:
        sums = 0.0
        for start in range(0, len(users), USERS_AT_ONCE):
            stop = min(start + USERS_AT_ONCE, len(users))
            block = rows.block(start, stop)
            vectors = _vectors(network, block.ratings, block.rated_at, scale, seed)
            scores = vectors @ network.get_weights()[0][1:].T
            sums += (stop - start) * ndcg_at_10(scores, block.ratings, held[start:stop])
        return sums / len(users)

    return Validation("ndcg@10", ndcg)


# --- vectors of users -----------------------------------------------------------------------------


def of_users(
    trained: TrainedItems, rows: UserRows, config: SasrecConfig, options: FitOptions
) -> Factors:
    """Compute the vectors of users from ratings, by a stored network; items it lacks are passed."""
    assert trained.network is not None
    network = restored(trained.network.network)
    places = trained.network.items
    ratings, times = in_network(rows.ratings, rows.rated_at, places, network.items)
    users = _vectors(network, ratings, times, trained.rating_range, options.seed)
    vectors = network.get_weights()[0][1:]
    items = np.where(places[:, None] >= 0, vectors[places], np.float32(0))
    return Factors(users, items)


@lru_cache(maxsize=4)
def restored(saved: bytes) -> SelfAttention:
    """Build a stored network; it is compiled when it is first used."""
    shape, weights = load(saved)
    items, seed = shape.pop("items"), shape.pop("seed")
    network = _built(items, SasrecConfig(**shape), seed)
    network.set_weights(weights)
    return network


def _vectors(
    network: SelfAttention,
    ratings: csr_matrix,
    rated_at: Float64 | None,
    scale: tuple[float, float],
    seed: int,
) -> Float32:
    """Return the vectors of users, mean over random orders of ties; 0 without ratings."""
    length, orders = network.config.window, network.config.orders
    counts = np.diff(ratings.indptr)
    grades = grades_of(ratings, network.config, scale)
    sums = np.zeros((len(counts), network.config.factors), np.float32)
    for order in range(orders):
        entries = in_time(ratings, rated_at, seed + order)
        for start in range(0, len(counts), USERS_AT_ONCE):
            ends = ratings.indptr[start + 1 : start + USERS_AT_ONCE + 1]
            places = ends[:, None] - length + np.arange(length)
            inside = places >= (ends - counts[start : start + USERS_AT_ONCE])[:, None]
            windows = _windows(ratings, grades, entries[np.maximum(places, 0)], inside)
            sums[start : start + len(places)] += predict_block(network, windows)
    return np.where(counts[:, None] > 0, sums / orders, np.float32(0))
