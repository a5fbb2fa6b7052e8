"""A home for an embedded server of a test's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.storage.embedded import EmbeddedServer


@pytest.fixture
def unused_home() -> Iterator[Path]:
    """A RECSYS_HOME that nobody uses."""
    # Not pytest's own folder: as root that one is closed to the server's user.
    home = Path(tempfile.mkdtemp(prefix="recsys-service-"))
    home.chmod(0o755)
    yield home
    EmbeddedServer(home).stop(force=True)
    shutil.rmtree(home, ignore_errors=True)
