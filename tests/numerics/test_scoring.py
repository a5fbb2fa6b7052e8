"""Lists from a chart against plain loops; the other rankings are tested with their models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Chart, Charts, ComputeLimits, UserRows
from recsys.numerics.scoring import rank_by_chart

USERS, ITEMS = 25, 40


def chart(length: int, genre: str | None = None) -> Chart:
    items = np.random.default_rng(length).permutation(ITEMS)[:length].astype(np.int32)
    numbers = np.zeros(length, np.int64), np.zeros(length)
    return Chart(genre, items, np.linspace(9, 1, length), *numbers)


def some_ratings() -> csr_matrix:
    """Return users of very different activity; the first has rated nothing, the last all."""
    activity = np.linspace(0, 1.01, USERS)[:, None]
    return csr_matrix((np.random.default_rng(3).random((USERS, ITEMS)) < activity) * 3.0)


@pytest.mark.parametrize("n", [1, 5, 100])
@pytest.mark.parametrize("length", [1, 17, 40])
def test_rank_by_chart(length: int, n: int) -> None:
    ratings, overall = some_ratings(), chart(length)
    charts = Charts((chart(20, "Drama"), overall))
    lists = rank_by_chart(charts, UserRows.all(ratings), n, ComputeLimits(block_rows=4))
    assert lists.rows == USERS
    ranked = list(zip(overall.items.tolist(), overall.scores.tolist(), strict=True))
    for user, row in enumerate(ratings.toarray()):
        own = slice(lists.indptr[user], lists.indptr[user + 1])
        found = zip(lists.indices[own].tolist(), lists.scores[own].tolist(), strict=True)
        assert list(found) == [entry for entry in ranked if row[entry[0]] == 0][:n]


def test_without_an_overall_chart_lists_are_empty() -> None:
    lists = rank_by_chart(
        Charts((chart(20, "Drama"),)), UserRows.all(some_ratings()), 5, ComputeLimits()
    )
    assert (lists.rows, len(lists)) == (USERS, 0)
