"""Hybrid: the lists of several models interleaved, each entry keeping its source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.domain import Int64, Interactions, ModelOutput
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.ensembles.hybrid import Offers, check_chain, hybrid
from recsys.models.params import ModelName, Params

NAME = "hybrid_mixed"


@dataclass(frozen=True, slots=True)
class HybridMixedConfig(Params):
    chain: tuple[ModelName, ...] = ("ease", "als", "content_genres", "popular")
    """Models whose lists are interleaved, in the order of their turns."""

    def check(self) -> None:
        check_chain(self, NAME)


def fit(data: Interactions, config: HybridMixedConfig, options: FitOptions) -> ModelOutput:
    """List the first of each model, then the second of each, and so on; a movie only once.

    A model whose movie is listed already, or whose list has ended, passes its turn.
    """
    items = data.user_items.shape[1]

    def choose(offers: Offers, ratings: Int64) -> Int64:
        turns = offers.places.max(initial=0) + 1
        parts = len(config.chain)
        order = np.argsort((offers.rows * turns + offers.places) * parts + offers.parts)
        pairs = offers.rows[order] * items + offers.items[order]
        first = np.unique(pairs, return_index=True)[1]
        entries: Int64 = order[np.sort(first)]
        return entries

    return hybrid(data, config.chain, choose, options)


SPEC = ModelSpec(
    name=NAME,
    display_name="Mixed hybrid",
    family="ensembles",
    kind="personal",
    config=HybridMixedConfig,
    fit=fit,
    score_meaning="score of the model the movie came from; only the order compares them",
    description="The lists of several models interleaved: collaborative, content and popular",
    parts=lambda config: config.chain,
    scoring="parts",
)
