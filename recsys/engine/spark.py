"""Models learn and rank on the executors of a Spark cluster.

One task of Spark works on a group of shards. The groups are a cached RDD of a few bytes each: Spark
then runs later tasks where the files of a group are, and reads it elsewhere if a node is lost.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, issparse, vstack

from recsys.domain import ComputeLimits, Interactions, use_processors
from recsys.engine.application import translated_errors
from recsys.engine.node import (
    Facts,
    ShardOfItems,
    ShardOfUsers,
    Source,
    Step,
    interactions,
    items_of,
    made_once,
    merged,
    read,
    with_facts,
)
from recsys.models.shards import Arrays, Finish, Grid, Held, Piece, Take, Together, add_block
from recsys.numerics.blocks import block_size
from recsys.numerics.exact import exact_sums, total

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast, SparkContext

Result = TypeVar("Result")
Group = tuple[ShardOfUsers, ...]
Blocks = Sequence[tuple[int, int]]
Counts = NDArray[np.uint16]
Job = Callable[[Blocks, bool], "RDD[tuple[int, int, Result | Counts]]"]
"""From some blocks, and whether they are the last ones, to their results."""
_RATING_BYTES = 20
"""Bytes of a rating that travels: item, value, time."""
_RESULT_BYTES = 96 << 20
"""Bytes of the results of a task, which Spark holds as a whole."""
_MERGED_BYTES = 80
"""Bytes that a rating takes at the peak where shards are merged, as the model arranges them."""
_ITEM_SHARD = 2_500_000
"""Ratings of a shard of items."""
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Room:
    """How much a task may have in memory."""

    ratings: int
    """Of merged shards."""
    blocks: int
    """Whose sums are held."""
    results: int
    """Blocks whose results Spark holds."""


class Sent:
    """Arrays shared with the executors: each is sent once and kept for the next call."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[np.ndarray, Broadcast[np.ndarray]]] = {}

    def of(self, context: SparkContext, arrays: Sequence[np.ndarray]) -> list[Broadcast[Any]]:
        """Broadcast the missing arrays, and destroy the broadcasts of all others."""
        # Arrays are told apart by identity. They are held here, so that no id is used again.
        before = self._held
        with translated_errors():
            self._held = {
                id(each): before.pop(id(each))
                if id(each) in before
                else (each, context.broadcast(each))
                for each in arrays
            }
            for _, unused in before.values():
                unused.destroy()
        return [self._held[id(array)][1] for array in arrays]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a worker tells of the ratings of a shard."""

    first_user: int
    ratings: int
    item_counts: np.ndarray
    sums: np.ndarray
    """Sum of the ratings of each item, in two parts."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Read:
    """What a worker tells of the users of a shard that it has read."""

    first_user: int
    counts: np.ndarray
    hashes: np.ndarray
    low: float
    high: float


@dataclass(frozen=True)
class SparkShards:
    """The interactions of all users, in shards on the executors."""

    groups: RDD[Group]
    """Where each shard is; cached."""
    shards: Group
    """All of them, in their order."""
    source: Source
    facts: Facts
    catalogue: Interactions
    users: int
    ratings: int
    steps: tuple[Step, ...] = ()
    sent: Sent = field(default_factory=Sent)

    @property
    def whole(self) -> None:
        """Return None: no process has all interactions."""
        return None

    # --- views ------------------------------------------------------------------------------------

    def with_parts(self, parts: Any) -> SparkShards:
        """Return shards whose catalogue has the models that a model is composed of."""
        return replace(self, catalogue=replace(self.catalogue, parts=parts))

    def mapped(
        self, work: Callable[[Interactions], Interactions], *, facts: bool = False
    ) -> SparkShards:
        made = replace(self, steps=(*self.steps, (f"step {next(_numbers)}", work)))
        return made._with_own_facts() if facts else made

    def _with_own_facts(self) -> SparkShards:
        low, high = self.facts.rating_range
        largest = max(abs(low), abs(high))
        told = sorted(
            self.each(lambda shard: _told_of(shard, largest)), key=operator.attrgetter("first_user")
        )
        facts = _facts(told)
        sizes = np.array([one.ratings for one in told], np.int64)
        before = (np.cumsum(sizes) - sizes).tolist()
        first_rating = {one.first_user: first for one, first in zip(told, before, strict=True)}
        made = replace(
            self,
            facts=facts,
            catalogue=with_facts(self.catalogue, facts),
            ratings=int(sizes.sum()),
        )
        return made.mapped(
            lambda shard: replace(
                with_facts(shard, facts), first_rating=first_rating[shard.first_user]
            )
        )

    def transposed(self) -> SparkItems:
        """Return shards of items; these are files of the nodes, as those of users are."""
        tasks = self.groups.getNumPartitions()
        count = tasks * -(-self.ratings // (tasks * _ITEM_SHARD))
        passed = np.cumsum(self.facts.item_counts) * count // max(1, self.ratings + 1)
        bounds = np.searchsorted(passed, np.arange(1, count)).tolist()
        name = f"{self.source.key}-items-{next(_numbers)}"
        edges = itertools.pairwise([0, *bounds, len(passed)])
        shards = [ShardOfItems(name, start, stop) for start, stop in edges if start < stop]

        def emit(shard: Interactions) -> Iterator[tuple[int, tuple[int, int, csc_matrix]]]:
            columns = shard.user_items.tocsc()
            for number, one in enumerate(shards):
                yield number % tasks, (number, shard.first_user, columns[:, one.start : one.stop])

        def gather(
            pairs: Iterable[tuple[int, tuple[int, int, csc_matrix]]],
        ) -> Iterator[ShardOfItems]:
            found: dict[int, list[tuple[int, csc_matrix]]] = {}
            for _, (number, first_user, block) in pairs:
                found.setdefault(number, []).append((first_user, block))
            for number in sorted(found):
                blocks = [block for _, block in sorted(found.pop(number), key=_first)]
                items_of(shards[number], partial(_turned, blocks))
                yield shards[number]

        moved = self._each(emit, many=True).partitionBy(tasks, int)
        return SparkItems(moved.mapPartitions(gather).persist(), self)

    # --- work -------------------------------------------------------------------------------------

    def _each(self, work: Callable[[Interactions], Any], *, many: bool = False) -> RDD[Any]:
        """Return the results of all shards; of `many`, those that each yields."""
        source, facts, steps = self.source, self.facts, self.steps

        def on_group(groups: Iterable[Group]) -> Iterator[Any]:
            use_processors(1)
            for group in groups:
                for shard in group:
                    found = work(interactions(source, shard, facts, steps))
                    if many:
                        yield from found
                    else:
                        yield found

        return self.groups.mapPartitions(on_group)

    def each(self, work: Callable[[Interactions], Result]) -> list[Result]:
        """Return what the executors do with each shard, in any order."""
        return _collected(self._each(work))

    def reduce(
        self,
        work: Callable[[Interactions], Result],
        merge: Callable[[Result, Result], Result] = operator.add,
    ) -> Result:
        with translated_errors():
            found: Result = self._each(work).treeReduce(merge)
        return found

    def rows(self, work: Callable[..., Any], *shared: np.ndarray) -> Any:
        sent = self.sent.of(self.groups.context, shared)

        def made(shard: Interactions) -> tuple[int, Any]:
            return shard.first_user, work(shard, *(each.value for each in sent))

        return _stacked(_collected(self._each(made)))

    def sums(
        self,
        work: Callable[[Interactions], Iterable[Piece]],
        finish: Finish[Result],
        take: Take[Result],
        grid: Grid,
        limits: ComputeLimits,
        together: Together[Result] | None = None,
    ) -> None:
        tasks, blocks = self.groups.getNumPartitions(), _blocks(grid, limits)
        if not blocks:
            return
        room = _room(blocks[0][1] - blocks[0][0], grid, limits)
        # Either the sums of each task travel, or the ratings are read where every task is.
        if 2 * grid.items**2 * grid.pair_bytes < self.ratings * _RATING_BYTES * tasks:
            job, count = self._moved_sums(work, finish, room), min(room.blocks, room.results)
        else:
            job, count = self._shared_ratings(work, finish, room, together), room.results
        *others, last = _rounds(blocks, tasks * count)
        for some in (*others, last):
            for start, stop, result in _collected(job(some, some is last)):
                take(_unpacked(result), start, stop)

    def _moved_sums(
        self, work: Callable[[Interactions], Iterable[Piece]], finish: Finish[Result], room: Room
    ) -> Job[Result]:
        """Each task adds up its shards; the sums of a block meet in one task, and are finished."""
        source, facts, steps = self.source, self.facts, self.steps
        tasks = self.groups.getNumPartitions()

        def added(one: Arrays, other: Arrays) -> Arrays:
            return [a + b for a, b in zip(one, other, strict=True)]

        def finished(block: tuple[tuple[int, int], Arrays]) -> tuple[int, int, Result | Counts]:
            (start, stop), sums = block
            return start, stop, _packed(finish(sums, start, stop))

        def job(blocks: Blocks, last: bool) -> RDD[tuple[int, int, Result | Counts]]:
            def of_task(groups: Iterable[Group]) -> Iterator[tuple[tuple[int, int], Arrays]]:
                use_processors(1)
                own = [shard for group in groups for shard in group]

                def pieces() -> Iterator[Piece]:
                    for shard in own:
                        yield from work(interactions(source, shard, facts, steps))

                yield from _summed(pieces, blocks, room.blocks)

            # Blocks by turns: the first ones of a triangle are the longest.
            places = {block: place for place, block in enumerate(blocks)}
            summed = self.groups.mapPartitions(of_task).reduceByKey(
                added, tasks, lambda block: places[block]
            )
            return summed.map(finished)

        return job

    def _shared_ratings(
        self,
        work: Callable[[Interactions], Iterable[Piece]],
        finish: Finish[Result],
        room: Room,
        together: Together[Result] | None,
    ) -> Job[Result]:
        """Each task takes all ratings from its node, and adds up and finishes some of the blocks.

        What the node has not read before it reads now.
        """
        source, facts, steps, shards = self.source, self.facts, self.steps, self.shards
        tasks = self.groups.getNumPartitions()
        task_of_all = _AllRatings(
            f"{source.key}-sums-{next(_numbers)}",
            lambda shard: interactions(source, shard, facts, steps),
            shards,
            self.ratings <= room.ratings,
            room,
            work,
            finish,
            together,
        )

        def job(blocks: Blocks, last: bool) -> RDD[tuple[int, int, Result | Counts]]:
            def add_up(
                task: int, groups: Iterable[Group]
            ) -> Iterator[tuple[int, int, Result | Counts]]:
                # Spark ends a worker that leaves input unread, and its caches are lost.
                list(groups)
                use_processors(1)
                # Tasks of one node begin elsewhere, so that they do not read the same shards.
                first = task * len(shards) // tasks
                for shard in (*shards[first:], *shards[:first]):
                    read(source, shard)
                for start, stop, result in task_of_all.results(blocks[task::tasks], last):
                    yield start, stop, _packed(result)

            return self.groups.mapPartitionsWithIndex(add_up)

        return job


@dataclass(frozen=True)
class _AllRatings(Generic[Result]):
    """The work of a task that has all ratings: it computes some of the blocks."""

    key: str
    """Of this sum."""
    interactions_of: Callable[[ShardOfUsers], Interactions]
    shards: Group
    fit: bool
    """Whether all ratings fit into one piece."""
    room: Room
    work: Callable[[Interactions], Iterable[Piece]]
    finish: Finish[Result]
    together: Together[Result] | None

    def results(self, blocks: Blocks, last: bool) -> Iterator[tuple[int, int, Result]]:
        if self.fit and self.together is not None:
            result_of = made_once(self.key, partial(self._arranged, self.together), last=last)
            for start, stop in blocks:
                yield start, stop, result_of(start, stop)
            return
        for (start, stop), sums in _summed(self._pieces, blocks, self.room.blocks):
            yield start, stop, self.finish(sums, start, stop)

    def _arranged(self, together: Together[Result]) -> Callable[[int, int], Result]:
        [everything] = self._merged()
        return together(everything)

    def _pieces(self) -> Iterator[Piece]:
        for shard in self._merged():
            yield from self.work(shard)

    def _merged(self) -> Iterator[Interactions]:
        return merged(map(self.interactions_of, self.shards), self.room.ratings)


@dataclass(frozen=True)
class SparkItems:
    """Shards of items, to solve their rows."""

    shards: RDD[ShardOfItems]
    """Where each shard is; cached."""
    of_users: SparkShards

    def rows(self, work: Callable[..., Any], *shared: np.ndarray) -> Any:
        users = self.of_users
        source, facts, steps, every = users.source, users.facts, users.steps, users.shards
        sent = users.sent.of(self.shards.context, shared)

        def solved(shard: ShardOfItems) -> tuple[int, Any]:
            use_processors(1)

            # Spark may run a task on a node without these files. It then reads the ratings again.
            def again() -> csr_matrix:
                ratings = (interactions(source, one, facts, steps).user_items for one in every)
                return _turned([each[:, shard.start : shard.stop].tocsc() for each in ratings])

            return shard.start, work(items_of(shard, again), *(each.value for each in sent))

        return _stacked(_collected(self.shards.map(solved)))


def _turned(blocks: Sequence[csc_matrix]) -> csr_matrix:
    """Return the transposed matrix of blocks of rows."""
    whole = vstack(blocks, "csc")
    return csr_matrix((whole.data, whole.indices, whole.indptr), whole.shape[::-1])


def _collected(results: RDD[Any]) -> list[Any]:
    with translated_errors():
        found: list[Any] = results.collect()
    return found


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _stacked(parts: Sequence[tuple[int, Any]]) -> Any:
    ordered = [part for _, part in sorted(parts, key=operator.itemgetter(0))]
    return vstack(ordered, "csr") if issparse(ordered[0]) else np.concatenate(ordered)


def _packed(result: Result) -> Result | Counts:
    """Return a result as it travels: small numbers in 16 bits."""
    if isinstance(result, np.ndarray) and result.dtype == np.float32:
        with np.errstate(invalid="ignore"):
            counts: Counts = result.astype(np.uint16)
        if np.array_equal(counts, result):
            return counts
    return result


def _unpacked(result: Any) -> Any:
    packed = isinstance(result, np.ndarray) and result.dtype == np.uint16
    return result.astype(np.float32) if packed else result


def _blocks(grid: Grid, limits: ComputeLimits) -> list[tuple[int, int]]:
    size = block_size(grid.row_bytes, replace(limits, threads=1))
    starts = range(0, grid.items, size)
    return [(start, min(start + size, grid.items)) for start in starts]


def _room(rows: int, grid: Grid, limits: ComputeLimits) -> Room:
    """Return the room for blocks of so many rows."""
    return Room(
        limits.memory_mb * 2**20 // _MERGED_BYTES,
        max(1, limits.memory_mb * 2**19 // (grid.pair_bytes * grid.items * rows)),
        max(1, _RESULT_BYTES // (grid.result_bytes * rows)),
    )


def _rounds(blocks: Blocks, count: int) -> Iterator[Blocks]:
    for first in range(0, len(blocks), count):
        yield blocks[first : first + count]


def _summed(
    pieces: Callable[[], Iterable[Piece]], blocks: Blocks, most: int
) -> Iterator[tuple[tuple[int, int], Arrays]]:
    """Yield the sums of each block over the pieces.

    Of one piece no more than a block is held. Several are made anew for every `most` blocks.
    """
    remaining = iter(pieces())
    begun = list(itertools.islice(remaining, 2))
    if len(begun) == 1:
        for block in blocks:
            yield block, begun[0](*block)
        return
    source: Iterable[Piece] = itertools.chain(_drained(begun), remaining)
    for some in _rounds(blocks, most):
        held: Held = {}
        for piece in source:
            for start, stop in some:
                add_block(held, piece, start, stop)
            del piece  # A piece is large: none is kept while the next one is made.
        yield from held.items()
        source = pieces()


def _drained(items: list[Result]) -> Iterator[Result]:
    while items:
        yield items.pop(0)


# --- the application ------------------------------------------------------------------------------


def read_shards(
    context: SparkContext,
    source: Source,
    shards: Sequence[ShardOfUsers],
    catalogue: Interactions,
    tasks: int,
) -> tuple[SparkShards, np.ndarray, np.ndarray]:
    """Let the executors read the shards; return them, and the count and hash of each user."""
    spread = [tuple(shards[first::tasks]) for first in range(min(tasks, len(shards)))]

    def at_hand(group: Group) -> Group:
        for shard in group:
            read(source, shard)
        return group

    def tell(group: Group) -> list[_Read]:
        return [_read(source, shard) for shard in group]

    groups = context.parallelize(spread, len(spread)).map(at_hand).persist()
    found = sorted(_collected(groups.flatMap(tell)), key=operator.attrgetter("first_user"))
    counts = np.concatenate([one.counts for one in found])
    hashes = np.concatenate([one.hashes for one in found])
    # The largest rating decides how sums are kept exact, so it must be known before them.
    low, high = _range(found)
    items = catalogue.user_items.shape[1]
    unknown = Facts(items, np.zeros(items, np.int64), 0.0, (low, high))
    made = SparkShards(
        groups, tuple(shards), source, unknown, catalogue, len(counts), int(counts.sum())
    )
    largest = max(abs(low), abs(high))
    facts = _facts(made.each(lambda shard: _told_of(shard, largest)))
    if facts.item_counts.any() and catalogue.rating_range is not None:
        promised = catalogue.rating_range
        facts = replace(facts, rating_range=(min(low, promised[0]), max(high, promised[1])))
    made = replace(made, facts=facts, catalogue=with_facts(catalogue, facts))
    return made, counts, hashes


def _read(source: Source, shard: ShardOfUsers) -> _Read:
    found = read(source, shard)
    ratings = found.user_items
    low, high = (
        float(each)
        for each in (ratings.data.min(initial=np.inf), ratings.data.max(initial=-np.inf))
    )
    return _Read(shard.start, np.diff(ratings.indptr).astype(np.int32), found.hashes, low, high)


def _told_of(shard: Interactions, largest: float) -> _Told:
    ratings, items = shard.user_items, shard.user_items.shape[1]
    return _Told(
        shard.first_user,
        ratings.nnz,
        np.bincount(ratings.indices, minlength=items),
        exact_sums(ratings.indices, ratings.data, items, largest),
        float(ratings.data.min(initial=np.inf)),
        float(ratings.data.max(initial=-np.inf)),
    )


def _range(told: Sequence[_Read | _Told]) -> tuple[float, float]:
    """Return the lowest and the highest rating; (0, 0) without any."""
    low, high = min(one.low for one in told), max(one.high for one in told)
    return (low, high) if low <= high else (0.0, 0.0)


def _facts(told: Sequence[_Told]) -> Facts:
    counts = np.sum([one.item_counts for one in told], axis=0).astype(np.int64)
    ratings = int(counts.sum())
    sums = total(np.sum([one.sums for one in told], axis=0))
    mean = float(sums.sum() / ratings) if ratings else 0.0
    return Facts(len(counts), counts, mean, _range(told))
