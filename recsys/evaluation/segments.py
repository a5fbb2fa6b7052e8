"""Segments of users and movies by their number of train ratings."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import Int64
from recsys.evaluation.splits import Bool

NEW_AT_MOST = 20
"""MovieLens editions leave out users with fewer than 20 ratings."""
LIGHT_AT_MOST = 100
"""Between the median of MovieLens users (65 to 70 ratings) and their mean (106 to 165); the two
fifths above it hold three quarters of all ratings and would drown the others in any mean."""
HEAD_RATINGS = 0.5
"""The head are the fewest movies that hold this share of the ratings, so that both sides weigh the
same. A share of the movies would not do: the most rated fifth hold 65 % of the ratings of
ml-100k and 77 % of those of ml-latest-small."""

USER_SEGMENTS = ("new users", "light users", "heavy users")
MOVIE_SEGMENTS = ("head movies", "tail movies")


def user_segments(train: csr_matrix) -> dict[str, Bool]:
    """Mark the users of each of `USER_SEGMENTS`; every user is in one."""
    counts = np.diff(train.indptr)
    new, heavy = counts <= NEW_AT_MOST, counts > LIGHT_AT_MOST
    return dict(zip(USER_SEGMENTS, (new, ~new & ~heavy, heavy), strict=True))


def movie_segments(counts: Int64) -> dict[str, Bool]:
    """Mark the items of each of `MOVIE_SEGMENTS` by their train ratings; every item is in one."""
    head = head_items(counts)
    return dict(zip(MOVIE_SEGMENTS, (head, ~head), strict=True))


def head_items(counts: Int64) -> Bool:
    """Mark the fewest items that hold `HEAD_RATINGS` of all ratings, ties by position."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(len(counts), bool)
    # The item that crosses the limit belongs to the head, which so holds at least its share.
    head[order] = before < HEAD_RATINGS * counts.sum()
    return head
