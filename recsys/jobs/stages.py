"""Measure the time, rows and memory of the stages of a run; name the versions of the code."""

from __future__ import annotations

import logging
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from recsys.jobs.progress import Reporter
from recsys.storage.runs.lifecycle import Stage
from recsys.storage.server.engine import server_version

logger = logging.getLogger(__name__)

PACKAGES = ("recsys", "numpy", "scipy", "scikit-learn", "implicit", "sparse-dot-topn")

FIGURE = re.compile(r"(\S+) (-?[0-9.]+)(?:,|$)")
"""A figure in the note of an epoch, such as `loss 0.8123`."""


class StageClock:
    """Time one stage after the other and tell the reporter."""

    def __init__(self, reporter: Reporter) -> None:
        self.stages: list[Stage] = []
        self._reporter = reporter
        self._stage = ""
        # Durations never come from the wall clock, which may be set while a run computes.
        self._started = time.monotonic()
        self.started_at = datetime.now(UTC)

    @property
    def total_seconds(self) -> float:
        return time.monotonic() - self._started

    def advance(self, done: int, total: int) -> None:
        self._reporter.advance(done, total)

    def told(self, done: int, total: int, note: str) -> None:
        """Report an epoch of a training; the note holds its figures."""
        self._reporter.advance(done, total, f"epoch {done}/{total}, {note}")
        figures = {name: float(value) for name, value in FIGURE.findall(note)}
        facts = {"stage": self._stage, "epoch": done, "epochs": total, **figures}
        logger.info(
            "%s: epoch %d of %d, %s", self._stage, done, total, note, extra={"facts": facts}
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int, str], None]]:
        """Time a stage; yield a function that takes the number of rows and their unit."""
        started_at, started = datetime.now(UTC), time.monotonic()
        self._stage = name
        self._reporter.begin(name)
        rows, word = 0, "rows"

        def done(count: int, unit: str) -> None:
            nonlocal rows, word
            rows, word = count, unit

        # Without `finally`: a stage that fails has no rows, and the run records the error.
        yield done
        seconds = time.monotonic() - started
        self.stages.append(Stage(name, started_at, seconds, rows, peak_memory_mb()))
        self._reporter.end(f"{rows:,} {word}")
        facts = {"stage": name, "seconds": round(seconds, 3), "rows": rows, "unit": word}
        logger.info("%s: %d %s in %.1f s", name, rows, word, seconds, extra={"facts": facts})


def peak_memory_mb() -> int:
    """Return the highest resident memory of this process so far or since a reset, in MiB."""
    # Linux tells the peak since a reset; getrusage only ever rises.
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 2**10
    # ru_maxrss is in bytes on macOS, in KiB elsewhere.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (2**20 if sys.platform == "darwin" else 2**10))


def reset_peak_memory() -> None:
    """Reset the peak of resident memory, where the system supports it."""
    with suppress(OSError):
        # 5 resets VmHWM and leaves the flags of the pages alone, see proc(5).
        Path("/proc/self/clear_refs").write_text("5")


def code_versions(connection: sa.Connection) -> dict[str, str]:
    versions = {package: version(package) for package in PACKAGES}
    versions["python"] = platform.python_version()
    versions["postgresql"] = server_version(connection)
    return versions
