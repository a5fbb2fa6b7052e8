"""Work on blocks of rows side by side, within a bound on memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from recsys.domain import ComputeLimits

Result = TypeVar("Result")

_BLOCK_BYTES = 64 * 2**20
"""Size of a block: memory of larger ones would be returned to the system and mapped anew."""


def rows_within(limits: ComputeLimits, row_bytes: int, most: int) -> int:
    """Return how many rows each thread can hold when one takes `row_bytes`: 1 to `most`."""
    room = limits.memory_mb * 2**20 // (limits.workers * max(1, row_bytes))
    return int(min(max(1, room), most))


def block_size(row_bytes: int, limits: ComputeLimits) -> int:
    """Return the number of rows of a block, one of which takes `row_bytes` at its peak."""
    most = min(limits.block_rows, max(1, _BLOCK_BYTES // max(1, row_bytes)))
    return rows_within(limits, row_bytes, most)


def map_blocks(
    rows: int, row_bytes: int, limits: ComputeLimits, work: Callable[[int, int], Result]
) -> list[Result]:
    """Call `work(start, stop)` for blocks of rows side by side; return the results in order.

    `row_bytes` is what one row takes at its peak. Blocks stay within `memory_mb` all together.
    """
    size = block_size(row_bytes, limits)
    starts = range(0, rows, size)
    with ThreadPoolExecutor(limits.workers) as pool:
        return list(pool.map(lambda start: work(start, min(start + size, rows)), starts))
