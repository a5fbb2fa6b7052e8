"""Interactions in several shards in this process, for tests of models that learn from shards."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse, vstack

from recsys.domain import ComputeLimits, FittedModel, Interactions
from recsys.models.shards import (
    Finish,
    Grid,
    Held,
    OneShard,
    Piece,
    Take,
    Together,
    accumulate,
    catalogue_of,
)
from recsys.numerics.blocks import map_blocks


@dataclass(frozen=True)
class CutShards:
    """Shards of users, worked on one after the other, the last one first."""

    catalogue: Interactions
    shards: tuple[Interactions, ...]
    fit_in_one_place: bool = False
    """Whether sums may take all interactions together."""

    @classmethod
    def of(cls, data: Interactions, *cuts: int) -> CutShards:
        """Cut the users before these positions."""
        ratings, catalogue = data.user_items, catalogue_of(data)
        edges = [0, *cuts, ratings.shape[0]]
        shards = []
        for start, stop in itertools.pairwise(edges):
            first, last = ratings.indptr[[start, stop]]
            times = None if data.rated_at is None else data.rated_at[first:last]
            own = replace(
                catalogue,
                user_items=ratings[start:stop],
                rated_at=times,
                first_user=start,
                first_rating=int(first),
            )
            shards.append(own)
        return cls(catalogue, tuple(shards))

    @property
    def whole(self) -> None:
        return None

    @property
    def users(self) -> int:
        return sum(shard.user_items.shape[0] for shard in self.shards)

    @property
    def ratings(self) -> int:
        return sum(shard.user_items.nnz for shard in self.shards)

    def with_parts(self, parts: Mapping[str, FittedModel]) -> CutShards:
        return replace(self, catalogue=replace(self.catalogue, parts=parts))

    def mapped(
        self, work: Callable[[Interactions], Interactions], *, facts: bool = False
    ) -> CutShards:
        made = replace(self, shards=tuple(work(shard) for shard in self.shards))
        if not facts:
            return made
        together = made._together()
        unknown = replace(together.data, rating_range=None, rating_mean=None, item_counts=None)
        cuts = [shard.first_user for shard in self.shards[1:]]
        return CutShards.of(unknown, *cuts)

    def _together(self) -> OneShard:
        matrix = vstack([shard.user_items for shard in self.shards], "csr")
        times = [shard.rated_at for shard in self.shards if shard.rated_at is not None]
        return OneShard(
            replace(
                self.catalogue, user_items=matrix, rated_at=np.concatenate(times) if times else None
            )
        )

    def transposed(self) -> OneShard:
        return self._together().transposed()

    def reduce(
        self, work: Callable[[Interactions], Any], merge: Callable[[Any, Any], Any] = operator.add
    ) -> Any:
        return functools.reduce(merge, (work(shard) for shard in reversed(self.shards)))

    def rows(self, work: Callable[..., Any], *shared: np.ndarray) -> Any:
        parts = [work(shard, *shared) for shard in self.shards]
        return vstack(parts, "csr") if issparse(parts[0]) else np.concatenate(parts)

    def sums(
        self,
        work: Callable[[Interactions], Iterable[Piece]],
        finish: Finish[Any],
        take: Take[Any],
        grid: Grid,
        limits: ComputeLimits,
        together: Together[Any] | None = None,
    ) -> None:
        if together is not None and self.fit_in_one_place:
            result_of = together(self._together().data)

            def block(start: int, stop: int) -> None:
                take(result_of(start, stop), start, stop)

            map_blocks(grid.items, grid.row_bytes, limits, block)
            return
        held: Held = {}
        for shard in reversed(self.shards):
            for piece in work(shard):
                accumulate(held, piece, grid, limits)
        for (start, stop), sums in held.items():
            take(finish(sums, start, stop), start, stop)
