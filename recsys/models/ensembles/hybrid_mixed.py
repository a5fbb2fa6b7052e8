"""Hybrid: the lists of several models interleaved, each entry keeping its source.

    list(u) = first of model 1, first of model 2, ..., second of model 1, second of model 2, ...
    a model whose movie is listed already, or whose list has ended, passes its turn

R. Burke: Hybrid Recommender Systems: Survey and Experiments, UMUAI 12, 2002 (mixed hybrids).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.domain import ComputeLimits, Ensemble, Int64, Interactions, TopN, UserRows
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.cost import Cost, Size, lists_by_scores
from recsys.models.ensembles.hybrid import Offers, check_chain, members_of, rank_by_selection
from recsys.models.params import ModelName, Params
from recsys.models.shards import of_catalogue

NAME = "hybrid_mixed"


@dataclass(frozen=True, slots=True)
class HybridMixedConfig(Params):
    chain: tuple[ModelName, ...] = ("ease", "als", "content_genres", "popular")
    """Models whose lists are interleaved, in the order of their turns."""

    def check(self) -> None:
        check_chain(self, NAME)


def fit(data: Interactions, config: HybridMixedConfig, options: FitOptions) -> Ensemble:
    """Take the fitted models of the chain."""
    return members_of(data, config.chain)


def rank(ensemble: Ensemble, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """List the first of each model, then the second of each, and so on; a movie only once."""
    items = users.ratings.shape[1]
    members = len(ensemble.members)

    def select(offers: Offers, ratings: Int64) -> Int64:
        turns = offers.places.max(initial=0) + 1
        order = np.argsort((offers.rows * turns + offers.places) * members + offers.members)
        pairs = offers.rows[order] * items + offers.items[order]
        # np.unique returns the first occurrence: the earliest turn of each movie.
        first = np.unique(pairs, return_index=True)[1]
        entries: Int64 = order[np.sort(first)]
        return entries

    return rank_by_selection(ensemble, users, n, limits, select)


def cost(size: Size, config: HybridMixedConfig) -> Cost:
    """Return the cost of scoring all movies by each of its models."""
    return lists_by_scores(size, 5.0 * len(config.chain))


SPEC = ModelSpec(
    name=NAME,
    display_name="Mixed hybrid",
    family="ensembles",
    kind="personal",
    config=HybridMixedConfig,
    fit=fit,
    learn=of_catalogue(fit),
    cost=cost,
    rank=rank,
    score_meaning="score of the model the movie came from; only the order compares them",
    description="The lists of several models interleaved: collaborative, content and popular",
    parts=lambda config: config.chain,
    scoring="parts",
)
