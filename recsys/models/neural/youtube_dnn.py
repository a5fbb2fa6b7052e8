"""Candidate generation by a deep network, after that of YouTube.

    x = [mean of W_j, j watched | mean of L_j, j liked | mean of D_j, j disliked | A side]
        embeddings of unit length; side: genres, years, texts and attributes of the user
    user vector = dense layers (ReLU, batch normalization, dropout) of x
    score(u, i) = user vector . V_i              softmax over all movies

In training the ratings of a user are split at random each epoch: a part is what the user watched,
and the network learns to tell the rest. Beyond `full_softmax` movies the sum over all movies is
estimated from `negatives` random ones of each batch, corrected for their probability.

A held-out part of each user's ratings tells after how many epochs to stop; the network is then
trained on all ratings for as many.

P. Covington, J. Adams, E. Sargin: Deep Neural Networks for YouTube Recommendations, RecSys 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from recsys.domain import Factors, Interactions, NetworkFactors, TrainedItems, UserRows
from recsys.models.base import Choice, FitOptions, ModelSpec, Need, Range
from recsys.models.cost import Cost, Size, network, of_factors
from recsys.models.neural.training import REQUIRES, LikingParams
from recsys.models.params import Bounds

Side = Literal["genres", "years", "texts", "attributes"]


@dataclass(frozen=True, slots=True)
class YoutubeDnnConfig(LikingParams):
    factors: Annotated[int, Bounds(1, 1024)] = 128
    """Width of the vectors of movies and users: units of the last layer."""
    embedding: Annotated[int, Bounds(1, 1024)] = 128
    """Width of the embeddings of watched movies; those of liked and disliked have half of it."""
    hidden: tuple[Annotated[int, Bounds(1, 65_536)], ...] = (256,)
    """Number of units of each layer below the last one."""
    dropout: Annotated[float, Bounds(0, 0.95)] = 0.5
    """Share of the units of each layer that is left out at random in training."""
    history: Annotated[int, Bounds(1, 10_000)] = 256
    """Number of newest ratings of a user that count."""
    side: tuple[Side, ...] = ("genres",)
    """What else the network is told: `genres`, `years` and `texts` of the watched movies,
    `attributes` of the user."""
    full_softmax: Annotated[int, Bounds(0)] = 20_000
    """Number of movies up to which all are compared in training; beyond, `negatives` are drawn."""
    negatives: Annotated[int, Bounds(1, 1_000_000)] = 8_192
    """Number of movies drawn for each batch."""
    held_out: Literal["random", "newest"] = "random"
    """Which ratings of a user are held out. The network learns to tell a random part of what a user
    watched; the newest ratings would stop it long before it can."""
    validation: Annotated[float, Bounds(0, 0.5)] = 0.1
    """Share of the ratings of each user that is held out to find the number of epochs."""
    validation_users: Annotated[int, Bounds(0)] = 5_000
    """Users of whom ratings are held out, at most."""
    epochs: Annotated[int, Bounds(1, 10_000)] = 300
    patience: Annotated[int, Bounds(1, 10_000)] = 15
    batch_size: Annotated[int, Bounds(1, 1_000_000)] = 128
    """Number of users of one step."""
    learning_rate: Annotated[float, Bounds(0, 1, above=True)] = 0.003


def needs(config: YoutubeDnnConfig) -> frozenset[Need]:
    """Read times, and what the side information is made of."""
    asked: set[Need] = {"times"}
    if "texts" in config.side:
        asked.add("texts")
    if "attributes" in config.side:
        asked.add("attributes")
    return frozenset(asked)


def fit(data: Interactions, config: YoutubeDnnConfig, options: FitOptions) -> NetworkFactors:
    """Train the network, and compute the vectors of all users and movies with ratings."""
    users, items = data.user_items.shape
    if not (np.diff(data.user_items.indptr) > 1).any():  # nothing to tell from another rating
        none = np.zeros((users + items, config.factors), np.float32)
        return NetworkFactors(none[:users], none[users:])
    # Imported here: Keras and JAX take seconds.
    from recsys.models.neural.networks.candidates import learn

    return learn(data, config, options)


def fold_in(
    trained: TrainedItems, rows: UserRows, config: YoutubeDnnConfig, options: FitOptions
) -> Factors:
    """Compute the vectors of users from their ratings, by the stored network.

    Their attributes are taken as unknown.
    """
    from recsys.models.neural.networks.candidates import of_users

    return of_users(trained, rows, config, options)


def cost(size: Size, config: YoutubeDnnConfig) -> Cost:
    """Return the cost of some 2 times 60 epochs, and of lists from factors."""
    items = len(size.of_movies)
    compared = items if items <= config.full_softmax else config.negatives
    read = np.minimum(size.of_users, config.history).sum() * 2 * config.embedding
    steps = 3 * (2 * size.users * compared * config.factors + 12 * config.history * read / 256)
    held = 4.0 * config.batch_size * (3 * compared + 4 * config.history * config.embedding)
    fitting = Cost(120 * 2.0e-11 * float(steps), held + 48.0 * size.ratings)
    stored = Cost(disk=network(2 * config.embedding + config.factors, size.movies))
    return fitting + of_factors(size, config.factors) + stored


SPEC = ModelSpec(
    name="youtube_dnn",
    display_name="YouTube DNN",
    family="neural",
    kind="personal",
    config=YoutubeDnnConfig,
    fit=fit,
    cost=cost,
    fold_in=fold_in,
    score_meaning="product of the vectors of user and movie; similarities are cosines",
    description="Candidate generation: a deep network of what a user watched, liked and disliked",
    needs=needs,
    requires=REQUIRES,
    scoring="factors",
    search_space={
        "factors": Choice((64, 128, 256)),
        "embedding": Choice((64, 128, 256)),
        "dropout": Range(0.2, 0.7),
        "learning_rate": Range(0.0005, 0.01, log=True),
    },
)
