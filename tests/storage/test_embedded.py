"""The embedded server itself: shared by processes, stopped by the last, safe after kill -9.

These always start servers of their own, even if RECSYS_DATABASE_URL is set.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from recsys.errors import ConfigError, DataOfOtherVersion, StorageError
from recsys.storage.server import server_paths
from recsys.storage.server.embedded import EmbeddedServer, server_settings

AS_ROOT = os.geteuid() == 0
HOLD = """
import sys, pathlib
from recsys.storage.server.embedded import EmbeddedServer
with EmbeddedServer(pathlib.Path(sys.argv[1])).running() as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def home():
    # Not pytest's own folder: as root that one is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="recsys-home-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)


def test_data_of_another_major_version_is_refused(home):
    server = EmbeddedServer(home)
    server.paths.data.mkdir()
    (server.paths.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(DataOfOtherVersion) as caught, server.running():
        pytest.fail("it started")
    assert str(caught.value) == (
        f"{server.paths.data} is of PostgreSQL 17, but the embedded server is PostgreSQL 18"
    )


def remove(home: Path) -> None:
    if home.exists():
        server = EmbeddedServer(home)
        server.stop(force=True)
        shutil.rmtree(server.paths.root, ignore_errors=True)
        shutil.rmtree(server.paths.socket_dir, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


class Holder:
    """Another process that uses the server of a home until it is stopped."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


def wait_until_gone(server: EmbeddedServer, postmaster: int) -> None:
    # A process that was killed keeps its number until init has reaped it, and its children
    # its socket until they have noticed.
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not Path(f"/proc/{postmaster}").exists() and not server.status().running:
            return
        time.sleep(0.05)
    raise AssertionError("the killed server is still there")


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_it_runs_for_as_long_as_it_is_used(home):
    server = EmbeddedServer(home)
    with server.running() as url:
        assert answers(url)
        status = server.status()
        assert (status.running, status.kept, status.in_use) == (True, False, True)
    status = server.status()
    assert (status.running, status.kept, status.in_use) == (False, False, False)
    assert not answers(url)


def test_data_survives_a_restart(home):
    server = EmbeddedServer(home)
    with server.running() as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS x")
    with server.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (42,)
        names = sorted(server_settings())
        found = connection.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s) ORDER BY 1",
            [names],
        ).fetchall()
        assert dict(found)["listen_addresses"] == ""
        assert dict(found)["wal_level"] == "minimal"
        sourced = connection.execute(
            "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%recsys.conf' AND applied"
        ).fetchone()
        assert sourced == (len(names),)
        locale = "SELECT datcollate, datlocale, pg_encoding_to_char(encoding) FROM pg_database"
        assert set(connection.execute(locale)) == {("C.UTF-8", "C.UTF-8", "UTF8")} or set(
            connection.execute(locale)
        ) == {("C", "C.UTF-8", "UTF8")}


def test_two_processes_share_it_and_the_last_one_out_stops_it(home):
    first, second = Holder(home), Holder(home)
    assert first.url == second.url
    first.end()
    assert answers(second.url)
    second.end()
    assert not answers(second.url)


def test_after_kill_9_of_its_user_the_next_one_stops_it(home):
    killed = Holder(home)
    killed.kill()
    assert answers(killed.url)
    server = EmbeddedServer(home)
    assert (server.status().running, server.status().in_use) == (True, False)
    with server.running() as url:
        assert url == killed.url
    assert not answers(url)


@pytest.mark.slow
def test_a_killed_server_comes_back(home):
    server = EmbeddedServer(home)
    server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS x")
    postmaster = int((server.paths.data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    wait_until_gone(server, postmaster)
    assert server.start() is True
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (42,)


def test_started_is_kept_until_it_is_stopped(home):
    server = EmbeddedServer(home)
    assert server.start() is True
    assert server.start() is False
    with server.running() as url:
        pass
    assert answers(url)
    status = server.status()
    assert (status.running, status.kept, status.in_use) == (True, True, False)
    assert server.stop() is True
    assert server.stop() is False
    assert not answers(url)
    assert server.status().kept is False


def test_stopping_is_refused_while_the_server_is_in_use(home):
    server, user = EmbeddedServer(home), Holder(home)
    with pytest.raises(StorageError, match="in use by another recsys command") as caught:
        server.stop()
    assert caught.value.hint == "wait for it to end"
    assert answers(user.url)
    assert server.stop(force=True) is True
    assert not answers(user.url)
    user.end()


@pytest.mark.slow
def test_a_missing_socket_folder_is_made_again(home):
    server = EmbeddedServer(home)
    with server.running():
        pass
    shutil.rmtree(server.paths.socket_dir)
    with server.running() as url:
        assert answers(url)


def test_a_socket_folder_of_another_user_is_refused(home):
    server = EmbeddedServer(home)
    server.paths.socket_dir.mkdir()
    server.paths.socket_dir.chmod(0o777)
    with pytest.raises(ConfigError, match="is not a private folder"), server.running():
        pytest.fail("started in a folder open to all")


@pytest.mark.slow
def test_a_long_path_works(home):
    deep = home / ("x" * 60) / ("y" * 60)
    server = EmbeddedServer(deep)
    try:
        assert len(str(server.paths.root)) > 100
        assert server.paths.socket_dir.parent == Path("/tmp")
        with server.running() as url:
            assert answers(url)
    finally:
        remove(deep)


@pytest.mark.slow
def test_a_home_with_a_space_and_an_umlaut_works(home):
    odd = home / "Vidéo thèque"
    try:
        with EmbeddedServer(odd).running() as url:
            assert answers(url)
    finally:
        remove(odd)


@pytest.mark.slow
def test_two_homes_have_two_servers(home):
    one, other = EmbeddedServer(home / "a"), EmbeddedServer(home / "b")
    try:
        with one.running() as first, other.running() as second:
            assert first != second
            assert answers(first)
            assert answers(second)
    finally:
        remove(home / "a")
        remove(home / "b")


@pytest.mark.slow
def test_an_interrupted_initdb_leaves_no_cluster(home):
    server = EmbeddedServer(home)
    unfinished = server.paths.data.with_name("data.new")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with server.running() as url:
        assert answers(url)
    assert not unfinished.exists()


@pytest.mark.slow
def test_a_cluster_that_does_not_start_names_its_log(home):
    server = EmbeddedServer(home)
    with server.running():
        pass
    with open(server.paths.data / "postgresql.conf", "a") as conf:
        conf.write("shared_buffers = 'nonsense'\n")
    with pytest.raises(StorageError, match="the embedded PostgreSQL failed: pg_ctl") as caught:
        server.start()
    assert caught.value.hint == f"its log is {server.paths.log}"


def test_a_home_that_cannot_be_made_is_a_config_error(home):
    (home / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use") as caught:
        EmbeddedServer(home / "file" / "inside")
    assert caught.value.hint == "set RECSYS_HOME to a folder you may write to"


def test_programs_of_the_server_are_there(home):
    server = EmbeddedServer(home)
    for name in ("psql", "pg_dump", "pg_restore", "pgbench"):
        made = subprocess.run([server.program(name), "--version"], capture_output=True, text=True)
        assert made.stdout.startswith(f"{name} (PostgreSQL) 18")


@pytest.mark.slow
def test_settings_of_our_shell_do_not_reach_it(home, monkeypatch):
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with EmbeddedServer(home).running() as url:
        pass
    assert url.endswith("/run")


@pytest.mark.slow
@pytest.mark.skipif(not AS_ROOT, reason="about root")
def test_roots_server_runs_as_the_system_user(home):
    server = EmbeddedServer(home)
    with server.running():
        postmaster = (server.paths.data / "postmaster.pid").read_text().split()[0]
        owner = Path(f"/proc/{postmaster}").stat().st_uid
    assert owner == pwd.getpwnam("recsys").pw_uid
    assert server.paths.data.stat().st_uid == owner


@pytest.mark.skipif(not AS_ROOT, reason="about root")
def test_a_closed_home_of_roots_works_and_no_folder_is_loosened(home):
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    (home / "closed" / "deep").mkdir(mode=0o700)
    folders = [closed / "deep", *(closed / "deep").parents, Path("/root")]
    before = {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in folders}
    try:
        with EmbeddedServer(closed / "deep").running() as url:
            assert answers(url)
        after = {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in folders}
        assert after == before
        place = EmbeddedServer(closed / "deep").paths
        assert (closed / "deep" / "postgresql").resolve() == place.root
        assert place.root.parent == server_paths.ROOT_HOME / "clusters"
        assert (place.root.stat().st_uid, stat.S_IMODE(place.root.stat().st_mode)) == (0, 0o710)
        assert stat.S_IMODE(place.data.stat().st_mode) == 0o700
    finally:
        remove(closed / "deep")


@pytest.mark.skipif(not AS_ROOT, reason="about root")
def test_a_dangling_link_to_a_cluster_is_reported(home):
    (home / "postgresql").symlink_to(home / "gone")
    with pytest.raises(ConfigError, match="which is gone") as caught:
        EmbeddedServer(home)
    assert caught.value.hint == f"remove {home / 'postgresql'} to start with an empty database"
    (home / "postgresql").unlink()
