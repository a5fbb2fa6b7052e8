"""The commands of docker-compose.yml one after the other, without containers.

It always starts a server of its own, even if RECSYS_DATABASE_URL is set: its roles have passwords.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest
import yaml

from recsys.config.settings import load
from recsys.jobs.schedule import Scheduler
from recsys.storage.server.embedded import EmbeddedServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
GIVEN = {
    "POSTGRES_PASSWORD": "of-the-owner", "RECSYS_JOB_PASSWORD": "of-jobs",
    "RECSYS_APP_PASSWORD": "of-the-site", "RECSYS_API_TOKEN": "only-of-the-tests",
    "RECSYS_DATA": "/data/first",
}  # fmt: skip
# As the image does for other containers: each role needs its password.
ACCESS = "local all postgres trust\nlocal all all scram-sha-256\n"
COUNTS = "SELECT (SELECT count(*) FROM recsys.ingests), (SELECT count(*) FROM recsys.runs)"


def interpolated(text):
    """Substitute variables as Compose does."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: GIVEN.get(found[1]) or found[2], text)


class Containers:
    """Runs the services as processes; the paths of containers become paths in a folder."""

    def __init__(self, folder, socket):
        self.folder, self.socket = folder, socket
        self.paths = {"/data": folder / "data", "/cache": folder / "cache", "/etc/recsys": folder}

    def outside(self, text):
        for inside, path in self.paths.items():
            text = re.sub(rf"^{inside}(?=/|$)", str(path), text)
        return text.replace("@db:5432/recsys", f"@/recsys?host={quote(str(self.socket))}")

    def environment(self, name):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECSYS_", "PG"))}
        given = SERVICES[name]["environment"].items()
        return {**kept, **{key: self.outside(interpolated(text)) for key, text in given}}

    def start(self, name, *more, **options):
        words = [self.outside(interpolated(word)) for word in SERVICES[name]["command"]]
        return subprocess.Popen(
            [sys.executable, "-m", "recsys", *words, *more], env=self.environment(name),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip

    def run(self, name):
        process = self.start(name)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out, err

    def as_role(self, name):
        return psycopg.connect(self.environment(name)["RECSYS_DATABASE_URL"])


@pytest.fixture
def containers(edition):
    # Not pytest's own folder: as root that one is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="recsys-compose-"))
    folder.chmod(0o755)
    (folder / "data" / "incoming").mkdir(parents=True)
    shutil.copytree(edition, folder / "data" / "first")
    settings = (ROOT / "deploy" / "recsys.toml").read_text()
    assert "/data/incoming" in settings
    quick = '[refresh]\nmodels = ["most_rated", "ease"]\n[gate]\nenabled = false\n'
    (folder / "recsys.toml").write_text(
        settings.replace("/data/incoming", str(folder / "data" / "incoming")) + quick
    )
    server = EmbeddedServer(folder / "server")
    with server.running() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE recsys SUPERUSER LOGIN PASSWORD 'of-the-owner'")
        (server.paths.data / "pg_hba.conf").write_text(ACCESS)
        connection.execute("SELECT pg_reload_conf()")
        yield Containers(folder, server.paths.socket_dir)
    shutil.rmtree(folder)


def counts(containers):
    with containers.as_role("migrate") as connection:
        return connection.execute(COUNTS).fetchone()


def a_night(containers, monkeypatch):
    """Let the schedule wait for its next time, by a clock of its own."""
    for name, value in containers.environment("schedule").items():
        monkeypatch.setenv(name, value)
    now = datetime(2027, 1, 1, tzinfo=UTC)

    def sleep(seconds):
        nonlocal now
        now += timedelta(seconds=seconds)

    Scheduler(load().schedule, now=lambda: now, sleep=sleep).run(jobs=1)


def test_a_fresh_start_gives_a_working_site_that_follows_new_files(containers, monkeypatch):
    for name in ("migrate", "roles", "ingest", "refresh"):
        containers.run(name)
    assert counts(containers) == (1, 1)
    # A second `docker compose up` runs the same commands and changes no ratings and no run.
    for name in ("migrate", "roles", "refresh"):
        containers.run(name)
    assert counts(containers) == (1, 1)

    planned = containers.start("schedule", "--next", "1").communicate(timeout=60)[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d 03:30 UTC  refresh\n", planned)
    a_night(containers, monkeypatch)
    assert counts(containers) == (1, 1)
    new = containers.folder / "data" / "incoming" / "monday.csv"
    new.write_text("userId,movieId,rating\n1,1,1\n900,2,5\n")
    a_night(containers, monkeypatch)
    assert counts(containers) == (2, 2)
    a_night(containers, monkeypatch)
    assert counts(containers) == (2, 2)

    for name, role in (("schedule", "recsys_job"), ("serve", "recsys_app")):
        with containers.as_role(name) as connection:
            assert connection.execute("SELECT session_user").fetchone() == (role,)
    with containers.as_role("serve") as connection, pytest.raises(psycopg.Error, match="denied"):
        connection.execute("SELECT * FROM recsys_store.ratings")
    wrong = containers.environment("serve")["RECSYS_DATABASE_URL"].replace("of-the-site", "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    serve_and_ask(containers)


def serve_and_ask(containers):
    process = containers.start("serve", "--host", "127.0.0.1", "--port", "0")
    try:
        found = re.match(r"Serving on (\S+) - ", process.stderr.readline())
        with httpx.Client(base_url=found[1], trust_env=False) as http:
            assert http.get("/health/ready").json()["run_id"] == 2
            assert "<html" in http.get("/", headers={"Accept": "text/html"}).text
            assert len(http.get("/users/900/recommendations").json()) == 10
            path, body = "/users/900/ratings/3", {"rating": 4}
            headers = {"Authorization": f"Bearer {GIVEN['RECSYS_API_TOKEN']}"}
            assert http.put(path, json=body).status_code == 401
            assert http.put(path, json=body, headers=headers).status_code == 204
    finally:
        process.terminate()
        process.communicate(timeout=30)
