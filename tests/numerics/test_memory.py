"""The memory that Linux, or a container, has left."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Interactions
from recsys.errors import RunError
from recsys.models.base import FitOptions
from recsys.models.registry import MODELS, make_config
from recsys.numerics import memory
from recsys.numerics.memory import available_bytes, require_matrices


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Write the files that the system tells in; 8 GB are available."""
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n")
    return tmp_path


def test_what_the_machine_has(system):
    assert available_bytes() == 8_192_000_000
    (system / "meminfo").unlink()
    assert available_bytes() is None


def test_a_container_may_have_less(system):
    (system / "memory.max").write_text("max\n")
    (system / "memory.current").write_text("3000\n")
    assert available_bytes() == 8_192_000_000
    (system / "memory.max").write_text("10000\n")
    assert available_bytes() == 7_000
    (system / "memory.stat").write_text("anon 9\nactive_file 500\ninactive_file 70\nslab 3\n")
    assert available_bytes() == 7_570


def test_matrices_that_do_not_fit_are_refused_with_their_size(system):
    require_matrices(64_000, 2)
    told = r"70,000 movies need 2 x 70,000² bytes = 9\.8 GB, and 8\.2 GB are available"
    with pytest.raises(RunError, match=told) as refused:
        require_matrices(70_000, 2)
    assert "lower max_items" in str(refused.value.hint)
    (system / "meminfo").unlink()
    require_matrices(70_000, 2)


@pytest.mark.parametrize(("name", "bytes_each"), [("ease", 2), ("slist", 18)])
def test_models_ask_before_they_read(system, name, bytes_each):
    """500 movies in 400,000 bytes; the ratings take less."""
    (system / "meminfo").write_text("MemAvailable: 400 kB\n")
    ratings = csr_matrix(np.full((3, 500), 4.0))
    data = Interactions(ratings, csr_matrix((500, 0)), (), np.arange(1500.0))
    with pytest.raises(RunError, match=f"need {bytes_each} x 500² bytes"):
        MODELS[name].fit(data, make_config(MODELS[name], {}), FitOptions())
