"""Files of other users in the place of the server are neither trusted nor followed.

These always start servers of their own, even if RECSYS_DATABASE_URL is set.
"""

import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from recsys.errors import ConfigError, StorageError
from recsys.storage.server.embedded import EmbeddedServer

AS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not AS_ROOT, reason="only root can give files away")
SOMEBODY = 65_534


@pytest.fixture
def home():
    # Not pytest's own folder: as root that one is closed to the server's user.
    folder = Path(tempfile.mkdtemp(prefix="recsys-place-"))
    folder.chmod(0o755)
    yield folder
    remove(folder)


@pytest.fixture
def long_home(home):
    """A home whose name is too long for a socket in it."""
    deep = home / ("long-" * 20)
    deep.mkdir(mode=0o755)
    yield deep
    remove(deep)


def remove(home: Path) -> None:
    place = EmbeddedServer(home).paths
    if is_owned(place.socket_dir, place.owner):
        EmbeddedServer(home).stop(force=True)
    for folder in (place.socket_dir, place.root, home):
        shutil.rmtree(folder, ignore_errors=True)


def is_owned(folder: Path, owner: int) -> bool:
    return folder.is_dir() and folder.lstat().st_uid == owner


def owner_and_mode(path: Path) -> tuple[int, str]:
    info = path.lstat()
    return info.st_uid, oct(stat.S_IMODE(info.st_mode))


def one(url: str) -> tuple[int, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone()


def listen(folder: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(folder / ".s.PGSQL.5432"))
    listening.listen(1)
    listening.setblocking(False)
    return listening


def was_called(listening: socket.socket) -> bool:
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True


# --- a socket folder that is not ours ---


@pytest.mark.parametrize(
    ("owner", "mode"),
    [
        pytest.param(SOMEBODY, 0o700, marks=as_root, id="somebody else's"),
        pytest.param(SOMEBODY, 0o755, marks=as_root, id="somebody else's, open"),
        pytest.param(None, 0o755, id="open to all"),
        pytest.param(None, 0o720, id="open to the group"),
    ],
)
def test_servers_in_folders_of_other_users_are_ignored(long_home, owner, mode):
    server = EmbeddedServer(long_home)
    folder = server.paths.socket_dir
    assert folder.parent == Path("/tmp")
    assert folder.name.startswith(f"recsys-{os.geteuid()}-")
    folder.mkdir(mode=0o700)
    try:
        with listen(folder) as listening:
            os.chown(folder, server.paths.owner if owner is None else owner, -1)
            folder.chmod(mode)
            before = owner_and_mode(folder)
            assert not server.status().running
            for attempt in (server.start, server.running().__enter__):
                with pytest.raises(ConfigError) as caught:
                    attempt()
                assert str(caught.value) == f"{folder} is not a private folder of the server's"
                assert caught.value.hint == "remove it, or set RECSYS_HOME to a shorter path"
            assert not server.stop()
            assert not was_called(listening)
        assert owner_and_mode(folder) == before
        status = server.status()
        assert (status.running, status.kept, status.in_use) == (False, False, False)
        assert not server.paths.data.exists()
    finally:
        shutil.rmtree(folder)


def test_a_link_in_place_of_the_socket_folder_is_refused(home, long_home):
    server = EmbeddedServer(long_home)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    os.chown(elsewhere, server.paths.owner, -1)
    before = owner_and_mode(elsewhere)
    server.paths.socket_dir.symlink_to(elsewhere)
    try:
        with listen(elsewhere) as listening:
            assert not server.status().running
            with pytest.raises(ConfigError, match="is not a private folder"):
                server.start()
            assert not was_called(listening)
        assert owner_and_mode(elsewhere) == before
    finally:
        server.paths.socket_dir.unlink()


def test_a_home_with_a_long_name_works(long_home):
    server = EmbeddedServer(long_home)
    with server.running() as url:
        assert one(url) == (1,)
        assert owner_and_mode(server.paths.socket_dir) == (server.paths.owner, "0o700")
        assert server.status().running
    assert not server.status().running


# --- what belongs to whom ---


@as_root
def test_of_roots_cluster_the_servers_user_owns_three_folders(home):
    server = EmbeddedServer(home)
    assert server.start()
    place, recsys = server.paths, pwd.getpwnam("recsys").pw_uid
    owners = {path.name: path.lstat().st_uid for path in place.root.iterdir()}
    theirs = {name for name, uid in owners.items() if uid == recsys}
    assert theirs == {"data", "run", "log"}
    assert {uid for name, uid in owners.items() if name not in theirs} == {0}
    assert owner_and_mode(place.root) == (0, "0o710")
    for folder in ("data", "run", "log"):
        assert owner_and_mode(place.root / folder) == (recsys, "0o700")
    assert owner_and_mode(place.log)[0] == recsys
    # Only root can create files beside them.
    planted = subprocess.run(
        ["touch", place.root / "planted"], capture_output=True, **place.as_server_user()
    )
    assert planted.returncode != 0
    assert server.stop()


def test_the_settings_of_the_server_are_those_written(home):
    server = EmbeddedServer(home)
    with server.running() as url, psycopg.connect(url) as connection:
        query = "SELECT sourcefile, setting FROM pg_settings WHERE name = 'wal_level'"
        source, setting = connection.execute(query).fetchone()
        assert (Path(source).resolve(), setting) == (server.paths.settings.resolve(), "minimal")


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o077, 0o000], ids=oct)
def test_the_server_can_read_its_settings_under_any_umask(home, umask):
    before = os.umask(umask)
    try:
        server = EmbeddedServer(home)
        for _ in range(2):
            with server.running() as url:
                assert one(url) == (1,)
        assert stat.S_IMODE(server.paths.settings.stat().st_mode) == 0o644
    finally:
        os.umask(before)


# --- links that were planted ---


@as_root
@pytest.mark.slow
def test_a_link_planted_among_the_data_is_not_written_through(home):
    server = EmbeddedServer(home)
    with server.running():
        pass
    precious = home / "precious"
    precious.write_text("mine")
    precious.chmod(0o600)
    planted = server.paths.data / "recsys.conf"
    planted.unlink(missing_ok=True)
    planted.symlink_to(precious)
    with server.running() as url:
        assert one(url) == (1,)
    assert precious.read_text() == "mine"
    assert owner_and_mode(precious) == (0, "0o600")


@as_root
@pytest.mark.slow
@pytest.mark.parametrize("name", ["log", "data.new", "run"])
def test_a_link_in_place_of_a_folder_of_the_servers_is_not_followed(home, name):
    server = EmbeddedServer(home)
    precious = home / "precious"
    precious.mkdir(mode=0o755)
    (precious / "postgresql.log").write_text("mine")
    (server.paths.root / name).symlink_to(precious)
    try:
        with server.running() as url:
            assert one(url) == (1,)
    except (ConfigError, StorageError):
        pass
    finally:
        if (server.paths.root / name).is_symlink():
            (server.paths.root / name).unlink()
    assert owner_and_mode(precious) == (0, "0o755")
    assert [path.name for path in precious.iterdir()] == ["postgresql.log"]
    assert (precious / "postgresql.log").read_text() == "mine"
    assert owner_and_mode(precious / "postgresql.log")[0] == 0
    # With the link gone all is well.
    with server.running() as url:
        assert one(url) == (1,)


def test_start_and_stop(home):
    server = EmbeddedServer(home)
    assert server.start()
    assert not server.start()
    assert server.status().kept
    assert one(server.url) == (1,)
    assert server.stop()
    assert not server.stop()
    status = server.status()
    assert (status.running, status.kept, status.in_use) == (False, False, False)
    assert status.log.is_file()


@pytest.mark.slow
def test_a_server_that_did_not_start_is_not_marked_as_kept(home):
    server = EmbeddedServer(home)
    with server.running():
        pass
    with open(server.paths.data / "postgresql.conf", "a") as conf:
        conf.write("shared_buffers = 'nonsense'\n")
    with pytest.raises(StorageError):
        server.start()
    assert not server.status().kept
