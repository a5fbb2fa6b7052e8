"""Movies of the same genres, rare genres counting more.

v_i = TF-IDF of the genres of movie i, of length 1
similarity(i, j) = v_i . v_j
profile(u) = sum_j w_uj v_j over the rated j, of length 1;   w_uj: what the rating counts
score(u, i) = profile(u) . v_i
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer

from recsys.domain import (
    ComputeLimits,
    Int64,
    Interactions,
    ItemVectors,
    Neighbours,
    RankedLists,
    TopN,
    UserRows,
)
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.cost import DOUBLE, Cost, Size, list_row, lists_by_scores
from recsys.models.grades import GradedParams
from recsys.models.shards import of_catalogue
from recsys.numerics.blocks import map_blocks
from recsys.numerics.scoring import cosines, rank_by_profile
from recsys.numerics.topk import concatenate, empty, ranked_top_k
from recsys.numerics.weighting import on_scale_of

_BYTES_A_COLUMN = 64
"""Scores of one genre set to all movies, the copy that is partitioned, masks and positions."""


@dataclass(frozen=True, slots=True)
class ContentGenresConfig(GradedParams):
    """Only what a rating counts."""


def fit(data: Interactions, config: ContentGenresConfig, options: FitOptions) -> ItemVectors:
    """Describe each movie by its genres; one without genres has a vector of zeros."""
    weights = on_scale_of(data, config.rating_weights)
    return ItemVectors((genre_vectors(data.item_genres),), (1.0,), weights)


def genre_vectors(item_genres: csr_matrix) -> csr_matrix:
    """Return a unit vector for each item, items x genres; zero where it has no genre."""
    if 0 in item_genres.shape:
        return item_genres
    return csr_matrix(TfidfTransformer().fit_transform(item_genres))


def similar(fitted: ItemVectors, options: FitOptions) -> Neighbours:
    """List for each movie those with the most similar genres, by cosine, where it is above 0.

    Many movies share a set of genres: one list is made for each set, then one for each movie.
    """
    [vectors] = fitted.parts
    first, set_of_item = _distinct_sets(vectors)
    if not len(first):
        return empty(Neighbours, vectors.shape[0])
    lists = _lists_of_sets(vectors[first], set_of_item, options)
    return _lists_of_items(lists, set_of_item, options.k)


def rank(fitted: ItemVectors, users: UserRows, n: int, limits: ComputeLimits) -> TopN:
    """List for each user the movies whose genres are most similar to the user's profile."""
    distinct = _distinct_sets(fitted.parts[0])
    if not len(distinct[0]):
        return empty(TopN, len(users))
    return rank_by_profile(fitted, users, n, limits, distinct)


def _distinct_sets(vectors: csr_matrix) -> tuple[Int64, Int64]:
    """Return the first item of each distinct set of genres, and the set of each item.

    Movies of the same genres have the same vector, so its pattern tells the set.
    """
    if 0 in vectors.shape:
        return np.zeros(0, np.int64), np.zeros(vectors.shape[0], np.int64)
    # Bytes of bits compare faster than rows of floats.
    bits = np.packbits(vectors.toarray() > 0, axis=1)
    _, first, members = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    return first, members.reshape(-1)


def _lists_of_sets(sets: csr_matrix, set_of_item: Int64, options: FitOptions) -> RankedLists:
    """Rank the k + 1 best movies for each set: one more, since a movie's own may be among them."""
    columns = sets.T.tocsr()

    def work(start: int, stop: int) -> RankedLists:
        scores = np.take(cosines(sets[start:stop], columns), set_of_item, axis=1)
        return ranked_top_k(scores, options.k + 1, above=0)

    row_bytes = _BYTES_A_COLUMN * len(set_of_item)
    return concatenate(RankedLists, map_blocks(sets.shape[0], row_bytes, options, work))


def _lists_of_items(lists: RankedLists, set_of_item: Int64, k: int) -> Neighbours:
    """Give each movie the list of its set without itself, cut to k."""
    lengths = np.diff(lists.indptr)[set_of_item]
    rows = np.repeat(np.arange(len(set_of_item)), lengths)
    starts = np.cumsum(lengths) - lengths
    ranks = np.arange(len(rows)) - starts[rows]
    entries = lists.indptr[set_of_item][rows] + ranks
    # The list of a set may hold the movie itself: what follows it moves up by one.
    own = lists.indices[entries] == rows
    before = np.cumsum(own) - own
    own_above = before - before[starts[rows]] if len(rows) else before
    kept = ~own & (ranks - own_above < k)
    counts = np.bincount(rows[kept], minlength=len(set_of_item))
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return Neighbours(indptr, lists.indices[entries[kept]], lists.scores[entries[kept]])


def cost(size: Size, config: ContentGenresConfig) -> Cost:
    """Return the cost of lists from the cosines of all movies."""
    stored = Cost(disk=size.movies * list_row(size.neighbours, 4 + DOUBLE))
    return stored + lists_by_scores(size, 1.3)


SPEC = ModelSpec(
    name="content_genres",
    display_name="Content: genres",
    family="content",
    kind="personal",
    config=ContentGenresConfig,
    fit=fit,
    learn=of_catalogue(fit),
    cost=cost,
    rank=rank,
    similar=similar,
    score_meaning="cosine of the TF-IDF weighted genres, up to 1: the same genres",
    description="Movies of the same genres, rare genres counting more; needs no ratings",
    scoring="profile",
    default_set=True,
    roles={"content": 20, "similar": 90},
)
