"""A deep network from what a user watched to a vector beside those of movies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import keras_rs
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD

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
from recsys.models.content.text import text_vectors
from recsys.models.neural.networks import keras, layers, ops
from recsys.models.neural.networks.saved import (
    behind_padding,
    dump,
    in_network,
    load,
    taken_over,
)
from recsys.models.neural.networks.training import (
    USERS_AT_ONCE,
    Batches,
    Marks,
    Validation,
    computing,
    ndcg_at_10,
    predict_block,
    shuffled,
    train_on_all,
)
from recsys.models.neural.training import DISLIKED, LIKED, grades_of, held_out, times_of
from recsys.models.neural.youtube_dnn import YoutubeDnnConfig
from recsys.numerics.prediction import rating_range
from recsys.numerics.sequences import in_time
from recsys.numerics.sparse import column_counts, has_ratings, select_entries

TEXT_FACTORS = 64
"""Numbers that describe the text of a movie."""
_SHAPE = ("factors", "embedding", "hidden", "dropout", "history", "liked", "disliked")
"""Parameters that the network is built with again."""

Inputs = dict[str, NDArray[Any]]


class CandidateGeneration(keras.Model):
    """Compute the vectors of users, batch x factors.

    The inputs are `watched`, positions from 1, batch x history, 0 for nothing; `grades` of the same
    shape; `attributes`, batch x attributes. In training also `wanted`, positions from 1 of what is
    to be told, batch x history, and where not all movies are compared `drawn`, `chances` of these,
    and `own_chances` of what is wanted, 0 unless it is drawn.
    """

    def __init__(
        self, features: Float32, attributes: int, config: YoutubeDnnConfig, seed: int
    ) -> None:
        """`features` describe the items, items x features."""
        super().__init__()
        self.config, self.items_count, self.attributes = config, len(features), attributes
        seeds = iter(range(seed, seed + 1_000))

        def embedding(width: int) -> layers.Embedding:
            start = keras.initializers.RandomNormal(stddev=0.05, seed=next(seeds))
            return layers.Embedding(len(features) + 1, width, embeddings_initializer=start)

        def dense(units: int, activation: str | None = None) -> layers.Dense:
            start = keras.initializers.GlorotUniform(seed=next(seeds))
            return layers.Dense(units, activation, kernel_initializer=start)

        self.watched = embedding(config.embedding)
        half = max(1, config.embedding // 2)
        self.disliked, self.liked = embedding(half), embedding(half)
        self.movies = embedding(config.factors)
        self.movies.build()  # the loss alone uses it
        self.features = self.add_weight(
            shape=(len(features) + 1, features.shape[1]),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                np.vstack([np.zeros_like(features[:1]), features]), dtype
            ),
            trainable=False,
            name="features",
        )
        self.side = dense(32) if features.shape[1] + attributes else None
        self.stack: list[tuple[Any, ...]] = [
            (
                dense(units),
                layers.BatchNormalization(),
                layers.Dropout(config.dropout, seed=next(seeds)),
            )
            for units in (*config.hidden, config.factors)
        ]
        self.layers_of_stack = [layer for level in self.stack for layer in level]
        self.corrected = keras_rs.layers.SamplingProbabilityCorrection()

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the vectors; in training, add the loss of what is wanted."""
        watched, grades = inputs["watched"], inputs["grades"]
        known = ops.not_equal(watched, 0)
        means = [_mean(_unit(self.watched(watched)), known)]
        for grade, embedding in ((DISLIKED, self.disliked), (LIKED, self.liked)):
            means.append(_mean(_unit(embedding(watched)), ops.equal(grades, grade)))
        if self.side is not None:
            about = _mean(ops.take(self.features, watched, axis=0), known)
            means.append(self.side(ops.concatenate([about, inputs["attributes"]], axis=1)))
        vectors = ops.concatenate(means, axis=1)
        for dense, normalization, dropout in self.stack:
            vectors = ops.relu(normalization(dense(vectors), training=training))
            vectors = dropout(vectors, training=training)
        if training:
            self.add_loss(self._loss(ops.cast(vectors, "float32"), inputs))
        return vectors

    def _loss(self, vectors: Any, inputs: Any) -> Any:
        """Return the mean cross-entropy of what is wanted."""
        wanted = inputs["wanted"]
        counted = ops.cast(ops.not_equal(wanted, 0), "float32")
        movies = ops.cast(self.movies.embeddings, "float32")
        if "drawn" not in inputs:
            scores = vectors @ movies[1:].T
            own = jnp.take_along_axis(scores, jnp.maximum(wanted - 1, 0), axis=1)
            losses = jax.nn.logsumexp(scores, axis=1, keepdims=True) - own
        else:
            own = ops.einsum("uf,utf->ut", vectors, ops.take(movies, wanted, axis=0))
            scores = vectors @ ops.take(movies, inputs["drawn"], axis=0).T
            losses = self._sampled(own, scores, inputs["chances"], inputs["own_chances"])
        return ops.sum(losses * counted) / ops.maximum(ops.sum(counted), 1)

    def _sampled(self, own: Any, scores: Any, chances: Any, own_chances: Any) -> Any:
        """Estimate the cross-entropy; what is wanted counts once, drawn or not.

        Divided by the chance to be drawn, the sum over the drawn ones has the mean of the sum over
        all (D. Horvitz, D. Thompson 1952).
        """
        scores = self.corrected(scores, ops.broadcast_to(chances, ops.shape(scores)))
        top = jax.lax.stop_gradient(
            jnp.maximum(scores.max(axis=1, keepdims=True), own.max(axis=1, keepdims=True))
        )
        total = jnp.exp(scores - top).sum(axis=1, keepdims=True)
        twice = jnp.where(own_chances > 0, jnp.exp(own - top) / jnp.maximum(own_chances, 1e-9), 0)
        return jnp.log(jnp.exp(own - top) + jnp.maximum(total - twice, 0)) + top - own


def _unit(embedded: Any) -> Any:
    return embedded / ops.sqrt(ops.sum(embedded**2, axis=-1, keepdims=True) + 1e-8)


def _mean(embedded: Any, counted: Any) -> Any:
    """Return the mean over the places that count; 0 without any."""
    counts = ops.cast(counted, embedded.dtype)[..., None]
    return ops.sum(embedded * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1)


# --- training -------------------------------------------------------------------------------------


def learn(data: Interactions, config: YoutubeDnnConfig, options: FitOptions) -> NetworkFactors:
    """Train on a part of the ratings to find the number of epochs, then on all of them."""
    ratings = data.user_items
    features, attributes = _features(data, config, options.seed), _attributes(data, config)
    grades = grades_of(ratings, config, rating_range(data))
    start = data.previous.get("youtube_dnn")

    def network() -> CandidateGeneration:
        built = _built(features, attributes.shape[1], config, options.seed)
        if start is not None:
            _, stored = load(start.network)
            rows = dict.fromkeys(_over_movies(built), behind_padding(start.items))
            built.set_weights(taken_over(built.get_weights(), stored, rows))
            built.features.assign(np.vstack([np.zeros_like(features[:1]), features]))
        return built

    def batches(kept: Marks) -> Batches:
        part = select_entries(ratings, kept)
        return _batches(part, grades[kept], attributes, config, options.seed)

    ordered = data.rated_at if config.held_out == "newest" else None
    held = held_out(ratings, ordered, config.validation, config.validation_users, options.seed)

    def validation(trial: CandidateGeneration) -> Validation:
        watched, times = select_entries(ratings, ~held), times_of(data.rated_at, ~held)
        before = _histories(watched, grades[~held], times, attributes, config)
        return _validation(trial, before, select_entries(ratings, held))

    with computing(config.precision, options.threads):
        final, epochs = train_on_all(
            network, batches, held, validation, config, options.told, warm=start is not None
        )
        of_all = _histories(ratings, grades, data.rated_at, attributes, config)
        users = _vectors(final, of_all)
    known = has_ratings(ratings)[1]
    vectors = np.asarray(final.movies.get_weights()[0][1:])
    shape = {name: getattr(config, name) for name in _SHAPE}
    shape |= {"attributes": attributes.shape[1], "items": len(features), "seed": options.seed}
    shape |= {"width": features.shape[1]}
    return NetworkFactors(
        users,
        np.where(known[:, None], vectors, np.float32(0)),
        network=dump(shape, final.get_weights()),
        metric="ndcg@10",
        epochs=epochs,
    )


def _built(
    features: Float32, attributes: int, config: YoutubeDnnConfig, seed: int
) -> CandidateGeneration:
    network = CandidateGeneration(features, attributes, config, seed)
    # Symbolic: a call with numbers would compile each operation by itself.
    network(
        {
            "watched": keras.Input((config.history,), dtype="int32"),
            "grades": keras.Input((config.history,), dtype="int32"),
            "attributes": keras.Input((attributes,)),
        }
    )
    return network


def _over_movies(network: CandidateGeneration) -> list[int]:
    """Return the places of the weights that have a row for each movie."""
    rows = network.items_count + 1
    return [place for place, each in enumerate(network.get_weights()) if each.shape[:1] == (rows,)]


def _features(data: Interactions, config: YoutubeDnnConfig, seed: int) -> Float32:
    """Describe the movies as the config asks: genres, decades, and texts in a few numbers."""
    items = data.user_items.shape[1]
    found = [np.zeros((items, 0))]
    if "genres" in config.side:
        found.append(data.item_genres.toarray())
    if "years" in config.side and data.item_years is not None:
        decades = np.clip((data.item_years - 1890) // 10, 0, 15)
        found.append(np.eye(16)[decades] * (data.item_years > 0)[:, None])
    if "texts" in config.side and data.item_texts is not None:
        words = text_vectors(data.item_texts, 1)
        width = min(TEXT_FACTORS, min(words.shape) - 1)
        if width > 0:
            found.append(TruncatedSVD(width, random_state=seed).fit_transform(words))
    return np.hstack(found).astype(np.float32)


def _attributes(data: Interactions, config: YoutubeDnnConfig) -> csr_matrix:
    if "attributes" in config.side and data.user_attributes is not None:
        return data.user_attributes
    return csr_matrix((data.user_items.shape[0], 0))


def _batches(
    ratings: csr_matrix,
    grades: Int32,
    attributes: csr_matrix,
    config: YoutubeDnnConfig,
    seed: int,
) -> Batches:
    """Split the ratings of each user at random into what is watched and what is wanted."""
    random = np.random.default_rng(seed)
    users = np.flatnonzero(np.diff(ratings.indptr) > 1)
    orders = shuffled(seed, len(users))
    order = next(orders)
    draw = _draws(ratings, config, random)

    def shuffle() -> None:
        nonlocal order
        order = next(orders)

    def batch(number: int) -> tuple[Inputs]:
        size = config.batch_size
        chosen = users[order.take(range(number * size, (number + 1) * size), mode="wrap")]
        rows, entries = _entries_of(ratings, chosen)
        keys = random.random(len(entries))
        # The share that is watched differs, so that the network learns from few and many.
        watched = random.random(len(entries)) < random.uniform(0.2, 0.9, size)[rows]
        shape, items = (size, config.history), ratings.indices[entries] + 1
        given = _padded(
            shape, rows[watched], keys[watched], items[watched], grades[entries[watched]]
        )
        [wanted] = _padded(shape, rows[~watched], keys[~watched], items[~watched])
        inputs = {"watched": given[0], "grades": given[1], "wanted": wanted}
        inputs["attributes"] = attributes[chosen].toarray().astype(np.float32)
        return ({**inputs, **draw(wanted)},)

    return Batches(-(-len(users) // config.batch_size), batch, shuffle)


def _draws(ratings: csr_matrix, config: YoutubeDnnConfig, random: np.random.Generator) -> Any:
    """Return a function that draws movies to compare with what is wanted; {} if all are compared.

    Each movie is drawn by itself, with a chance that grows with its ratings, up to 1.
    """
    items = ratings.shape[1]
    if items <= config.full_softmax:
        return lambda wanted: {}
    shares = (column_counts(ratings) + 1.0) ** 0.75
    chances = np.minimum(1, config.negatives * shares / shares.sum())
    room = int(chances.sum() + 5 * np.sqrt(chances.sum())) + 1

    def draw(wanted: NDArray[np.int32]) -> Inputs:
        taken = random.random(items) < chances
        drawn = np.flatnonzero(taken)[:room]
        # Padding is never wanted, and of a chance so high that it does not count.
        padded = np.zeros(room, np.int32)
        padded[: len(drawn)] = drawn + 1
        of_drawn = np.full(room, np.float32(1e30))
        of_drawn[: len(drawn)] = chances[drawn]
        places = np.maximum(wanted - 1, 0)
        own = np.where((wanted > 0) & taken[places], chances[places], 0).astype(np.float32)
        return {"drawn": padded, "chances": of_drawn, "own_chances": own}

    return draw


def _entries_of(ratings: csr_matrix, users: Int64) -> tuple[Int64, Int64]:
    """Return for all ratings of these users the place of the user, and the entry."""
    counts = np.diff(ratings.indptr)[users]
    rows = np.repeat(np.arange(len(users)), counts)
    ahead = np.cumsum(counts) - counts
    return rows, np.arange(counts.sum()) - np.repeat(ahead - ratings.indptr[users], counts)


def _padded(
    shape: tuple[int, int], rows: Int64, keys: NDArray[Any], *values: NDArray[Any]
) -> list[Int32]:
    """Spread values over the rows of matrices of a shape, those with the lowest keys first."""
    order = np.lexsort((keys, rows))
    rows = rows[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    inside = places < shape[1]
    found = []
    for each in values:
        matrix = np.zeros(shape, np.int32)
        matrix[rows[inside], places[inside]] = each[order][inside]
        found.append(matrix)
    return found


def _validation(
    network: CandidateGeneration, histories: _Histories, held: csr_matrix
) -> Validation:
    users = np.flatnonzero(np.diff(held.indptr))

    def ndcg() -> float:
        movies, sums = network.movies.get_weights()[0][1:].T, 0.0
        for start in range(0, len(users), USERS_AT_ONCE):
            block = users[start : start + USERS_AT_ONCE]
            scores = predict_block(network, histories.inputs(block)) @ movies
            sums += len(block) * ndcg_at_10(scores, histories.ratings[block], held[block])
        return sums / len(users)

    return Validation("ndcg@10", ndcg)


# --- vectors of users -----------------------------------------------------------------------------


def of_users(
    trained: TrainedItems, rows: UserRows, config: YoutubeDnnConfig, options: FitOptions
) -> Factors:
    """Compute the vectors of users from ratings, by a stored network; items it lacks are passed."""
    assert trained.network is not None
    network, places = restored(trained.network.network), trained.network.items
    ratings, times = in_network(rows.ratings, rows.rated_at, places, network.items_count)
    grades = grades_of(ratings, network.config, trained.rating_range)
    unknown = csr_matrix((len(rows), network.attributes))
    histories = _histories(ratings, grades, times, unknown, network.config)
    users = _vectors(network, histories)
    vectors = network.movies.get_weights()[0][1:]
    items = np.where(places[:, None] >= 0, vectors[places], np.float32(0))
    return Factors(users, items)


@lru_cache(maxsize=4)
def restored(saved: bytes) -> CandidateGeneration:
    """Build a stored network; it is compiled when it is first used."""
    shape, weights = load(saved)
    features = np.zeros((shape.pop("items"), shape.pop("width")), np.float32)
    attributes, seed = shape.pop("attributes"), shape.pop("seed")
    shape["hidden"] = tuple(shape["hidden"])
    network = _built(features, attributes, YoutubeDnnConfig(**shape), seed)
    network.set_weights(weights)
    return network


@dataclass(frozen=True, slots=True)
class _Histories:
    """The ratings of users as a network takes them in."""

    ratings: csr_matrix
    grades: Int32
    ages: Int64
    """A key of each rating, lower for newer ones."""
    attributes: csr_matrix
    length: int

    def inputs(self, users: Int64) -> Inputs:
        """Return the newest ratings of these users."""
        rows, entries = _entries_of(self.ratings, users)
        shape, items = (len(users), self.length), self.ratings.indices[entries] + 1
        watched, grades = _padded(shape, rows, self.ages[entries], items, self.grades[entries])
        known = self.attributes[users].toarray().astype(np.float32)
        return {"watched": watched, "grades": grades, "attributes": known}


def _histories(
    ratings: csr_matrix,
    grades: Int32,
    rated_at: Float64 | None,
    attributes: csr_matrix,
    config: YoutubeDnnConfig,
) -> _Histories:
    ages = np.empty(ratings.nnz, np.int64)
    ages[in_time(ratings, rated_at, 0)] = -np.arange(ratings.nnz)
    return _Histories(ratings, grades, ages, attributes, config.history)


def _vectors(network: CandidateGeneration, histories: _Histories) -> Float32:
    users = histories.ratings.shape[0]
    blocks = [
        predict_block(
            network, histories.inputs(np.arange(start, min(start + USERS_AT_ONCE, users)))
        )
        for start in range(0, users, USERS_AT_ONCE)
    ]
    vectors = np.vstack([np.zeros((0, network.config.factors), np.float32), *blocks])
    return np.where(has_ratings(histories.ratings)[0][:, None], vectors, np.float32(0))
