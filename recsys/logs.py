"""Logging set-up: messages go to stderr, data to stdout."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.logging import RichHandler

from recsys.terminal import visible_json, visible_lines

Format = Literal["text", "json"]


def set_up(console: Console, *, verbose: bool, form: Format = "text") -> None:
    """Send the project's log records to the console.

    As text, it shows warnings, or all records if verbose. As JSON, one object per line, it also
    shows the progress of jobs.
    """
    handler = _as_json(console) if form == "json" else _as_text(console)
    usual = logging.INFO if form == "json" else logging.WARNING
    _send("recsys", handler, logging.DEBUG if verbose else usual)
    _send("psycopg.pool", handler, logging.WARNING)  # at lower levels it logs every connection
    _send("uvicorn", handler, logging.INFO if verbose else logging.WARNING)
    # The driver raises what it warns about, so a warning would repeat the error.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def _send(name: str, handler: logging.Handler, level: int) -> None:
    logger = logging.getLogger(name)
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False


def show_info() -> None:
    """Show informational records too, for commands that run for days."""
    root = logging.getLogger("recsys")
    root.setLevel(min(root.level, logging.INFO))


def _as_text(console: Console) -> logging.Handler:
    handler = RichHandler(console=console, show_path=False, rich_tracebacks=False)
    handler.setFormatter(_VisibleText("%(message)s", datefmt="%H:%M:%S"))
    return handler


def _as_json(console: Console) -> logging.Handler:
    handler = logging.StreamHandler(console.file)
    handler.setFormatter(_JsonLines())
    return handler


class _VisibleText(logging.Formatter):
    """Text without control characters, which a message may quote from a data set."""

    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(super().format(record))


class _JsonLines(logging.Formatter):
    """One JSON object per line: time (ISO 8601, UTC), level, logger, message and `facts`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return visible_json(json.dumps(line, ensure_ascii=False, default=str))
