"""The worked example of a model: it is installed as a package of its own, and served."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recsys.domain import Interactions
from recsys.models.base import FitOptions
from recsys.storage.server.engine import Database

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "own-models.md").read_text(encoding="utf-8")
[CODE] = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)
[ENTRY_POINTS] = re.findall(r"(?ms)^```ini\n(.*?)^```$", PAGE)


@pytest.fixture
def recsys(tmp_path: Path, filled_database: Database) -> Callable[..., str]:
    """Run `recsys` as a process where a package with the model is installed."""
    site = tmp_path / "site"
    info = site / "also_watched-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "also_watched.py").write_text(CODE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: also-watched\nVersion: 1.0\n")
    header = ENTRY_POINTS.replace('[project.entry-points."recsys.models"]', "[recsys.models]")
    (info / "entry_points.txt").write_text(header.replace('"', ""), encoding="utf-8")
    config = tmp_path / "recsys.toml"
    config.write_text(
        '[refresh]\nmodels = ["popular", "most_rated", "also_watched"]\n'
        'default_model = "also_watched"\n\n[models.also_watched]\npopularity = 0.4\n',
        encoding="utf-8",
    )
    environment = os.environ | {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "RECSYS_DATABASE_URL": filled_database.url,
        "RECSYS_CONFIG": str(config),
        "RECSYS_HOME": str(tmp_path / "home"),
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "recsys", *arguments]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_the_example_is_refreshed_served_and_follows_ratings(
    recsys: Callable[..., str],
) -> None:
    documented = recsys("models", "also_watched")
    assert "Also watched" in documented
    assert "popularity" in documented
    recsys("refresh")
    stored = json.loads(recsys("recommend", "1", "--json"))
    assert {(row["source"], row["model"]) for row in stored} == {("stored", "also_watched")}
    recsys("rate", "1", str(stored[0]["movie_id"]), "5")
    live = json.loads(recsys("recommend", "1", "--json"))
    assert {(row["source"], row["model"]) for row in live} == {("live", "also_watched")}
    assert stored[0]["movie_id"] not in {row["movie_id"] for row in live}


def test_its_weights_are_those_of_its_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "also_watched.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.import_module("also_watched").SPEC
    monkeypatch.delitem(sys.modules, "also_watched")
    ratings = csr_matrix(np.array([[4, 5, 0, 1], [3, 2, 0, 0], [5, 1, 2, 0], [0, 3, 4, 0]], float))
    data = Interactions(ratings, csr_matrix((4, 0)), ())
    # Blocks of three rows, so that the second one begins in the middle.
    found = spec.fit(data, spec.config(), FitOptions(k=2, block_rows=3))
    lists = [
        {
            int(i): round(float(s), 6)
            for i, s in zip(found.indices[a:b], found.scores[a:b], strict=True)
        }
        for a, b in itertools.pairwise(found.indptr)
    ]
    # Raters: 3, 4, 2, 1. Common: movies 0 and 1 three, 1 and 2 two; other pairs at most one.
    assert lists == [
        {1: 0.5},  # 3 / 3 / sqrt(4)
        {0: 0.433013, 2: 0.353553},  # 3 / 4 / sqrt(3), 2 / 4 / sqrt(2)
        {1: 0.5},  # 2 / 2 / sqrt(4)
        {},
    ]
