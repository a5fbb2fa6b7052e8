"""Item-based neighbourhoods: movies are similar when the same people rate them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_args

from recsys.domain import Interactions, ModelOutput, Neighbours
from recsys.models.base import Choice, FitOptions, ModelSpec, Range
from recsys.models.knn.similarity import Similarity, similar_columns
from recsys.models.params import Bounds, Params
from recsys.numerics.scoring import recommend_from_neighbours
from recsys.numerics.topk import joined


@dataclass(frozen=True, slots=True)
class ItemKnnConfig(Params):
    similarity: Similarity = "cosine"
    """`cosine` of the rating vectors; `jaccard` of the sets of raters; `pearson` and
    `adjusted_cosine` of the common raters' ratings, centred on the means of the movies or of the
    users. The last two need shrinkage, and their lists hold negative similarities too."""
    min_support: Annotated[int, Bounds(1)] = 2
    """Number of common raters a pair needs: two movies rated by one user have cosine 1."""
    shrinkage: Annotated[float, Bounds(0)] = 0.0
    """lambda of the factor `n / (n + lambda)` for `n` common raters. 0: no shrinkage."""


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
    display_name="Item kNN",
    family="knn",
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
    default_set=True,
    roles={"live": 30, "rating": 50, "similar": 30},
)
