"""Collective factorization of ratings, their values and the genres of movies.

    rows of C: users, then genres;  columns: items
    c_ui = what the rating counts, by its grade
    c_gi = genre_weight                where movie i is of genre g
    factorize C as `als` does; factors of genres are dropped
    score(u, i) = x_u . y_i

A. P. Singh, G. J. Gordon: Relational Learning via Collective Matrix Factorization, KDD 2008; with
the confidences of Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback
Datasets, ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated

import numpy as np
from scipy.sparse import csr_matrix, vstack

from recsys.domain import Factors, Interactions, TrainedItems, UserRows
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size
from recsys.models.factors import als
from recsys.models.factors.als import AlsConfig, factorize, least_squares_cost
from recsys.models.grades import GradedParams
from recsys.models.params import Bounds
from recsys.models.shards import OneShard
from recsys.numerics.weighting import genre_rows, on_scale_of, weighted

PENALTY = 40.0
"""Best penalty at 100,000 ratings."""


@dataclass(frozen=True, slots=True)
class CollectiveAlsConfig(GradedParams):
    factors: Annotated[int, Bounds(1, 1024)] = 128
    """Number of latent factors."""
    regularization: Annotated[float, Bounds(0)] = 0.0
    """Penalty of the squared length of each factor vector. 0: `40 (ratings / 100,000)^0.35`."""
    alpha: Annotated[float, Bounds(0, above=True)] = 5.0
    """Confidence of an average rating; a movie without a rating has confidence 1."""
    genre_weight: Annotated[float, Bounds(0, 1000)] = 1.0
    """Confidence of a movie's genres, in units of `alpha`. 0: genres are not used."""
    iterations: Annotated[int, Bounds(1)] = 15
    """Number of times the factors of users, movies and genres are solved in turn."""


def settle(config: CollectiveAlsConfig, data: Interactions) -> CollectiveAlsConfig:
    """Let the penalty follow from the number of ratings if it is 0, as in `als`."""
    return replace(config, regularization=als.penalty(config, data.user_items.nnz, PENALTY))


def fit(data: Interactions, config: CollectiveAlsConfig, options: FitOptions) -> Factors:
    """Factorize ratings with each genre as one more user, who rated all its movies."""
    users = data.user_items.shape[0]
    # Genres alone tell nothing about users: without ratings nothing is learned.
    rows = confidences(data, config) if data.user_items.nnz else data.user_items
    fitted = factorize(OneShard(replace(data, user_items=rows)), _als(config), options)
    return Factors(fitted.users[:users].copy(), fitted.items)


def _als(config: CollectiveAlsConfig) -> AlsConfig:
    shared = {field.name: getattr(config, field.name) for field in fields(AlsConfig)}
    return AlsConfig(**shared)


def fold_in(
    trained: TrainedItems, rows: UserRows, config: CollectiveAlsConfig, options: FitOptions
) -> Factors:
    """Solve the least squares problem of each user as `als` does."""
    return als.fold_in(trained, rows, _als(config), options)


def confidences(data: Interactions, config: CollectiveAlsConfig) -> csr_matrix:
    """Return (users and then genres) x items, float32, in units of alpha."""
    ratings = weighted(on_scale_of(data, config.rating_weights), data.user_items)
    genres = genre_rows(data, config.genre_weight)
    return csr_matrix(vstack([ratings, genres], dtype=np.float32))


def cost(size: Size, config: CollectiveAlsConfig) -> Cost:
    """Return the cost of `als` of as many factors."""
    return least_squares_cost(size, config.iterations, config.factors)


SPEC = ModelSpec(
    name="collective_als",
    display_name="Collective ALS",
    family="factors",
    kind="personal",
    config=CollectiveAlsConfig,
    fit=fit,
    settle=settle,
    cost=cost,
    fold_in=fold_in,
    score_meaning="predicted preference, about 1 for a movie that suits; similarities are cosines",
    description="Implicit-feedback factorisation that learns from what was given and from genres",
    search_space={
        "factors": Range(16, 256, log=True, whole=True),
        "regularization": Range(1, 100, log=True),
        "alpha": Range(1, 20, log=True),
        "grade_effect": Range(0, 0.5),
        "genre_weight": Range(0, 5),
        "iterations": Range(5, 25, whole=True),
    },
    scoring="factors",
    roles={"similar": 50},
)
