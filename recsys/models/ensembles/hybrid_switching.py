"""Hybrid: the whole list from the first model of a chain that can serve the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsys.domain import Int64, Interactions, ModelOutput
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.ensembles.hybrid import Offers, check_chain, hybrid
from recsys.models.params import Bounds, ModelName, Params

NAME = "hybrid_switching"


@dataclass(frozen=True, slots=True)
class HybridSwitchingConfig(Params):
    chain: tuple[ModelName, ...] = ("ease", "content_genres", "popular")
    """Models in the order in which they are tried: collaborative first, or content first."""
    min_ratings: tuple[Annotated[int, Bounds(0)], ...] = (5, 1, 0)
    """Number of ratings a user needs before each model of the chain serves them."""

    def check(self) -> None:
        check_chain(self, NAME)
        if len(self.min_ratings) != len(self.chain):
            raise ConfigError(
                f"min_ratings = {self.min_ratings!r} does not fit the chain",
                hint=f"min_ratings must be {len(self.chain)} numbers, "
                f"one for each of: {', '.join(self.chain)}",
                key=("min_ratings",),
            )


def fit(data: Interactions, config: HybridSwitchingConfig, options: FitOptions) -> ModelOutput:
    """List what the first model offers of which the user has enough ratings, and that offers any.

    A chart serves everybody who has not rated all of it; charts come last, then.
    """
    needed = np.array(config.min_ratings)[:, None]

    def choose(offers: Offers, ratings: Int64) -> Int64:
        serves = np.zeros((len(config.chain), len(ratings)), bool)
        serves[offers.parts, offers.rows] = True
        serves &= ratings >= needed
        first = np.argmax(serves, axis=0)
        wanted = serves[offers.parts, offers.rows] & (first[offers.rows] == offers.parts)
        entries = np.flatnonzero(wanted)
        # All of a user's are of one list already in order.
        return entries[np.argsort(offers.rows[entries], kind="stable")]

    return hybrid(data, config.chain, choose, options)


SPEC = ModelSpec(
    name=NAME,
    display_name="Switching hybrid",
    family="ensembles",
    kind="personal",
    config=HybridSwitchingConfig,
    fit=fit,
    score_meaning="score of the model that gave the list",
    description="First of several models that can serve a user: collaborative, content, popular",
    parts=lambda config: config.chain,
    scoring="parts",
)
