"""Tests that run without the published data sets, and the requirements of the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests/ingest/test_real_data.py"


@pytest.mark.slow
def test_tests_of_absent_data_sets_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "ml-100k").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", MODULE],
        cwd=ROOT,
        env={**os.environ, "RECSYS_TEST_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    assert collected == [
        f"{MODULE}::test_ml_100k",
        f"{MODULE}::test_genres_of_ml_100k_are_those_of_its_list",
    ]
    (line,) = [each for each in done.stdout.splitlines() if "left out" in each]
    assert line.startswith(f"tests of published data sets left out: 2, in {MODULE}; ")
    assert "RECSYS_TEST_DATA=FOLDER" in line
