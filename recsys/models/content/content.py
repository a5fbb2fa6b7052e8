"""Movies of the same genres described in the same words; needs no ratings of the movies.

similarity(i, j) = (1 - w) genres(i, j) + w text(i, j)   w: text_weight
score(u, i) = the same mean of the cosines of u's two profiles with i
where a movie lacks one of the two, the other has the whole weight
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recsys.domain import Interactions, ItemVectors
from recsys.models.base import Choice, FitOptions, ModelSpec, Need, Range
from recsys.models.content.content_genres import genre_vectors
from recsys.models.content.content_text import item_text_vectors
from recsys.models.cost import DOUBLE, Cost, Size, list_row, lists_by_scores
from recsys.models.grades import GradedParams
from recsys.models.params import Bounds
from recsys.models.shards import of_catalogue
from recsys.numerics.weighting import on_scale_of


@dataclass(frozen=True, slots=True)
class ContentConfig(GradedParams):
    text_weight: Annotated[float, Bounds(0, 1)] = 0.75
    """Share of the text in a score; the genres have the rest. Cosines of texts are several times
    smaller than cosines of genres, so that equal shares would let the genres decide."""
    ngrams: Annotated[int, Bounds(1, 5)] = 3
    """Longest word n-gram that counts as a term. 1: single words only."""


def fit(data: Interactions, config: ContentConfig, options: FitOptions) -> ItemVectors:
    """Describe each movie by its genres and its text.

    One rating is enough for a user to be served, and a movie needs none to be recommended.
    """
    parts = genre_vectors(data.item_genres), item_text_vectors(data, config.ngrams)
    shares = 1 - config.text_weight, config.text_weight
    return ItemVectors(parts, shares, on_scale_of(data, config.rating_weights))


def _needs(config: ContentConfig) -> frozenset[Need]:
    return frozenset({"texts"} if config.text_weight > 0 else ())


def cost(size: Size, config: ContentConfig) -> Cost:
    """Return the cost of cosines of texts, whose length is not counted."""
    stored = Cost(disk=size.movies * list_row(size.neighbours, 4 + DOUBLE))
    return stored + lists_by_scores(size, 5.0)


SPEC = ModelSpec(
    name="content",
    display_name="Content",
    family="content",
    kind="personal",
    config=ContentConfig,
    fit=fit,
    learn=of_catalogue(fit),
    cost=cost,
    score_meaning="mean of the cosines of genres and of text, by their weights; up to 1",
    description="Movies alike in genres and in words, for new people and new movies",
    needs=_needs,
    search_space={"text_weight": Range(0, 1), "ngrams": Choice((1, 2, 3))},
    scoring="profile",
    roles={"content": 10, "similar": 70},
)
