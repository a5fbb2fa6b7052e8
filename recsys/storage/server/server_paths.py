"""The folders of the embedded server and the user it runs as.

PostgreSQL refuses to run as root. As root, the server runs as the system user `recsys`, in folders
that this user can reach with their present permissions: by default under /var/lib/recsys. If
`RECSYS_HOME` is closed to other users, it holds only a link to such a folder.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.errors import ConfigError
from recsys.owners import foreign_owner, home_of_another, user_name

SYSTEM_USER = "recsys"
FOLDER = "postgresql"
ROOT_HOME = Path("/var/lib/recsys")
SHELL_CHARACTERS = set("'\"$`\\")
SOCKET_PATH_LIMIT = 100  # 107 bytes on Linux, 103 on macOS


@dataclass(frozen=True, slots=True)
class ServerPaths:
    root: Path
    """The folder of the server.

    The calling user owns it; the server's user owns only `data`, `run` and `log` in it. A
    compromised server can therefore not plant links that redirect writes of the caller.
    """
    socket_dir: Path
    binaries: Path
    user: str | None
    """The user the server runs as; None is the calling user."""

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def settings(self) -> Path:
        return self.root / "recsys.conf"

    @property
    def log(self) -> Path:
        return self.root / "log" / "postgresql.log"

    @property
    def mutex(self) -> Path:
        return self.root / "start-stop.lock"

    @property
    def in_use(self) -> Path:
        return self.root / "in-use.lock"

    @property
    def keep(self) -> Path:
        return self.root / "keep-running"

    def as_server_user(self) -> dict[str, Any]:
        """Return the arguments that make subprocess run a program as the server's user."""
        if self.user is None:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    @property
    def owner(self) -> int:
        """The user id the server runs under."""
        return os.geteuid() if self.user is None else pwd.getpwnam(self.user).pw_uid

    def make_for_server(self, folder: Path) -> None:
        """Create a folder for the server's user alone; an existing one is left as it is."""
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(folder, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def has_server(home: Path) -> bool:
    """Tell whether a home has the data of a server, without creating anything."""
    try:
        (home / FOLDER / "data").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # of another user, which is reported where it is opened
        return True
    return True


def prepare(home: Path, wheel_binaries: Path) -> ServerPaths:
    """Create the folders of the server and return their paths.

    Raises ConfigError if the home cannot be created or the system user is missing.
    """
    odd = sorted(set(str(home)) & SHELL_CHARACTERS | {c for c in str(home) if not c.isprintable()})
    if odd:
        raise ConfigError(
            f"RECSYS_HOME cannot hold {' '.join(map(repr, odd))}: PostgreSQL starts by a shell",
            hint="set it to a folder whose path is without",
        )
    try:
        if os.geteuid() != 0:
            _make(home, 0o700)
            root = home / FOLDER
            _make(root, 0o700)
            _require_own(root, home)
            return ServerPaths(root, _socket_dir(root), wheel_binaries, None)
        return _prepare_as_root(home, wheel_binaries)
    except PermissionError as exc:
        owner = foreign_owner(home)
        if owner is None:
            raise _unusable(home, exc) from exc
        raise home_of_another(home, owner) from exc
    except OSError as exc:
        raise _unusable(home, exc) from exc


def _unusable(home: Path, exc: OSError) -> ConfigError:
    return ConfigError(
        f"cannot use {exc.filename or home} for the embedded PostgreSQL: {exc.strerror}",
        hint="set RECSYS_HOME to a folder you may write to",
    )


def _require_own(root: Path, home: Path) -> None:
    """Raise ConfigError unless the caller has made the folder of the server, or the link to it.

    PostgreSQL serves only data of the user that runs it. Locks and settings of another user's
    server must not get files of the caller.
    """
    for owner in (root.lstat().st_uid, root.stat().st_uid):
        if owner != os.geteuid():
            raise home_of_another(home, user_name(owner))


def make_socket_dir(paths: ServerPaths) -> None:
    """Create the socket folder; raise ConfigError if another user created it."""
    paths.make_for_server(paths.socket_dir)
    if not is_private(paths):
        raise ConfigError(
            f"{paths.socket_dir} is not a private folder of the server's",
            hint="remove it, or set RECSYS_HOME to a shorter path",
        )


def is_private(paths: ServerPaths) -> bool:
    """Tell whether only the server's user can create a socket in the socket folder."""
    try:
        info = paths.socket_dir.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == paths.owner and not info.st_mode & 0o077


def _prepare_as_root(home: Path, wheel_binaries: Path) -> ServerPaths:
    _ensure_system_user()
    _make(home, 0o755)
    root = _root_for_server(home)
    return ServerPaths(root, _socket_dir(root), _reachable(wheel_binaries), SYSTEM_USER)


def _root_for_server(home: Path) -> Path:
    root = home / FOLDER
    if root.is_symlink() or root.exists():
        if not root.exists():
            raise ConfigError(
                f"{root} points to {root.readlink()}, which is gone",
                hint=f"remove {root} to start with an empty database",
            )
        _require_own(root, home)
        return root.resolve()
    if _others_can_enter(home):
        _make_cluster(root)
        _require_own(root, home)
        return root
    inner = ROOT_HOME / "clusters" / uuid.uuid4().hex[:12]
    _make(ROOT_HOME, 0o755)
    _make(inner.parent, 0o755)
    _make_cluster(inner)
    root.symlink_to(inner)
    return inner


def _make_cluster(root: Path) -> None:
    """Create the folder of a server: its user may traverse it, others cannot reach the locks."""
    # If another user has made it meanwhile, it stays theirs.
    if _make(root, 0o710):
        os.chown(root, 0, pwd.getpwnam(SYSTEM_USER).pw_gid)


def _reachable(binaries: Path) -> Path:
    """Return binaries that the server's user can run, copied if necessary."""
    if _others_can_enter(binaries / "bin"):
        return binaries
    # The mtime distinguishes a reinstalled wheel from the copied one.
    mark = f"{binaries}:{(binaries / 'bin' / 'postgres').stat().st_mtime_ns}"
    copy = ROOT_HOME / "binaries" / hashlib.sha256(mark.encode()).hexdigest()[:12]
    package = binaries.parent
    if not copy.exists():
        _make(ROOT_HOME, 0o755)
        _make(copy.parent, 0o755)
        fresh = Path(tempfile.mkdtemp(dir=copy.parent))
        shutil.copytree(binaries, fresh / package.name / binaries.name, symlinks=True)
        # The programs load libraries from this folder beside the package (their RPATH).
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        _open_to_all(fresh)
        try:
            fresh.rename(copy)
        except OSError:  # another process has made the copy meanwhile
            shutil.rmtree(fresh)
    return copy / package.name / binaries.name


def _open_to_all(copied: Path) -> None:
    for folder, _, files in os.walk(copied):
        os.chmod(folder, 0o755)
        for path in (Path(folder, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


def _others_can_enter(folder: Path) -> bool:
    resolved = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents))


def _make(folder: Path, mode: int) -> bool:
    """Create a folder with exactly this mode; leave an existing one as it is.

    Returns whether it was created.
    """
    if folder.is_dir():
        return False
    if not folder.parent.exists():
        _make(folder.parent, mode)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False  # another process has created it meanwhile
    folder.chmod(mode)
    return True


def _socket_dir(root: Path) -> Path:
    inside = root / "run"
    if len(os.fsencode(inside)) + len("/.s.PGSQL.5432") <= SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    return Path("/tmp") / f"recsys-{os.geteuid()}-{name}"


def _ensure_system_user() -> None:
    try:
        pwd.getpwnam(SYSTEM_USER)
        return
    except KeyError:
        pass
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None or sys.platform == "darwin":
        raise ConfigError(
            f"as root the embedded PostgreSQL runs as the system user {SYSTEM_USER!r}, "
            "which does not exist",
            hint="run as an ordinary user, create that user, or set RECSYS_DATABASE_URL",
        )
    options = "--system --user-group --no-create-home --home-dir /nonexistent"
    command = [useradd, *options.split(), "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    made = subprocess.run(command, capture_output=True, text=True)
    try:
        # useradd fails if another process has created the user meanwhile.
        pwd.getpwnam(SYSTEM_USER)
    except KeyError as exc:
        raise ConfigError(
            f"cannot create the system user {SYSTEM_USER!r}: {made.stderr.strip()}",
            hint="create it, run as an ordinary user, or set RECSYS_DATABASE_URL",
        ) from exc
