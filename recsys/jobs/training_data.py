"""What a refresh learns from: one state of the database, wherever its ratings are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from recsys.domain import IdMap, Int64
from recsys.models.shards import OneShard, Shards
from recsys.storage.snapshot.matrices import Snapshot


@dataclass(frozen=True, slots=True)
class Training:
    """The ratings in shards, and what is known of users, movies and the state."""

    users: IdMap
    movies: IdMap
    shards: Shards
    counts: Int64
    """Number of ratings of each user."""
    ratings_hashes: Int64
    """Hash of the ratings of each user, to detect later changes; 0 without ratings."""
    deviation: float | None
    """Standard deviation of all ratings; None without any."""
    taken_at: datetime
    checksum: str
    """sha256 over all that was read."""


def in_this_process(snapshot: Snapshot) -> Training:
    """Return a snapshot that was read into this process."""
    ratings = snapshot.interactions.user_items
    return Training(
        snapshot.users,
        snapshot.movies,
        OneShard(snapshot.interactions),
        np.diff(ratings.indptr).astype(np.int64),
        snapshot.ratings_hashes,
        float(ratings.data.std()) if ratings.nnz else None,
        snapshot.taken_at,
        snapshot.checksum,
    )
