"""Movies described in the same words, rare words and phrases counting more.

v_i = TF-IDF of the words and phrases written about movie i, of length 1
similarity(i, j) = v_i . v_j
profile(u) = sum_j w_uj v_j over the rated j, of length 1;   w_uj: what the rating counts
score(u, i) = profile(u) . v_i
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from scipy.sparse import csr_matrix

from recsys.domain import Interactions, ItemVectors
from recsys.models.base import Choice, FitOptions, ModelSpec
from recsys.models.content.text import text_vectors
from recsys.models.cost import DOUBLE, Cost, Size, list_row, lists_by_scores
from recsys.models.grades import GradedParams
from recsys.models.params import Bounds
from recsys.models.shards import of_catalogue
from recsys.numerics.weighting import on_scale_of


@dataclass(frozen=True, slots=True)
class ContentTextConfig(GradedParams):
    ngrams: Annotated[int, Bounds(1, 5)] = 3
    """Longest word n-gram that counts as a term, as `world war ii`. 1: single words only."""


def fit(data: Interactions, config: ContentTextConfig, options: FitOptions) -> ItemVectors:
    """Describe each movie by its text; one without words that count has a vector of zeros."""
    vectors = item_text_vectors(data, config.ngrams)
    return ItemVectors((vectors,), (1.0,), on_scale_of(data, config.rating_weights))


def item_text_vectors(data: Interactions, ngrams: int) -> csr_matrix:
    """Return a unit vector for each item, zero for an item without text."""
    return text_vectors(data.item_texts or ("",) * data.user_items.shape[1], ngrams)


def cost(size: Size, config: ContentTextConfig) -> Cost:
    """Return the cost of cosines of texts, whose length is not counted."""
    stored = Cost(disk=size.movies * list_row(size.neighbours, 4 + DOUBLE))
    return stored + lists_by_scores(size, 5.0)


SPEC = ModelSpec(
    name="content_text",
    display_name="Content: text",
    family="content",
    kind="personal",
    config=ContentTextConfig,
    fit=fit,
    learn=of_catalogue(fit),
    cost=cost,
    score_meaning="cosine of TF-IDF weighted words and phrases, up to 1: the same text",
    description="Movies described in the same words: title, plot, keywords, tags, cast",
    needs=lambda config: frozenset({"texts"}),
    search_space={"ngrams": Choice((1, 2, 3, 4, 5))},
    scoring="profile",
    roles={"content": 30, "similar": 80},
)
