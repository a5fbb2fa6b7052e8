"""The shared ranking against sorted(), above all with ties."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.domain import ComputeLimits, Neighbours, RankedLists
from recsys.numerics.blocks import map_blocks
from recsys.numerics.topk import (
    concatenate,
    empty,
    ranked,
    ranked_top_k,
    rearranged,
    scatter,
    top_k,
    truncate,
)


def lists_of(lists: RankedLists) -> list[list[tuple[int, float]]]:
    pairs = list(zip(lists.indices.tolist(), lists.scores.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(lists.indptr, lists.indptr[1:], strict=False)]


def by_sorting(scores: np.ndarray, k: int) -> list[list[tuple[int, float]]]:
    rows = [[(i, float(s)) for i, s in enumerate(row) if s > -np.inf] for row in scores]
    return [sorted(row, key=lambda entry: (-entry[1], entry[0]))[:k] for row in rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 3, 19, 20, 50])
@pytest.mark.parametrize("values", [2, 5, 10_000])
def test_top_k_is_exact_among_ties(dtype: type, k: int, values: int) -> None:
    random = np.random.default_rng(k * values)
    scores = random.integers(-values, values, (40, 20)).astype(dtype)
    scores[random.random(scores.shape) < 0.3] = -np.inf
    scores[5], scores[6] = -np.inf, 1
    before = scores.copy()
    assert lists_of(ranked_top_k(scores, k)) == by_sorting(scores, k)
    assert np.array_equal(scores, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("columns", "k"), [(511, 3), (512, 3), (1700, 3), (1700, 100), (5000, 1)])
@pytest.mark.parametrize("values", [2, 40, 100_000])
def test_wide_rows_are_cut_by_groups_of_columns(
    dtype: type, columns: int, k: int, values: int
) -> None:
    random = np.random.default_rng(columns + k + values)
    scores = random.integers(-values, values, (30, columns)).astype(dtype)
    scores[random.random(scores.shape) < 0.3] = -np.inf
    # Rows without any, with fewer than k, all equal, and with the best in one group of columns.
    scores[5], scores[6] = -np.inf, 1
    scores[7, 4:], scores[8] = -np.inf, -np.inf
    scores[8, :: max(4 * k, 256)] = np.arange(len(scores[8, :: max(4 * k, 256)]))
    assert lists_of(ranked_top_k(scores, k)) == by_sorting(scores, k)


@pytest.mark.parametrize("columns", [20, 1700])
def test_only_scores_above_a_bound_are_ranked(columns: int) -> None:
    random = np.random.default_rng(columns)
    scores = random.integers(-9, 4, (30, columns)).astype(np.float64)
    scores[3] = 0
    above = np.where(scores > 0, scores, -np.inf)
    assert lists_of(ranked_top_k(scores, 7, above=0)) == by_sorting(above, 7)
    rows, cols = top_k(scores, 7, above=0)
    expected = [(row, item) for row, best in enumerate(by_sorting(above, 7)) for item, _ in best]
    assert sorted(zip(rows.tolist(), cols.tolist(), strict=True)) == sorted(expected)


def test_ties_go_by_the_numbers_of_columns() -> None:
    random = np.random.default_rng(4)
    scores = random.integers(0, 3, (20, 600)).astype(np.float64)
    numbers = random.permutation(600)
    lists = rearranged(ranked_top_k(scores, 9, ties=numbers), np.arange(20), numbers)
    assert lists_of(lists) == by_sorting(scores[:, np.argsort(numbers)], 9)


def test_lists_are_rearranged_by_row_and_index() -> None:
    lists = RankedLists(
        np.array([0, 2, 2, 3]), np.array([1, 0, 2], np.int32), np.array([3.0, 2, 1])
    )
    turned = rearranged(lists, np.array([2, 1, 0]), np.array([7, 8, 9]))
    assert lists_of(turned) == [[(9, 1.0)], [], [(8, 3.0), (7, 2.0)]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_top_k_of_nothing(shape: tuple[int, int]) -> None:
    assert lists_of(ranked_top_k(np.zeros(shape), 2)) == [[]] * shape[0]


def test_ranked_orders_scattered_entries() -> None:
    lists = ranked(
        np.array([2, 0, 2, 2]), np.array([7, 1, 3, 5]), np.array([0.5, 2.0, 0.5, 9.0]), 4
    )
    assert lists_of(lists) == [[(1, 2.0)], [], [(5, 9.0), (3, 0.5), (7, 0.5)], []]
    assert lists_of(truncate(lists, 2)) == [[(1, 2.0)], [], [(5, 9.0), (3, 0.5)], []]


def test_scatter_maps_a_subset_back() -> None:
    lists = ranked(np.array([0, 1]), np.array([1, 0]), np.array([0.5, 0.25]), 2)
    kept = np.array([1, 4])
    assert lists_of(scatter(lists, kept, kept, 6)) == [[], [(4, 0.5)], [], [], [(1, 0.25)], []]


def test_blocks_cover_all_rows_in_order() -> None:
    sizes: list[int] = []

    def work(start: int, stop: int) -> RankedLists:
        sizes.append(stop - start)
        rows = np.arange(stop - start)
        return ranked(rows, rows + start, np.ones(len(rows)), len(rows))

    # One worker, 1 MiB, 128 KiB a row: 8 rows a block.
    limits = ComputeLimits(memory_mb=1, threads=1)
    lists = concatenate(Neighbours, map_blocks(20, 2**17, limits, work))
    assert sizes == [8, 8, 4]
    assert isinstance(lists, Neighbours)
    assert lists_of(lists) == [[(i, 1.0)] for i in range(20)]


def test_lists_of_no_blocks_and_empty_lists() -> None:
    assert lists_of(concatenate(Neighbours, [])) == []
    lists = empty(Neighbours, 3)
    assert isinstance(lists, Neighbours)
    assert lists_of(lists) == [[], [], []]
