"""The largest entries of sparse products against dense products, above all with ties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import ComputeLimits
from recsys.numerics import products
from recsys.numerics.products import ranked_products
from recsys.numerics.topk import ranked_top_k


def random_product(values: int, seed: int) -> tuple[csr_matrix, csr_matrix]:
    """Return two sparse matrices whose product has many ties if there are few values."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 2, (50, 12)) * (random.random((50, 12)) < 0.5)
    columns = random.integers(-values, values + 1, (12, 30)) / 4
    columns[random.random(columns.shape) < 0.5] = 0
    columns[0, ::7] = -np.inf
    rows[3] = 0
    return csr_matrix(rows.astype(float)), csr_matrix(columns)


@pytest.mark.parametrize("k", [1, 3, 29, 30, 50])
@pytest.mark.parametrize("values", [1, 3, 10_000])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block", [7, 8192])
def test_it_ranks_what_a_dense_product_gives(
    monkeypatch: pytest.MonkeyPatch, k: int, values: int, threads: int, block: int
) -> None:
    monkeypatch.setattr(products, "_BLOCK_ROWS", block)
    rows, columns = random_product(values, k)
    found = ranked_products(rows, columns, k, ComputeLimits(threads=threads))
    expected = ranked_top_k((rows @ columns).toarray(), k, above=0)
    assert found.indptr.tolist() == expected.indptr.tolist()
    assert found.indices.tolist() == expected.indices.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_a_product_without_rows_or_without_entries_has_no_lists() -> None:
    for count in (0, 4):
        found = ranked_products(csr_matrix((count, 3)), csr_matrix((3, 5)), 2, ComputeLimits())
        assert (found.rows, len(found)) == (count, 0)
