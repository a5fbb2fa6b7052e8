"""Rating prediction by embeddings of users and movies, trained as a network.

    r(u, i) = mean + b_u + b_i + p_u . q_i
    minimize by Adam, over mini-batches of ratings, the mean of
    (r - r(u, i))^2 + penalty(u) / sqrt(n_u) + penalty(i) / sqrt(n_i), n being numbers of ratings
    penalty = regularization |factors|^2 + bias_regularization bias^2

A random part of the ratings tells after how many epochs to stop; the network is then trained on all
ratings for as many. The network is that of the Keras example "Collaborative Filtering for Movie
Recommendations" with a linear output; the penalty is that of `mf`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsys.domain import Factors, Interactions, NetworkFactors, TrainedItems, UserRows
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size, network, of_factors
from recsys.models.neural.training import REQUIRES, TrainingParams
from recsys.models.params import Bounds
from recsys.numerics.least_squares import solve_rows
from recsys.numerics.sparse import has_ratings


@dataclass(frozen=True, slots=True)
class NeuralDotConfig(TrainingParams):
    factors: Annotated[int, Bounds(1, 1024)] = 64
    """Number of latent factors."""
    regularization: Annotated[float, Bounds(0)] = 1.2
    """Penalty on factors; a user or movie pays by the root of its number of ratings."""
    bias_regularization: Annotated[float, Bounds(0)] = 0.12
    """Penalty on biases, likewise."""
    dropout: Annotated[float, Bounds(0, 0.95)] = 0.1
    """Share of the products of factors that is left out at random in training."""
    validation: Annotated[float, Bounds(0, 0.5)] = 0.1
    """Share of the ratings that is held out to find the number of epochs."""


def fit(data: Interactions, config: NeuralDotConfig, options: FitOptions) -> NetworkFactors:
    """Train the embeddings."""
    users, items = data.user_items.shape
    if data.user_items.nnz == 0:
        none = np.zeros((users + items, config.factors), np.float32)
        return NetworkFactors(
            none[:users], none[users:], np.full(users, np.nan), np.full(items, np.nan)
        )
    # Imported here: Keras and JAX take seconds.
    from recsys.models.neural.networks.dot_product import learn

    return learn(data, config, options, data.previous.get("neural_dot"))


def fold_in(
    trained: TrainedItems, rows: UserRows, config: NeuralDotConfig, options: FitOptions
) -> Factors:
    """Minimize the objective of each user over the user's factors, those of items being given."""
    ratings, counts = rows.ratings, np.diff(rows.ratings.indptr)
    vectors = np.column_stack([trained.items.astype(np.float64), np.ones(len(trained.items))])
    targets = ratings.data - trained.mean - np.nan_to_num(trained.item_bias)[ratings.indices]
    # The penalty of a user grows with the root of the number of ratings, the errors with itself.
    weights = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    penalty = np.full(vectors.shape[1], max(config.regularization, 1e-6))
    penalty[-1] = max(config.bias_regularization, 1e-6)
    own = solve_rows(ratings, weights, targets * weights, vectors, np.diag(penalty))
    known, _ = has_ratings(ratings)
    bias = np.where(known, trained.mean + own[:, -1], np.nan)
    return Factors(own[:, :-1].astype(np.float32), trained.items, bias, trained.item_bias)


def cost(size: Size, config: NeuralDotConfig) -> Cost:
    """Return the cost of two trainings, and of lists from factors."""
    steps = 2 * 30 * size.ratings
    fitting = Cost(1.5e-6 * steps * (config.factors / 64), 64.0 * size.ratings)
    stored = Cost(disk=network(config.factors + 1, size.users, size.movies))
    return fitting + of_factors(size, config.factors) + stored


SPEC = ModelSpec(
    name="neural_dot",
    display_name="Neural dot product",
    family="neural",
    kind="personal",
    config=NeuralDotConfig,
    fit=fit,
    cost=cost,
    fold_in=fold_in,
    score_meaning="predicted rating, not clipped to the scale; similarities are correlations",
    description="Embeddings of users and movies with biases, trained on the ratings",
    prediction="factors",
    requires=REQUIRES,
    search_space={
        "factors": Range(16, 128, log=True, whole=True),
        "regularization": Range(0.3, 4, log=True),
        "dropout": Range(0, 0.6),
        "learning_rate": Range(0.0005, 0.01, log=True),
    },
    scoring="factors",
    needs_ratings=True,
    roles={"rating": 15},
)
