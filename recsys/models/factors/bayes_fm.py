"""Rating prediction by a Bayesian factorization machine with side information.

    r(x) = w0 + w . x + sum_(f<g) V_f . V_g x_f x_g
    x: the user's id, attributes and set of rated movies; the movie's id, genres, year and raters
    draw (w0, w, V) by Gibbs sampling, in several chains; predict by the mean of the draws
    the mean is again biases and a dot product, compressed to `stored_factors` factors

S. Rendle: Factorization Machines with libFM, ACM TIST 2012; the sets of ratings as features after
S. Rendle, L. Zhang, Y. Koren: On the Difficulty of Evaluating Baselines, arXiv:1905.01395.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Factors, Interactions, Metric, TrainedItems, UserRows
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size, of_factors
from recsys.models.factors.factorisation_machine import draw, item_side, user_side
from recsys.models.factors.posterior import PosteriorMean, Sample
from recsys.models.params import Bounds, Params
from recsys.numerics.least_squares import solve_rows
from recsys.numerics.prediction import predict_ratings
from recsys.numerics.sparse import has_ratings, row_of_entries

FACTOR_BYTES = 32
"""Arrays of one user or item during compression: draws, joined draws, their basis and a copy."""

Known = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BayesFmConfig(Params):
    rank: Annotated[int, Bounds(0, 256)] = 0
    """Number of factors of one draw. 0: `10 sqrt(ratings / 100,000)`, from 10 to 48."""
    chains: Annotated[int, Bounds(0, 1000)] = 0
    """Gibbs samplers, each with its own seed, whose draws are averaged. A chain stays near the mode
    it finds, so that several chains cover more modes than one long chain. 0: `88 / (rank + 1)`, at
    least 2. More ratings leave less to average away, and the time for a rating stays the same."""
    iterations: Annotated[int, Bounds(1, 100_000)] = 60
    """Number of draws of each chain."""
    burn_in: Annotated[int, Bounds(0)] = 20
    """Number of first draws that each chain discards; less than `iterations`."""
    stored_factors: Annotated[int, Bounds(1, 1024)] = 64
    """Number of factors that the posterior mean is compressed to."""

    def check(self) -> None:
        if self.burn_in >= self.iterations:
            raise ConfigError(
                f"burn_in = {self.burn_in} leaves none of {self.iterations} iterations",
                hint="burn_in must be less than iterations",
                key=("burn_in",),
            )


def settle(config: BayesFmConfig, data: Interactions) -> BayesFmConfig:
    """Let rank and chains follow from the number of ratings where they are 0."""
    return sized(config, data.user_items.nnz)


def sized(config: BayesFmConfig, ratings: float) -> BayesFmConfig:
    rank = config.rank or round(min(max(10 * (ratings / 100_000) ** 0.5, 10), 48))
    return replace(config, rank=rank, chains=config.chains or max(2, round(88 / (rank + 1))))


def fit(data: Interactions, config: BayesFmConfig, options: FitOptions) -> Factors:
    """Average the predictions of many draws.

    Users and items without ratings have factors of 0, a bias of NaN, and no lists.
    """
    ratings = data.user_items
    users, items = has_ratings(ratings)
    known = _restricted(data, users, items)
    # Equal ratings teach nothing more, and have no spread to scale by.
    varied = ratings.nnz > 0 and np.ptp(ratings.data) > 0
    mean = posterior_mean(known, config, options) if varied else _constant(known.user_items)
    return _scattered(mean, users, items, config.stored_factors)


def fold_in(
    trained: TrainedItems, rows: UserRows, config: BayesFmConfig, options: FitOptions
) -> Factors:
    """Regress each user's ratings on the factors of the items, with the priors of the fit.

    The stored factors of users have mean squares of 1, so their prior has a variance of 1; that of
    the bias has the variance of the ratings about their mean. The error of the fit is the noise.
    """
    ratings = rows.ratings
    vectors = np.column_stack([trained.items.astype(np.float64), np.ones(len(trained.items))])
    noise = (trained.deviation if trained.rmse is None else trained.rmse) ** 2
    # Floors keep the problem solvable where all ratings are equal.
    penalty = np.full(vectors.shape[1], max(noise, 1e-6))
    penalty[-1] /= max(trained.deviation**2, 1e-6)
    targets = ratings.data - trained.mean - np.nan_to_num(trained.item_bias)[ratings.indices]
    own = solve_rows(ratings, np.ones(ratings.nnz), targets, vectors, np.diag(penalty))
    known, _ = has_ratings(ratings)
    bias = np.where(known, trained.mean + own[:, -1], np.nan)
    return Factors(own[:, :-1].astype(np.float32), trained.items, bias, trained.item_bias)


def measure(
    fitted: Factors, data: Interactions, config: BayesFmConfig, options: FitOptions
) -> tuple[Metric, ...]:
    """Measure the RMSE on the training ratings."""
    ratings = data.user_items
    if ratings.nnz == 0:
        return ()
    predicted = predict_ratings(data, fitted, row_of_entries(ratings), ratings.indices)
    rmse = float(np.sqrt(np.mean((predicted - ratings.data) ** 2)))
    return (Metric("train", "rmse", rmse, ratings.nnz),)


def _restricted(data: Interactions, users: Known, items: Known) -> Interactions:
    """Return the data of some users and items only."""
    years, attributes = data.item_years, data.user_attributes
    return Interactions(
        data.user_items[users][:, items],
        data.item_genres[items],
        data.genres,
        item_years=None if years is None else years[items],
        user_attributes=None if attributes is None else attributes[users],
    )


def posterior_mean(
    data: Interactions,
    config: BayesFmConfig,
    options: FitOptions,
    factor_bytes: int = FACTOR_BYTES,
) -> Sample:
    """Return the mean prediction of the draws; every user and item has ratings.

    Factors of the draws are compressed when they take more than `memory_mb`, each `factor_bytes`.
    """
    ratings = data.user_items
    kept = 2 * config.stored_factors
    room = options.memory_mb * 2**20 // (factor_bytes * sum(ratings.shape))
    mean = PosteriorMean(kept, room=min(max(kept, room), 4 * kept))

    def take(iteration: int, sample: Sample) -> None:
        if iteration >= config.burn_in:
            mean.add(sample)

    # The priors of the library expect ratings about 0 with a spread of 1.
    level, unit = ratings.data.mean(), ratings.data.std()
    values = (ratings.data - level) / unit
    standard = csr_matrix((values, ratings.indices, ratings.indptr), shape=ratings.shape)
    sides = user_side(data), item_side(data)
    for chain in range(config.chains):
        # Chains of one seed would be copies of each other.
        seed = (options.seed + chain) % 2**32
        draw(standard, *sides, config.rank, config.iterations, seed, take)
    result = mean.mean(config.stored_factors)
    user_bias, item_bias = level + unit * result.user_bias, unit * result.item_bias
    return Sample(user_bias, item_bias, result.users, unit * result.items)


def _constant(ratings: csr_matrix) -> Sample:
    """Predict the one rating that all users gave."""
    users, items = ratings.shape
    user_bias = np.full(users, ratings.data[:1].sum())
    return Sample(user_bias, np.zeros(items), np.zeros((users, 0)), np.zeros((items, 0)))


def _scattered(mean: Sample, users: Known, items: Known, width: int) -> Factors:
    """Map factors of known users and items back to all of them."""
    factors = Factors(
        np.zeros((len(users), width), np.float32),
        np.zeros((len(items), width), np.float32),
        np.full(len(users), np.nan),
        np.full(len(items), np.nan),
    )
    assert factors.user_bias is not None
    assert factors.item_bias is not None
    factors.users[users, : mean.users.shape[1]] = mean.users
    factors.items[items, : mean.items.shape[1]] = mean.items
    factors.user_bias[users], factors.item_bias[items] = mean.user_bias, mean.item_bias
    return factors


def cost(size: Size, config: BayesFmConfig) -> Cost:
    """Return the cost of its draws, each a pass over the ratings for every factor."""
    config = sized(config, size.ratings)
    draws = config.chains * config.iterations * (config.rank + 1)
    fitting = Cost(6.5e-8 * draws * size.ratings, 300.0 * size.ratings)
    return fitting + of_factors(size, config.stored_factors)


SPEC = ModelSpec(
    name="bayes_fm",
    display_name="Bayesian factorization machine",
    family="factors",
    kind="personal",
    config=BayesFmConfig,
    fit=fit,
    settle=settle,
    cost=cost,
    fold_in=fold_in,
    measure=measure,
    score_meaning="predicted rating, not clipped to the scale; similarities are correlations",
    description="Bayesian factorisation machine on ratings, genres, years and users' attributes",
    needs=lambda config: frozenset({"attributes"}),
    prediction="factors",
    requires=("myfm", "bayes"),
    search_space={"rank": Range(4, 24, whole=True)},
    scoring="factors",
    needs_ratings=True,
    roles={"rating": 10},
)
