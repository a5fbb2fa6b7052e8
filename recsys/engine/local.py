"""The default engine: shard after shard in this process, each on all threads."""

from __future__ import annotations

from collections.abc import Iterator

from recsys.domain import ComputeLimits, FittedModel, Interactions, TopN, UserRows
from recsys.engine.base import ShardLists, shards, users_within

SHARD_RATINGS = 2_000_000


class LocalEngine:
    """Rank in this process; the lists of one shard are in memory at a time."""

    def __init__(self, shard_ratings: int = SHARD_RATINGS) -> None:
        self._shard_ratings = shard_ratings

    def rank(
        self, model: FittedModel, data: Interactions, n: int, limits: ComputeLimits
    ) -> Iterator[ShardLists]:
        """Yield the best n items for the users of each shard, in the order of users.

        The lists do not depend on the shards.
        """
        users = UserRows.all(data.user_items, data.rated_at)
        for shard in shards(data.user_items.indptr, self._shard_ratings, users_within(limits, n)):
            lists: TopN = model.rank(users.block(shard.start, shard.stop), n, limits)
            yield ShardLists(shard, lists)
