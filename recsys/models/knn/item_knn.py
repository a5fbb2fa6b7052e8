"""Item-based neighbourhoods: movies are similar when the same people rate them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from recsys.domain import Interactions, ModelOutput, Neighbours
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.knn.similarity import Similarity, similar_columns
from recsys.models.params import one_of, within
from recsys.numerics.scoring import recommend_from_neighbours
from recsys.numerics.topk import joined


@dataclass(frozen=True, slots=True)
class ItemKnnConfig:
    similarity: Similarity = "cosine"
    """`cosine` of the ratings, `jaccard` of who rated, or `pearson` and `adjusted_cosine` of what
    the common raters gave, from the means of the movies or of the raters: these two want shrinkage,
    and their lists hold negative similarities too."""
    min_support: int = 2
    """Common raters a pair needs: movies that one single person rated have cosine 1."""
    shrinkage: float = 0.0
    """lambda of the factor `n / (n + lambda)`, n being the common raters; 0 is none."""

    def __post_init__(self) -> None:
        one_of(self, "similarity", get_args(Similarity))
        within(self, "min_support", 1)
        within(self, "shrinkage", 0)


def fit(data: Interactions, config: ItemKnnConfig, options: FitOptions) -> ModelOutput:
    """List the k most similar movies of each, and recommend by the sum of similarities."""
    similar = similar_columns(
        data.user_items, config.similarity, config.min_support, config.shrinkage, options
    )
    neighbours = joined(Neighbours, [similar])
    recommendations = recommend_from_neighbours(data.user_items, neighbours, options)
    return ModelOutput(neighbours=neighbours, recommendations=recommendations)


SPEC = ModelSpec(
    name="item_knn",
    kind="personal",
    config=ItemKnnConfig,
    fit=fit,
    score_meaning="sum of the similarities (up to 1 each) to the movies rated",
    description="Movies like those you rated, by the ratings of those who rated both",
    scoring="sum",
    prediction="movie_neighbours",
    search={
        "similarity": Choice(get_args(Similarity)),
        "min_support": Range(1, 20, log=True, whole=True),
        "shrinkage": Range(0, 200),
    },
)
