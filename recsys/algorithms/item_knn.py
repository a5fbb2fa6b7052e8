"""Item-based neighbourhoods: movies are similar when the same people rate them alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.algorithms.config import one_of, within
from recsys.algorithms.pearson import pearson_neighbours
from recsys.algorithms.recommend import binarised, recommend_from_neighbours
from recsys.algorithms.spec import FitOptions, ModelSpec
from recsys.algorithms.topk import (
    empty,
    joined,
    over_blocks,
    ranked,
    ranked_top_k,
    shortened,
)
from recsys.domain import Float64, Interactions, ModelOutput, Neighbours, RankedLists

Similarity = Literal["cosine", "pearson"]

_BYTES_A_COLUMN = 96
"""Two sparse products, their dense copies, the copy that is partitioned, masks and positions."""


@dataclass(frozen=True, slots=True)
class ItemKnnConfig:
    similarity: Similarity = "cosine"
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
    if config.similarity == "pearson":
        neighbours = pearson_neighbours(
            data.user_items, config.min_support, config.shrinkage, options
        )
    else:
        neighbours = cosine_neighbours(data.user_items, config, options)
    recommendations = recommend_from_neighbours(data.user_items, neighbours, options)
    return ModelOutput(neighbours=neighbours, recommendations=recommendations)


def cosine_neighbours(
    user_items: csr_matrix, config: ItemKnnConfig, options: FitOptions
) -> Neighbours:
    """List for each item its k nearest by the cosine of the rating columns, where it is above 0.

    The kernel of `implicit` knows nothing of common raters and cuts ties as they come. The rows
    for which that cannot have mattered are taken from it; the others, mostly of movies with few
    ratings and therefore cheap, are computed in full.
    """
    items = user_items.shape[1]
    if user_items.nnz == 0:
        return empty(Neighbours, items)
    unit, norms = _unit_columns(user_items)
    fast = _kernel(unit, min(options.k + 1, items), options)
    largest = float(np.abs(user_items.data).max())
    if config.shrinkage > 0:
        trusted = np.zeros(items, bool)
    else:
        trusted = _trusted(fast, norms / max(largest, 1e-300), config.min_support, options.k)
    exact = _exact(unit, np.flatnonzero(~trusted), config, options)
    return _merged(shortened(fast, options.k), exact, trusted)


def _unit_columns(user_items: csr_matrix) -> tuple[csr_matrix, Float64]:
    squares = np.bincount(user_items.indices, user_items.data**2, minlength=user_items.shape[1])
    norms = np.sqrt(squares)
    data = user_items.data / np.where(norms > 0, norms, 1)[user_items.indices]
    # Copies: the kernel asks for 32-bit buffers it could write to.
    indices, indptr = user_items.indices.astype(np.int32), user_items.indptr.astype(np.int32)
    return csr_matrix((data, indices, indptr), shape=user_items.shape), norms


def _kernel(unit: csr_matrix, k: int, options: FitOptions) -> RankedLists:
    """Best k by cosine of each item without itself."""
    pairs = all_pairs_knn(unit, k + 1, num_threads=options.threads, show_progress=False)
    wanted = (pairs.data > 0) & (pairs.row != pairs.col)
    scores = np.minimum(pairs.data[wanted], 1.0)
    lists = ranked(pairs.row[wanted], pairs.col[wanted], scores, unit.shape[1])
    return shortened(lists, k)


def _trusted(lists: RankedLists, norms: Float64, min_support: int, k: int) -> NDArray[np.bool_]:
    """Tell the rows of k + 1 candidates whose first k stand: supported, and no tie at the cut.

    `norms` are in units of the largest rating: each common rater adds at most
    `1 / (norm_i * norm_j)` to a cosine, which bounds their number from below.
    """
    lengths = np.diff(lists.indptr)
    rows = np.repeat(np.arange(lists.rows), lengths)
    raters = lists.scores * norms[rows] * norms[lists.indices]
    # One whole rater is the least that can be missing, so 0.5 leaves rounding no say.
    weak = raters < min_support - 0.5 if min_support > 1 else np.zeros(len(rows), bool)
    trusted: NDArray[np.bool_] = np.bincount(rows[weak], minlength=lists.rows) == 0
    full = np.flatnonzero(lengths > k)
    last = lists.indptr[full + 1] - 1
    trusted[full] &= lists.scores[last] < lists.scores[last - 1]
    return trusted


def _exact(
    unit: csr_matrix, items: np.ndarray, config: ItemKnnConfig, options: FitOptions
) -> RankedLists:
    """Rank the k nearest of the given items from all pairs of theirs."""
    raters = binarised(unit, np.float32)
    unit_items, item_raters = unit.T.tocsr()[items], raters.T.tocsr()[items]

    def work(start: int, stop: int) -> RankedLists:
        scores = np.minimum((unit_items[start:stop] @ unit).toarray(), 1.0)
        common = (item_raters[start:stop] @ raters).toarray()
        if config.shrinkage > 0:
            scores *= common / (common + np.float64(config.shrinkage))
        scores[(scores <= 0) | (common < config.min_support)] = -np.inf
        scores[np.arange(stop - start), items[start:stop]] = -np.inf
        return ranked_top_k(scores, options.k)

    row_bytes = _BYTES_A_COLUMN * unit.shape[1]
    return joined(RankedLists, over_blocks(len(items), row_bytes, options, work))


def _merged(fast: RankedLists, exact: RankedLists, trusted: np.ndarray) -> Neighbours:
    """Take the trusted rows of `fast` and, for the others, the rows of `exact` in their order."""
    own = np.repeat(trusted, np.diff(fast.indptr))
    lengths = np.where(trusted, np.diff(fast.indptr), 0)
    lengths[~trusted] = np.diff(exact.indptr)
    from_exact = np.repeat(~trusted, lengths)
    indices = np.empty(len(from_exact), np.int32)
    scores = np.empty(len(from_exact))
    indices[from_exact], indices[~from_exact] = exact.indices, fast.indices[own]
    scores[from_exact], scores[~from_exact] = exact.scores, fast.scores[own]
    return Neighbours(np.concatenate(([0], np.cumsum(lengths))), indices, scores)


SPEC = ModelSpec(
    name="item_knn",
    kind="personal",
    config=ItemKnnConfig,
    fit=fit,
    score_meaning="sum of the similarities (up to 1 each) to the movies rated",
    description="Movies like those you rated: similarity (cosine or Pearson) of their ratings",
)
