"""What people rate next: self-attention over the newest ratings of a user.

    h = (E[i_1 .. i_n] + P + G) sqrt(width)      the last n = `window` movies, their places, and
                                                 whether each was liked, disliked or neither
    blocks of causal self-attention and of a dense layer, each with dropout and a residual
    score(u, i) = h_n . E_i                      user vector: the output at the newest rating

Every rating but a user's first is learned from those before it, by cross-entropy over all movies.
Beyond `full_softmax` movies it is gBCE with `negatives` random movies of each batch instead:

    beta = a (t (1 - 1/a) + 1/a),  a: share of the movies drawn,  t: `calibration`
    loss = -beta log sigmoid(s_positive) - sum over the negatives of log(1 - sigmoid(s))

Ratings of one time are in another random order each epoch, and the vector of a user is the mean
over `orders` random orders. The newest rating of each user tells when to stop.

W. Kang, J. McAuley: Self-Attentive Sequential Recommendation, ICDM 2018, arXiv:1808.09781;
A. Petrov, C. Macdonald: gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with
Negative Sampling, RecSys 2023, arXiv:2308.07192. Cross-entropy over all movies after A. Klenitskiy,
A. Vasilev: Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?, RecSys 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsys.domain import Factors, Interactions, NetworkFactors, TrainedItems, UserRows
from recsys.errors import ConfigError
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.cost import Cost, Size, network, of_factors
from recsys.models.neural.training import REQUIRES, LikingParams
from recsys.models.params import Bounds


@dataclass(frozen=True, slots=True)
class SasrecConfig(LikingParams):
    factors: Annotated[int, Bounds(1, 1024)] = 64
    """Width of the vectors of movies and users; a multiple of `heads`."""
    window: Annotated[int, Bounds(1, 1000)] = 20
    """Number of newest ratings that count."""
    blocks: Annotated[int, Bounds(1, 16)] = 2
    """Number of blocks of self-attention."""
    heads: Annotated[int, Bounds(1, 64)] = 2
    """Number of attention heads of each block."""
    dropout: Annotated[float, Bounds(0, 0.95)] = 0.4
    """Share of the values that each layer leaves out at random in training."""
    orders: Annotated[int, Bounds(1, 100)] = 4
    """Number of random orders of ratings of one time that a vector of a user is the mean of."""
    full_softmax: Annotated[int, Bounds(0)] = 10_000
    """Number of movies up to which all are compared in training; beyond, `negatives` are drawn."""
    negatives: Annotated[int, Bounds(1, 100_000)] = 256
    """Number of movies drawn for each batch."""
    calibration: Annotated[float, Bounds(0, 1)] = 0.75
    """The t of gBCE: 0 is binary cross-entropy; 1 makes scores calibrated probabilities."""
    validation_users: Annotated[int, Bounds(0)] = 2_000
    """Users whose newest rating is held out to find the epoch to stop at, at most."""
    patience: Annotated[int, Bounds(1, 10_000)] = 6
    batch_size: Annotated[int, Bounds(1, 1_000_000)] = 64
    """Number of windows of one step."""
    learning_rate: Annotated[float, Bounds(0, 1, above=True)] = 0.003

    def check(self) -> None:
        if self.factors % self.heads:
            raise ConfigError(
                f"factors = {self.factors} cannot be divided among {self.heads} heads",
                hint="factors must be a multiple of heads",
                key=("factors",),
            )


def fit(data: Interactions, config: SasrecConfig, options: FitOptions) -> NetworkFactors:
    """Train the network, and compute the vectors of all users and movies with ratings."""
    users, items = data.user_items.shape
    if not (np.diff(data.user_items.indptr) > 1).any():  # nothing follows another rating
        none = np.zeros((users + items, config.factors), np.float32)
        return NetworkFactors(none[:users], none[users:])
    # Imported here: Keras and JAX take seconds.
    from recsys.models.neural.networks.attention import learn

    return learn(data, config, options)


def fold_in(
    trained: TrainedItems, rows: UserRows, config: SasrecConfig, options: FitOptions
) -> Factors:
    """Compute the vectors of users from their ratings, by the stored network."""
    from recsys.models.neural.networks.attention import of_users

    return of_users(trained, rows, config, options)


def cost(size: Size, config: SasrecConfig) -> Cost:
    """Return the cost of some 25 epochs, and of lists from factors."""
    items = len(size.of_movies)
    compared = items if items <= config.full_softmax else config.negatives
    width = config.factors
    layers = config.blocks * (12 * width**2 + 2 * config.window * width)
    steps = 3 * 2 * size.ratings * (layers + compared * width)
    windows = 4.0 * config.batch_size * config.window * (compared * 3 + width * 20)
    fitting = Cost(25 * 2.0e-11 * steps, windows + 48.0 * size.ratings)
    stored = Cost(disk=network(width, size.movies) + 12.0 * 4 * config.blocks * width**2)
    return fitting + of_factors(size, width) + stored


SPEC = ModelSpec(
    name="sasrec",
    display_name="SASRec",
    family="neural",
    kind="personal",
    config=SasrecConfig,
    fit=fit,
    cost=cost,
    fold_in=fold_in,
    score_meaning="product of the vectors of user and movie; similarities are cosines",
    description="What people rate next: self-attention over the newest ratings",
    needs=lambda config: frozenset({"times"}),
    requires=REQUIRES,
    scoring="factors",
    search_space={
        "factors": Choice((64, 128)),
        "window": Choice((10, 20, 30, 50)),
        "blocks": Choice((1, 2)),
        "dropout": Range(0.2, 0.6),
        "learning_rate": Range(0.001, 0.005, log=True),
    },
)
