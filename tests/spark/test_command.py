"""`recsys refresh --engine spark` as a command: what it shows, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
import venv
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from spark_cluster import HOST, executors, free_port

from recsys.storage.server.engine import sqlalchemy_url

PASSWORD = "hunter2-is-not-shown"
MODELS = ["most_rated", "item_knn", "ease", "als"]
LEFT = """
SELECT relname FROM pg_class
WHERE relnamespace = CAST('recsys_store' AS regnamespace) AND relname ~ '_run_[0-9]+$'
"""
LISTS = """
SELECT m.name, count(*) FROM recsys_store.user_recommendations
JOIN recsys_store.models AS m USING (model_id) GROUP BY m.name ORDER BY m.name
"""
PAGES = ("environment/", "jobs/", "stages/", "executors/", "storage/", "api/v1/applications")


@pytest.fixture
def start(tmp_path, settings_of, filled_database):
    """Start the command on the database, whose URL has a password."""

    def begin(**properties):
        (tmp_path / "recsys.toml").write_text(settings_of(MODELS, **properties))
        url = sqlalchemy_url(filled_database.url).set(drivername="postgresql", password=PASSWORD)
        environment = {
            **os.environ,
            "RECSYS_HOME": str(tmp_path),
            "RECSYS_DATABASE_URL": url.render_as_string(hide_password=False),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "recsys", "--log-format", "json", "refresh"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begin


def command_lines():
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit():
                found.append((folder / "cmdline").read_bytes())
    return found


@pytest.fixture
def packed(tmp_path):
    """Pack recsys for a Python that has no packages; return the archive and that Python."""
    venv.create(tmp_path / "bare", with_pip=False)
    bare, archive = tmp_path / "bare" / "bin" / "python", tmp_path / "recsys-packages.tar.gz"
    subprocess.run([sys.executable, "-m", "recsys", "engine", "package", archive], check=True)
    assert subprocess.run([bare, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode == 1
    return {"archive": str(archive), "python": str(bare)}


def test_executors_with_an_archive_work_and_no_password_is_shown(
    start, packed, cluster, filled_database, tmp_path
):
    """Neither in the pages of Spark, nor in its event log, logs and command lines."""
    port, events = free_port(), tmp_path / "events"
    events.mkdir()
    running = start(**packed, **{
        "spark.ui.port": str(port), "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{events}", "spark.driver.host": HOST,
    })  # fmt: skip
    shown, read = [], set()
    while running.poll() is None:
        for page in PAGES:
            with suppress(OSError):
                body = urllib.request.urlopen(f"http://{HOST}:{port}/{page}", timeout=2).read()
                shown.append(body)
                read.add(page)
        shown += command_lines()
        time.sleep(1)
    output, _ = running.communicate()
    assert running.returncode == 0, output
    assert read == set(PAGES)
    files = [
        path for root in (events, cluster.folder) for path in root.rglob("*") if path.is_file()
    ]
    assert any(events in path.parents for path in files)
    assert any(path.name == "stderr" for path in files)
    for text in (output.encode(), *shown, *(path.read_bytes() for path in files)):
        assert PASSWORD.encode() not in text
    with filled_database.transaction() as connection:
        lists = connection.execute(sa.text(LISTS)).all()
    assert [(name, count > 0) for name, count in lists] == [
        ("als", True), ("ease", True), ("item_knn", True)
    ]  # fmt: skip


def test_sigterm_cancels_the_job_and_leaves_nothing(start, cluster, filled_database):
    running = start()
    assert running.stdout is not None
    for line in running.stdout:
        if '"stage": "item_knn"' in line:
            break
    running.send_signal(signal.SIGTERM)
    output = running.stdout.read()
    running.stdout.close()
    assert running.wait(60) == 128 + signal.SIGTERM, output
    deadline = time.monotonic() + 30
    while executors(cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert executors(cluster) == []
    with filled_database.transaction() as connection:
        states = connection.execute(sa.text("SELECT state, error FROM recsys.runs")).all()
        assert [tuple(row) for row in states] == [("failed", "it was stopped by a signal")]
        assert connection.scalars(sa.text(LEFT)).all() == []
