"""Blocks of rows: their size, and the results in order."""

from __future__ import annotations

import time

import pytest

from recsys.domain import ComputeLimits
from recsys.numerics.blocks import map_blocks, rows_within


@pytest.mark.parametrize(
    ("memory_mb", "threads", "row_bytes", "most", "rows"),
    [
        (1, 1, 2**17, 100, 8),
        (1, 2, 2**17, 100, 4),
        (2, 2, 2**17, 100, 8),
        (1, 1, 2**17, 5, 5),  # never more than `most`
        (1, 1, 2**30, 100, 1),  # one row always
        (1, 1, 0, 100, 100),
    ],
)
def test_rows_within(memory_mb: int, threads: int, row_bytes: int, most: int, rows: int) -> None:
    limits = ComputeLimits(memory_mb=memory_mb, threads=threads)
    assert rows_within(limits, row_bytes, most) == rows


def test_blocks_are_bounded_and_in_order() -> None:
    def work(start: int, stop: int) -> tuple[int, int]:
        time.sleep(0.01 * (start == 0))  # the first block ends last
        return start, stop

    limits = ComputeLimits(threads=3, block_rows=4)
    assert map_blocks(10, 8, limits, work) == [(0, 4), (4, 8), (8, 10)]
    assert map_blocks(0, 8, limits, work) == []


def test_an_error_in_a_block_is_raised() -> None:
    def work(start: int, stop: int) -> None:
        if start == 2:
            raise ValueError("block 2")

    with pytest.raises(ValueError, match="block 2"):
        map_blocks(6, 8, ComputeLimits(block_rows=1), work)
