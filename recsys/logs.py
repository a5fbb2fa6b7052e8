"""Logging set-up: messages go to stderr, data to stdout."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler


def set_up(console: Console, *, verbose: bool) -> None:
    """Send the project's log records to the console: warnings, or everything when verbose."""
    root = logging.getLogger("recsys")
    root.handlers.clear()
    handler = RichHandler(console=console, show_path=False, rich_tracebacks=False)
    handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)
    root.propagate = False
