"""What a worker of a cluster does: keep shards at hand, and work on them.

A shard is read once on a node, and kept as files in the folder that the cluster clears when the
application ends. Later tasks map these files into memory. A task that finds none, as after the loss
of a node, reads the shard again, from the same snapshot.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.sparse import csr_matrix, vstack

from recsys.domain import Float64, Int64, Interactions

Result = TypeVar("Result")
_KEPT_BYTES = 1 << 29
"""Bytes of interactions made from shards that a worker keeps in memory."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class ShardOfUsers:
    """A range of users, by position, and the ratings before and in it."""

    number: int
    start: int
    stop: int
    first_rating: int
    ratings: int


@dataclass(frozen=True, slots=True)
class ShardOfItems:
    """A range of items, by position, in the transposed matrix of a name."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of all ratings."""

    items: int
    item_counts: Int64
    rating_mean: float
    rating_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ReadRatings:
    """The ratings of a shard as they were read."""

    user_items: csr_matrix
    rated_at: Float64 | None
    hashes: Int64
    """Hash of the ratings of each user."""


class Source(Protocol):
    """Reads shards; it travels to the workers, and so holds no password."""

    @property
    def key(self) -> str:
        """Identify the snapshot that is read."""

    def read(self, shard: ShardOfUsers) -> ReadRatings: ...


Step = tuple[str, Callable[[Interactions], Interactions]]
"""An identifier and what is made of a shard."""


def read(source: Source, shard: ShardOfUsers) -> ReadRatings:
    """Return a shard from the files of this node, which are written first if they are missing."""

    def arrays() -> Arrays:
        found = source.read(shard)
        times = {} if found.rated_at is None else {"rated_at": found.rated_at}
        return {**_arrays_of(found.user_items), "hashes": found.hashes, **times}

    files = _at_hand(f"{source.key}-{shard.number}", arrays)
    return ReadRatings(_matrix_of(files), files.get("rated_at"), np.array(files["hashes"]))


def items_of(shard: ShardOfItems, gather: Callable[[], csr_matrix]) -> Interactions:
    """Return the rows of some items, items x users, from the files of this node.

    What is missing there is gathered first.
    """
    key = (shard.name, shard.start)
    if key in _kept:
        return _kept_of(key)
    files = _at_hand(f"{shard.name}-{shard.start}", lambda: _arrays_of(gather()))
    matrix = _matrix_of(files)
    found = Interactions(matrix, csr_matrix((matrix.shape[1], 0)), (), first_user=shard.start)
    _keep(key, found)
    return found


def _arrays_of(matrix: csr_matrix) -> Arrays:
    return {
        "shape": np.array(matrix.shape),
        "indptr": matrix.indptr,
        "indices": matrix.indices,
        "data": matrix.data,
    }


def _matrix_of(arrays: Arrays) -> csr_matrix:
    shape = tuple(arrays["shape"].tolist())
    matrix = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape, copy=False)
    matrix.has_canonical_format = True
    return matrix


def _at_hand(name: str, make: Callable[[], Arrays]) -> Arrays:
    """Return arrays from the files of a name, mapped into memory; make them first if missing."""
    folder = _folder() / name
    if not folder.exists():
        _write(make(), folder)
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.iterdir())}


def _write(arrays: Arrays, folder: Path) -> None:
    # Written aside and renamed, as another task of this node may do the same.
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix="reading-"))
    try:
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", array)
        try:
            aside.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _folder() -> Path:
    """Return the folder of this application on this node, closed to other users."""
    # Spark names folders that it clears when the application ends, or its container does.
    roots = os.environ.get("SPARK_LOCAL_DIRS") or os.environ.get("LOCAL_DIRS")
    root = Path(roots.split(",")[0] if roots else tempfile.gettempdir())
    folder = root / f"recsys-shards-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


_kept: OrderedDict[tuple[Any, ...], tuple[Interactions, int]] = OrderedDict()
"""Interactions made from shards by this worker, the latest used last, and their bytes."""


def interactions(
    source: Source, shard: ShardOfUsers, facts: Facts, steps: tuple[Step, ...]
) -> Interactions:
    """Return what the steps make of a shard."""
    key = (source.key, shard.number, *(name for name, _ in steps))
    if key in _kept:
        return _kept_of(key)
    if steps:
        found = steps[-1][1](interactions(source, shard, facts, steps[:-1]))
    else:
        found = _as_read(read(source, shard), shard, facts)
    _keep(key, found)
    return found


def _as_read(found: ReadRatings, shard: ShardOfUsers, facts: Facts) -> Interactions:
    return with_facts(
        Interactions(
            found.user_items,
            csr_matrix((facts.items, 0)),
            (),
            found.rated_at,
            first_user=shard.start,
            first_rating=shard.first_rating,
        ),
        facts,
    )


def with_facts(shard: Interactions, facts: Facts) -> Interactions:
    """Return a shard with what is known of all ratings."""
    return replace(
        shard,
        rating_range=facts.rating_range,
        rating_mean=facts.rating_mean,
        item_counts=facts.item_counts,
    )


def _kept_of(key: tuple[Any, ...]) -> Interactions:
    _kept.move_to_end(key)
    return _kept[key][0]


def _keep(key: tuple[Any, ...], made: Interactions) -> None:
    ratings = made.user_items
    _kept[key] = made, ratings.data.nbytes + ratings.indices.nbytes
    while sum(size for _, size in _kept.values()) > _KEPT_BYTES and len(_kept) > 1:
        _kept.popitem(last=False)


_made: dict[str, Any] = {}
"""What the tasks of one sum share, by its key."""


def made_once(key: str, make: Callable[[], Result], *, last: bool) -> Result:
    """Return what this worker has made for the key before, or make it; keep it unless it is last.

    One is kept, as it may be as large as all ratings.
    """
    found: Result = _made[key] if key in _made else make()
    _made.clear()
    if not last:
        _made[key] = found
    return found


def merged(shards: Iterable[Interactions], most: int) -> Iterator[Interactions]:
    """Yield shards that follow each other, several as one if they have at most so many ratings."""
    waiting: list[Interactions] = []
    for shard in shards:
        if waiting and sum(one.user_items.nnz for one in (*waiting, shard)) > most:
            yield _together(waiting)
            waiting = []
        waiting.append(shard)
    if waiting:
        yield _together(waiting)


def _together(shards: list[Interactions]) -> Interactions:
    if len(shards) == 1:
        return shards[0]
    times = [shard.rated_at for shard in shards if shard.rated_at is not None]
    return replace(
        shards[0],
        user_items=vstack([shard.user_items for shard in shards], "csr"),
        rated_at=np.concatenate(times) if times else None,
    )
