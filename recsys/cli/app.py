"""The command line: parse arguments, call a job or the service, print, exit."""

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
    engine,
    evaluate,
    export,
    ingest,
    models,
    output,
    recommend,
    refresh,
    report,
    runs,
    serve,
    similar_text,
    source,
    status,
    sync,
    tune,
    users,
)
from recsys.cli.hints import hint_of
from recsys.cli.options import require_memory
from recsys.cli.program import named
from recsys.errors import InvalidArgument, RecsysError

app = typer.Typer(
    name="recsys",
    no_args_is_help=True,
    # Typer's tracebacks may show local variables, such as a URL with its password.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS: dict[str, tuple[typer.Typer, ...]] = {
    "Data": (demo.app, ingest.app, sync.app, export.app),
    "Models and runs": (models.app, refresh.app, evaluate.app, tune.app, runs.verify_app),
    "Recommendations": (recommend.app, similar_text.app),
    "Users": (users.app,),
    "Operation": (status.app, report.app, serve.app),
}
for panel, groups in PANELS.items():
    for group in groups:
        for command in group.registered_commands:
            command.rich_help_panel = panel
            app.registered_commands.append(command)
app.add_typer(source.app, name="source", rich_help_panel="Data")
app.add_typer(runs.app, name="runs", rich_help_panel="Models and runs")
app.add_typer(db.app, name="db", rich_help_panel="Operation")
app.add_typer(engine.app, name="engine", rich_help_panel="Operation")


# The commands that import NumPy.
COMPUTING = {
    command.name or command.callback.__name__
    for panel in ("Data", "Models and runs")
    for group in PANELS[panel]
    for command in group.registered_commands
    if command.callback
}


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        output.write_line(f"recsys {version('recsys')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Log debug messages and tracebacks.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="Log to stderr as text or as one JSON object per line.")
    ] = LogFormat.TEXT,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A movie recommender whose whole state lives in PostgreSQL."""
    logs.set_up(output.stderr, verbose=verbose, form=log_format.value)
    output.as_log_lines = log_format is LogFormat.JSON
    if context.invoked_subcommand in COMPUTING:
        require_memory()


def main() -> None:
    """Run a command and exit, without waiting for an interrupted computation."""
    try:
        _run()
    except SystemExit as leaving:
        # The usual case, without importing the jobs only to exit.
        if threading.active_count() == 1:
            raise
        from recsys.jobs.background import COMPUTING

        if all(thread.name != COMPUTING for thread in threading.enumerate()):
            raise
        # A kernel of NumPy or SciPy cannot be interrupted, so the process ends without its thread.
        # os._exit does not flush the standard streams.
        sys.stdout.flush()
        os._exit(leaving.code if isinstance(leaving.code, int) else 1)


def _run() -> None:
    """Run a command; print a RecsysError as message and hint, and exit with its code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup starts a program with SIGHUP ignored, which must stay so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminated)
    try:
        _refuse_broken_text(sys.argv)
        app()
    except RecsysError as error:
        _report(error, str(error), hint_of(error))
        sys.exit(error.exit_code)
    except MemoryError as error:
        hint = "lower memory_mb or threads in recsys.toml, or raise the limit of memory"
        _report(error, "the process has run out of memory", hint)
        sys.exit(1)
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {error}"
        _report(error, message, "`recsys -v COMMAND` logs the traceback")
        sys.exit(1)


def _refuse_broken_text(arguments: list[str]) -> None:
    # Python decodes undecodable bytes as lone surrogates, which cannot be sent to PostgreSQL.
    for argument in arguments:
        if not argument.isascii() and "\\udc" in ascii(argument):
            raise InvalidArgument(f"{argument!a} is not text in the encoding of this terminal")


def _report(error: Exception, message: str, hint: str | None) -> None:
    hint = named(hint) if hint else None
    if logging.getLogger("recsys").isEnabledFor(logging.DEBUG):
        logging.getLogger(__name__).debug("traceback", exc_info=error)
    if output.as_log_lines:
        facts = {"hint": hint, "exit_code": getattr(error, "exit_code", 1)}
        logging.getLogger(__name__).error(message, extra={"facts": facts})
        return
    output.message(f"error: {message}")
    if hint:
        output.message(f"hint: {hint}")


def _terminated(number: int, frame: FrameType | None) -> None:
    # SystemExit unwinds the stack as Ctrl-C does: the run is marked as failed, the server released.
    raise SystemExit(128 + number)
