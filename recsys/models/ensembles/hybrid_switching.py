"""Hybrid: the whole list from the first model of a chain that can serve the user.

    list(u) = that of the first model m with ratings(u) >= min_ratings(m) and a list for u

R. Burke: Hybrid Recommender Systems: Survey and Experiments, UMUAI 12, 2002 (switching hybrids).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from recsys.domain import ComputeLimits, Ensemble, Int64, Interactions, TopN, UserRows
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.cost import Cost, Size, lists_by_scores
from recsys.models.ensembles.hybrid import Offers, check_chain, members_of, rank_by_selection
from recsys.models.params import Bounds, ModelName, Params
from recsys.models.shards import of_catalogue

NAME = "hybrid_switching"


@dataclass(frozen=True, slots=True)
class HybridSwitchingConfig(Params):
    chain: tuple[ModelName, ...] = ("ease", "content_genres", "trending", "popular")
    """Models in the order in which they are tried: collaborative first, or content first. Without
    times `trending` has no movies, and the next one serves."""
    min_ratings: tuple[Annotated[int, Bounds(0)], ...] = (5, 1, 0, 0)
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


def fit(data: Interactions, config: HybridSwitchingConfig, options: FitOptions) -> Ensemble:
    """Take the fitted models of the chain and the number of ratings that each requires."""
    return replace(members_of(data, config.chain), min_ratings=config.min_ratings)


def rank(ensemble: Ensemble, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """List the offers of the first model that serves the user.

    A chart serves every user who has not rated all of it, so charts belong at the end.
    """
    needed = np.array(ensemble.min_ratings)[:, None]

    def select(offers: Offers, ratings: Int64) -> Int64:
        serves = np.zeros((len(ensemble.members), len(ratings)), bool)
        serves[offers.members, offers.rows] = True
        serves &= ratings >= needed
        # 0 also for a user whom no model serves, but then there is no offer to take.
        first = np.argmax(serves, axis=0)
        wanted = serves[offers.members, offers.rows] & (first[offers.rows] == offers.members)
        entries = np.flatnonzero(wanted)
        # Entries of one user come from one list, in order already.
        return entries[np.argsort(offers.rows[entries], kind="stable")]

    return rank_by_selection(ensemble, users, n, limits, select)


def cost(size: Size, config: HybridSwitchingConfig) -> Cost:
    """Return the cost of scoring all movies by each of its models."""
    return lists_by_scores(size, 5.0 * len(config.chain))


SPEC = ModelSpec(
    name=NAME,
    display_name="Switching hybrid",
    family="ensembles",
    kind="personal",
    config=HybridSwitchingConfig,
    fit=fit,
    learn=of_catalogue(fit),
    cost=cost,
    rank=rank,
    score_meaning="score of the model that gave the list",
    description="First of several models that can serve a user: collaborative, content, popular",
    parts=lambda config: config.chain,
    scoring="parts",
)
