"""Movies of the same genres described in the same words; needs no ratings of the movies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recsys.domain import Interactions, ModelOutput
from recsys.models.base import Choice, FitOptions, ModelSpec, Need, Range
from recsys.models.content.content_genres import genre_vectors
from recsys.models.content.content_text import item_text_vectors
from recsys.models.content.vectors import nearest_items, recommend_by_profile, side_by_side
from recsys.models.params import Bounds, Params


@dataclass(frozen=True, slots=True)
class ContentConfig(Params):
    text_weight: Annotated[float, Bounds(0, 1)] = 0.75
    """Share of the text in a score; the genres have the rest. Cosines of texts are several times
    smaller than cosines of genres, so that equal shares would let the genres decide."""
    ngrams: Annotated[int, Bounds(1, 5)] = 3
    """Longest word n-gram that counts as a term. 1: single words only."""


def fit(data: Interactions, config: ContentConfig, options: FitOptions) -> ModelOutput:
    """List and recommend by genres and text together.

    A score is the mean of what `content_genres` and `content_text` would give, by the weights.
    Where a movie has no text (or no genres), its vector is that of the other part alone. One
    rating is enough to be served, and a movie needs none to be recommended.
    """
    parts = [genre_vectors(data.item_genres), item_text_vectors(data, config.ngrams)]
    weights = [1 - config.text_weight, config.text_weight]
    return ModelOutput(
        neighbours=nearest_items(side_by_side(parts, weights), options),
        recommendations=recommend_by_profile(data.user_items, parts, weights, options),
    )


def _needs(config: ContentConfig) -> frozenset[Need]:
    return frozenset({"texts"} if config.text_weight > 0 else ())


SPEC = ModelSpec(
    name="content",
    display_name="Content",
    family="content",
    kind="personal",
    config=ContentConfig,
    fit=fit,
    score_meaning="mean of the cosines of genres and of text, by their weights; up to 1",
    description="Movies alike in genres and in words, for new people and new movies",
    needs=_needs,
    search={"text_weight": Range(0, 1), "ngrams": Choice((1, 2, 3))},
    scoring="profile",
    roles={"content": 10, "similar": 70},
)
