"""The edition to read from, and a home for an embedded server of a test's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from recsys.storage.embedded import EmbeddedServer
from recsys.storage.engine import Database


@pytest.fixture(scope="session")
def edition_database(server_url: str, refreshed_template: str) -> Database:
    """The made-up edition with run 1 published; nobody may write to it."""
    url = sa.make_url(server_url).set(database=refreshed_template)
    return Database(url.render_as_string(hide_password=False))


@pytest.fixture
def unused_home() -> Iterator[Path]:
    """A RECSYS_HOME that nobody uses."""
    # Not pytest's own folder: as root that one is closed to the server's user.
    home = Path(tempfile.mkdtemp(prefix="recsys-service-"))
    home.chmod(0o755)
    yield home
    EmbeddedServer(home).stop(force=True)
    shutil.rmtree(home, ignore_errors=True)
