"""Executors that are killed leave no wrong and no second list."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "torture" / "kill_executors.py"


@pytest.mark.slow
def test_executors_are_killed_in_every_phase() -> None:
    """While they read, add up, rank and write; the script compares the lists."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "6"], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    killed = re.search(r"(\d+) executors killed", done.stdout)
    assert killed is not None
    assert int(killed[1]) >= 3
