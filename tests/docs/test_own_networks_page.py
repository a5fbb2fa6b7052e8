"""The worked example of a network: it is trained, stored and used for new ratings."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Interactions, StoredNetwork, TrainedItems, UserRows
from recsys.models.base import FitOptions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "own-networks.md"
NETWORK, MODEL = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_example_tells_two_groups_of_users_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mult_dae.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "mult_dae_network.py").write_text(NETWORK, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.import_module("mult_dae").SPEC
    for name in ("mult_dae", "mult_dae_network"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    # Users of either half watch four of its six movies.
    random = np.random.default_rng(1)
    watched = np.zeros((60, 12))
    for user in range(60):
        watched[user, 6 * (user % 2) + random.choice(6, 4, replace=False)] = 4
    data = Interactions(csr_matrix(watched), csr_matrix((12, 0)), ())
    config = spec.config(factors=8, batch_size=20, epochs=60, patience=60, learning_rate=0.03)
    fitted = spec.fit(data, config, FitOptions())
    lists = spec.rank(fitted, UserRows.all(data.user_items), 2, FitOptions())
    halves = lists.indices.reshape(60, 2) // 6
    assert (halves == np.arange(60)[:, None] % 2).mean() > 0.95
    assert len(fitted.epochs) == 60
    stored = StoredNetwork(fitted.network, np.arange(12), np.arange(60))
    trained = TrainedItems(fitted.items, np.zeros(12), 4.0, 0.0, (4.0, 4.0), network=stored)
    again = spec.fold_in(trained, UserRows.all(data.user_items), config, FitOptions())
    np.testing.assert_allclose(again.users, fitted.users, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(again.items, fitted.items)
