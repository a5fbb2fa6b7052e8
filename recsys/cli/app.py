"""The command line: parse, call a job or the service, show, exit."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from enum import StrEnum
from types import FrameType
from typing import Annotated

import typer

from recsys import logs
from recsys.cli import (
    db,
    demo,
    evaluate,
    load,
    people,
    read,
    report,
    runs,
    schedule,
    serve,
    show,
    text,
    tune,
)
from recsys.errors import ConfigError, RecsysError

app = typer.Typer(
    name="recsys",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (
    demo.app,
    load.app,
    evaluate.app,
    tune.app,
    read.app,
    people.app,
    report.app,
    runs.verify_app,
    schedule.app,
    serve.app,
    text.app,
):
    app.registered_commands += part.registered_commands
app.add_typer(db.app, name="db")
app.add_typer(runs.app, name="runs")


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        show.out(f"recsys {version('recsys')}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Log what is done; show tracebacks.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="json: what is done and what fails, an object a line.")
    ] = LogFormat.TEXT,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A movie recommender whose whole state lives in PostgreSQL."""
    logs.set_up(show.stderr, verbose=verbose, form=log_format.value)
    show.as_log_lines = log_format is LogFormat.JSON


def main() -> None:
    """Run a command and leave, without waiting for computing that was interrupted."""
    try:
        _run()
    except SystemExit as leaving:
        if threading.active_count() == 1:
            raise
        from recsys.jobs.background import COMPUTING

        if all(thread.name != COMPUTING for thread in threading.enumerate()):
            raise
        sys.stdout.flush()
        os._exit(leaving.code if isinstance(leaving.code, int) else 1)


def _run() -> None:
    """Run a command; a failure we know is told in two lines, with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _refuse_broken_text(sys.argv)
        app()
    except RecsysError as error:
        _tell(error, str(error), error.hint)
        sys.exit(error.exit_code)
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {error}"
        _tell(error, message, "`recsys -v` before the command shows where")
        sys.exit(1)


def _refuse_broken_text(arguments: list[str]) -> None:
    for argument in arguments:
        if not argument.isascii() and "\\udc" in ascii(argument):
            raise ConfigError(f"{argument!a} is not text in the encoding of this terminal")


def _tell(error: Exception, message: str, hint: str | None) -> None:
    if logging.getLogger("recsys").isEnabledFor(logging.DEBUG):
        logging.getLogger(__name__).debug("traceback", exc_info=error)
    if show.as_log_lines:
        facts = {"hint": hint, "exit_code": getattr(error, "exit_code", 1)}
        logging.getLogger(__name__).error(message, extra={"facts": facts})
        return
    show.say(f"error: {message}")
    if hint:
        show.say(f"hint: {hint}")


def _terminated(number: int, frame: FrameType | None) -> None:
    # Unwinds as Ctrl-C does: a run is marked as failed, the server let go.
    raise SystemExit(128 + number)
