"""Movies described in the same words, rare words and phrases counting more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from scipy.sparse import csr_matrix

from recsys.domain import Interactions, ModelOutput
from recsys.models.base import Choice, FitOptions, ModelSpec
from recsys.models.content.text import text_vectors
from recsys.models.content.vectors import nearest_items, recommend_by_profile
from recsys.models.params import Bounds, Params


@dataclass(frozen=True, slots=True)
class ContentTextConfig(Params):
    ngrams: Annotated[int, Bounds(1, 5)] = 3
    """Longest word n-gram that counts as a term, as `world war ii`. 1: single words only."""


def fit(data: Interactions, config: ContentTextConfig, options: FitOptions) -> ModelOutput:
    """List for each movie those with the most similar text, and recommend by users' profiles.

    A movie without text, or of stop words only, has no neighbours and is nobody's.
    """
    vectors = item_text_vectors(data, config.ngrams)
    return ModelOutput(
        neighbours=nearest_items(vectors, options),
        recommendations=recommend_by_profile(data.user_items, [vectors], [1.0], options),
    )


def item_text_vectors(data: Interactions, ngrams: int) -> csr_matrix:
    """Return a unit vector for each item, zero where nothing is written about it."""
    return text_vectors(data.item_texts or ("",) * data.user_items.shape[1], ngrams)


SPEC = ModelSpec(
    name="content_text",
    display_name="Content: text",
    family="content",
    kind="personal",
    config=ContentTextConfig,
    fit=fit,
    score_meaning="cosine of TF-IDF weighted words and phrases, up to 1: the same text",
    description="Movies described in the same words: title, plot, keywords, tags, cast",
    needs=lambda config: frozenset({"texts"}),
    search={"ngrams": Choice((1, 2, 3, 4, 5))},
    scoring="profile",
    roles={"content": 30, "similar": 80},
)
