"""Two ways to run `recsys`: as a process of its own, and, for the many small cases, in this one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recsys.cli.app import main
from recsys.storage.server.engine import Database

WIDE = {"COLUMNS": "150", "TERMINAL_WIDTH": "150"}
OFFLINE = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY")}
OURS = ("RECSYS_", "PG")
LOGGERS = ("recsys", "psycopg", "psycopg.pool", "uvicorn")
SMALL_CONFIG = """
[refresh]
threads = 1

[models.als]
factors = 8
iterations = {iterations}
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """The lines of stderr except the stages of a job."""
        return [line for line in self.err.splitlines() if line.strip()]


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, **WIDE, "no_proxy": "", **OFFLINE, **more}


@pytest.fixture(scope="session")
def spawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.Popen[str]]:
    """Start `recsys` as a process, offline, with only these settings, in an empty folder."""
    folder = tmp_path_factory.mktemp("elsewhere")

    def spawn(*arguments: str, stdout: int = subprocess.PIPE, **settings: str) -> Any:
        return subprocess.Popen(
            [sys.executable, "-m", "recsys", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=clean_environment(**settings),
            preexec_fn=_hear_signals,
        )

    return spawn


@pytest.fixture(scope="session")
def run_recsys(spawn: Callable[..., subprocess.Popen[str]]) -> Callable[..., Outcome]:
    """Run `recsys` as a process to its end."""

    def run(*arguments: str, **settings: str) -> Outcome:
        process = spawn(*arguments, **settings)
        out, err = process.communicate(timeout=120)
        return Outcome(process.returncode, out, err)

    return run


@pytest.fixture
def recsys(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[..., Outcome]]:
    """Run a command through the program's own main(), in this process, which is quicker."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))

    def run(*arguments: str, **settings: str) -> Outcome:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(OURS)]:
                patch.delenv(name)
            patch.setenv("RECSYS_HOME", str(tmp_path / "home"))
            for name, value in (WIDE | OFFLINE | {"no_proxy": ""} | settings).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["recsys", *arguments])
            capfd.readouterr()
            code = _exit_code_of_main()
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run
    for logger, (kept, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = kept, propagate
        logger.setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _hear_signals() -> None:
    # A shell starts background jobs with SIGINT ignored, nohup ignores SIGHUP; children inherit it.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _exit_code_of_main() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="session")
def published_url(server_url: str, refreshed_template: str) -> str:
    """URL of the made-up edition with run 1 published; tests must not write to it."""
    parsed = sa.make_url(server_url).set(database=refreshed_template)
    return parsed.render_as_string(hide_password=False)


@pytest.fixture
def reading(recsys: Callable[..., Outcome], published_url: str) -> Callable[..., Outcome]:
    """Run a reading command on the published edition."""
    return lambda *arguments: recsys(*arguments, RECSYS_DATABASE_URL=published_url)


@pytest.fixture(scope="session")
def contract_rows() -> Callable[..., list[dict[str, Any]]]:
    """Ask the SQL contract directly; rows as dicts in the order of the columns."""

    def ask(url: str, query: str, **values: Any) -> list[dict[str, Any]]:
        with Database(url).snapshot() as connection:
            return [dict(row) for row in connection.execute(sa.text(query), values).mappings()]

    return ask


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    """Write a recsys.toml for the made-up edition; the iterations say how long it takes."""

    def write(iterations: int = 3) -> str:
        path = tmp_path_factory.mktemp("config") / "recsys.toml"
        path.write_text(SMALL_CONFIG.format(iterations=iterations), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def demo_home(run_recsys: Callable[..., Outcome]) -> Iterator[Path]:
    """An own RECSYS_HOME for the embedded server of the demo."""
    # Not pytest's own folder: as root that one is closed to the server's user.
    home = Path(tempfile.mkdtemp(prefix="recsys-cli-"))
    home.chmod(0o755)
    yield home
    run_recsys("db", "stop", "--force", RECSYS_HOME=str(home))
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def first_demo(run_recsys: Callable[..., Outcome], demo_home: Path) -> Outcome:
    """The first `recsys demo` on a machine without a network."""
    return run_recsys("demo", RECSYS_HOME=str(demo_home))
