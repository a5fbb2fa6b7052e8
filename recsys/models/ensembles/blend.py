"""Blend: scores of several models, put on one scale for each user, and averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recsys.domain import Float64, Interactions, ModelOutput, RankedLists, TopN
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, ModelSpec, Range, Scoring, making_lists
from recsys.models.params import Bounds, ModelName, Params
from recsys.numerics.scoring import binarised, weight_matrix
from recsys.numerics.sparse import rated
from recsys.numerics.topk import joined, over_blocks, ranked_top_k

PART_SCORINGS: frozenset[Scoring] = frozenset({"sum", "factors"})
"""Scores that a block of users gets by one matrix product, over all movies."""
_BYTES_A_COLUMN = 72
"""Sparse product, its dense copy, squares, the sum, the copy that is partitioned, masks."""
_ROUNDING = 1e-6
"""Spread of scores, relative to the largest, below which it may be what rounding made of none."""

Scores = Callable[[int, int], Float64]
"""From a block of users, start and stop, to users x items; a constant of a user may be left out."""


@dataclass(frozen=True, slots=True)
class BlendConfig(Params):
    models: tuple[ModelName, ...] = ("ease", "als")
    """Models whose scores are blended."""
    weights: tuple[Annotated[float, Bounds(0)], ...] = (1.0, 1.0)
    """Weight of each model; only the proportions count."""

    def check(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ConfigError(
                f"models = {self.models!r} cannot be blended",
                hint="models must name one or more models, each once",
                key=("models",),
            )
        if len(self.weights) != len(self.models) or sum(self.weights) <= 0:
            raise ConfigError(
                f"weights = {self.weights!r} do not fit models = {self.models!r}",
                hint="weights must hold one number for each model, at least one of them above 0",
                key=("weights",),
            )


@making_lists
def fit(data: Interactions, config: BlendConfig, options: FitOptions) -> ModelOutput:
    """Recommend by the weighted mean of the models' scores, each in standard deviations.

    A user's scores of a model are standardised over the candidates: items that have ratings, but
    none of the user. Where a model tells none of them from another it contributes 0.
    """
    ratings = data.user_items
    users, items = rated(ratings)
    parts = [_scores(ratings, data.parts[name]) for name in config.models]
    weights = np.array(config.weights) / sum(config.weights)

    def work(start: int, stop: int) -> RankedLists:
        candidates = users[start:stop, None] & items & ~_seen(ratings[start:stop])
        total = np.zeros(candidates.shape)
        for part, weight in zip(parts, weights, strict=True):
            total += weight * standardised(part(start, stop), candidates)
        total[~candidates] = -np.inf
        return ranked_top_k(total, options.n)

    with threadpool_limits(1, "blas"):  # the blocks run side by side already
        row_bytes = _BYTES_A_COLUMN * len(items)
        blocks = over_blocks(len(users), row_bytes, options, work)
    return ModelOutput(recommendations=joined(TopN, blocks))


def _scores(user_items: csr_matrix, output: ModelOutput) -> Scores:
    """Return how a model scores, from its stored factors or else from its stored neighbours."""
    if output.factors is not None:
        own, other = output.factors.users, output.factors.items.T.astype(np.float64)
        bias = output.factors.item_bias
        added = np.zeros(1) if bias is None else bias  # NaN where nobody rated: no candidates
        return lambda start, stop: own[start:stop].astype(np.float64) @ other + added
    assert output.neighbours is not None
    seen, weights = binarised(user_items), weight_matrix(output.neighbours)
    return lambda start, stop: (seen[start:stop] @ weights).toarray()


def _seen(ratings: csr_matrix) -> NDArray[np.bool_]:
    return binarised(ratings).toarray() > 0


def standardised(scores: Float64, candidates: NDArray[np.bool_]) -> Float64:
    """Return each row less its mean, over its standard deviation; of the candidates alone.

    Other places are 0, and so is a row without spread.
    """
    counts = np.maximum(candidates.sum(axis=1, keepdims=True), 1)
    scores = np.where(candidates, scores, 0)
    largest = np.abs(scores).max(axis=1, keepdims=True, initial=0)
    scores = np.where(candidates, scores - scores.sum(axis=1, keepdims=True) / counts, 0)
    spread = np.sqrt((scores**2).sum(axis=1, keepdims=True) / counts)
    told = spread > _ROUNDING * largest
    result: Float64 = np.divide(scores, spread, out=np.zeros_like(scores), where=told)
    return result


SPEC = ModelSpec(
    name="blend",
    display_name="Blend",
    family="ensembles",
    kind="personal",
    config=BlendConfig,
    fit=fit,
    score_meaning="standard deviations above the user's average movie, mean over the models",
    description="Several models in one: the mean of their scores, put on one scale for each user",
    parts=lambda config: config.models,
    search={"weights": Range(0.1, 1, each=True)},
    scoring="parts",
    part_scorings=PART_SCORINGS,
)
