"""Two users of the operating system and one RECSYS_HOME: it serves the one who made it.

Only root can become another user. As root, the quick tests change the effective user; the slow ones
run whole commands, with servers of their own even if RECSYS_DATABASE_URL is set.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys.config import settings
from recsys.errors import ConfigError
from recsys.storage.server.embedded import EmbeddedServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# Accounts that every Unix has; PostgreSQL looks its user up.
ALICE, BOB = (pwd.getpwnam(name) for name in ("daemon", "nobody"))
AS_USER = Path(__file__).parents[1] / "helpers" / "as_user.py"
OWN_HOME = "set RECSYS_HOME to a folder of your own; to share a database, set RECSYS_DATABASE_URL"
RATINGS = "user,movie,rating,time\n" + "".join(
    f"{user},{movie},{1 + (user * movie) % 5},{10**9 + user}\n"
    for user in range(1, 31)
    for movie in range(1, 21)
    if (user + movie) % 3
)


@pytest.fixture
def shared():
    """A folder that every user may enter and write."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-shared-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def effective(user):
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def snapshot(folder):
    """Return owner, group and mode of everything in a folder."""
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        info = path.lstat()
        found[path] = (info.st_uid, info.st_gid, oct(info.st_mode))
    return found


# --- the folder of the server ---


def refused(user, home):
    """Return message and hint with which a user is refused, with nothing changed."""
    before = snapshot(home)
    with effective(user), pytest.raises(ConfigError) as caught:
        EmbeddedServer(home)
    assert snapshot(home) == before
    return str(caught.value), caught.value.hint


def test_each_user_makes_folders_of_their_own(shared):
    with effective(ALICE):
        paths = EmbeddedServer(shared / "alice").paths
    for folder in (shared / "alice", paths.root):
        assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (ALICE.pw_uid, 0o700)
    assert paths.user is None


@pytest.mark.parametrize("mode", [0o700, 0o770, 0o777], ids=oct)
def test_a_home_serves_the_user_who_made_it(shared, mode):
    with effective(ALICE):
        EmbeddedServer(shared)
    # Also if it was opened to others: PostgreSQL serves only data of the user that runs it.
    (shared / "postgresql").chmod(mode)
    assert refused(BOB, shared) == (f"RECSYS_HOME={shared} belongs to the user daemon", OWN_HOME)
    root = pwd.getpwuid(0)
    assert refused(root, shared) == (
        f"RECSYS_HOME={shared} belongs to the user daemon",
        f"run recsys as daemon, or {OWN_HOME}",
    )
    with effective(ALICE):
        EmbeddedServer(shared)


def test_a_home_of_roots(shared):
    EmbeddedServer(shared)
    assert refused(ALICE, shared) == (f"RECSYS_HOME={shared} belongs to the user root", OWN_HOME)


def test_a_closed_home_of_another(shared):
    home = shared / "home"
    with effective(ALICE):
        EmbeddedServer(home)
    for folder in (home, home / "deeper"):
        with effective(BOB), pytest.raises(ConfigError) as caught:
            settings.load({"RECSYS_HOME": str(folder)}, folder=shared)
        assert str(caught.value) == f"RECSYS_HOME={folder} belongs to the user daemon"
        assert caught.value.hint == OWN_HOME
        with effective(BOB), pytest.raises(ConfigError) as caught:
            EmbeddedServer(folder)
        assert str(caught.value) == f"RECSYS_HOME={folder} belongs to the user daemon"


def test_a_link_of_another_is_not_followed(shared):
    (shared / "elsewhere").mkdir()
    with effective(ALICE):
        (shared / "postgresql").symlink_to(shared / "elsewhere")
    assert refused(pwd.getpwuid(0), shared)[0].endswith("belongs to the user daemon")
    assert list((shared / "elsewhere").iterdir()) == []


def test_a_home_that_does_not_exist_belongs_to_nobody(shared):
    shared.chmod(0o755)
    with effective(BOB), pytest.raises(ConfigError) as caught:
        EmbeddedServer(shared / "new")
    assert str(caught.value) == (
        f"cannot use {shared / 'new'} for the embedded PostgreSQL: Permission denied"
    )
    assert caught.value.hint == "set RECSYS_HOME to a folder you may write to"


def test_an_owner_without_a_name(shared):
    (shared / "postgresql").mkdir()
    os.chown(shared / "postgresql", 54_321, 54_321)
    assert refused(BOB, shared)[0] == f"RECSYS_HOME={shared} belongs to the user with the id 54321"


# --- whole commands ---


def run_as(user, home, *commands):
    """Run commands of recsys one after the other; return their exit codes, outputs and errors."""
    words = [word for command in commands for word in (*command.split(), "--")][:-1]
    done = subprocess.run(
        [sys.executable, AS_USER, str(user.pw_uid), *words],
        env={**environment(), "RECSYS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def environment():
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RECSYS_", "PG")) and name != "HOME"
    }


def succeed(done):
    assert [each for each in done if each["code"] != 0] == []


def all_refused(done, home, owner):
    for each in done:
        errors = each["err"].splitlines()
        assert (each["code"], each["out"], len(errors)) == (1, "", 2), each
        assert errors[0] == f"error: RECSYS_HOME={home} belongs to the user {owner}"
        assert errors[1].endswith(OWN_HOME)


EVERY_COMMAND = (
    "db start", "db status", "status", "recommend 1", "refresh --models most_rated", "db upgrade",
    "serve --port 0", "runs list", "db stop", "db stop --force",
)  # fmt: skip


@pytest.mark.slow
def test_commands_of_two_users_on_one_home(shared):
    data = shared / "ratings.csv"
    data.write_text(RATINGS)
    home = shared / "home"
    home.mkdir()
    home.chmod(0o777)
    refresh = "refresh --models most_rated,popular"
    succeed(run_as(ALICE, home, f"ingest {data}", refresh))
    before = snapshot(home)
    # One after the other: her server has ended with her command.
    all_refused(run_as(BOB, home, *EVERY_COMMAND), home, ALICE.pw_name)
    assert snapshot(home) == before
    # At the same time, also as root: her server goes on.
    with serving(ALICE, home):
        all_refused(run_as(BOB, home, *EVERY_COMMAND), home, ALICE.pw_name)
        all_refused(run_as(pwd.getpwuid(0), home, *EVERY_COMMAND), home, ALICE.pw_name)
        succeed(run_as(ALICE, home, "status", refresh))
    owners = {owner for path, (owner, *_) in snapshot(home).items() if path != home}
    assert owners == {ALICE.pw_uid}
    # What is hers works as before, and he works in a home of his own.
    succeed(run_as(ALICE, home, "db start", "runs list", "db stop"))
    own = shared / "bob"
    succeed(run_as(BOB, own, f"ingest {data}", refresh, "db stop"))
    assert {owner for owner, *_ in snapshot(own).values()} == {BOB.pw_uid}


@pytest.mark.slow
def test_two_users_start_in_an_empty_home_at_the_same_time(shared):
    commands = [
        subprocess.Popen(
            [sys.executable, AS_USER, str(user.pw_uid), "db", "start", "--", "db", "stop"],
            env={**environment(), "RECSYS_HOME": str(shared)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for user in (ALICE, BOB)
    ]
    done = [
        [json.loads(line) for line in each.communicate(timeout=400)[0].splitlines()]
        for each in commands
    ]
    [winner] = [place for place in (0, 1) if done[place][0]["code"] == 0]
    user = (ALICE, BOB)[winner]
    succeed(done[winner])
    all_refused(done[1 - winner], shared, user.pw_name)
    owners = {owner for path, (owner, *_) in snapshot(shared).items() if path != shared}
    assert owners == {user.pw_uid}


@contextmanager
def serving(user, home):
    """Serve the pages of a home as a user."""
    with subprocess.Popen(
        [sys.executable, AS_USER, str(user.pw_uid), "--foreground", "serve", "--port", "0"],
        env={**environment(), "RECSYS_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            said = server.stderr.readline()
            assert re.match(r"Serving on http://", said), said
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.stderr.read()
    assert server.returncode == 0
