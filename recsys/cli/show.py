"""What people see: tables and JSON on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from recsys.jobs.progress import Reporter, Silent

logger = logging.getLogger(__name__)

as_log_lines = False
"""Whether everything beside the data is told by the log, an object a line."""
stdout = Console(highlight=False)
TITLE_WIDTH = 16
stderr = Console(stderr=True, highlight=False)


class Figure(str):
    """A number that is written already: it stands to the right of its column."""


def say(message: str) -> None:
    """Tell something that is not data."""
    if as_log_lines:
        logger.info(message)
    else:
        stderr.print(escape(message), soft_wrap=True)


def out(line: str) -> None:
    """Write one line of data, as it is."""
    if sys.stdout is not None:  # closed by whoever called us
        sys.stdout.write(line + "\n")


def as_json(value: Any) -> None:
    """Write one JSON document; times become ISO 8601."""
    out(json.dumps(value, ensure_ascii=False, indent=2, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def rows(
    items: Sequence[Any], columns: Sequence[str], *, title: str, caption: str | None = None
) -> None:
    """Show dataclass instances as a table of some of their fields."""
    stdout.print(table_of(items, columns, title=title, caption=caption))


def side_by_side(*tables: Table) -> None:
    """Show tables beside one another, or one below the other where the terminal is narrow."""
    stdout.print(Columns(tables, padding=(0, 4)))


def table_of(
    items: Sequence[Any], columns: Sequence[str], *, title: str, caption: str | None = None
) -> Table:
    table = Table(
        title=escape(title),
        caption=escape(caption) if caption else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for column in columns:
        numeric = bool(items) and isinstance(getattr(items[0], column), int | float | Figure)
        # A title may wrap, but not vanish where the terminal is narrow.
        width = TITLE_WIDTH if column == "title" else None
        table.add_column(column, justify="right" if numeric else "left", min_width=width)
    for item in items:
        table.add_row(*(escape(cell(getattr(item, column))) for column in columns))
    return table


def json_rows(items: Sequence[Any], *, omit: Sequence[str] = ()) -> None:
    names = [field.name for field in fields(items[0]) if field.name not in omit] if items else []
    as_json([{name: getattr(item, name) for name in names} for item in items])


def json_one(item: Any) -> None:
    as_json(asdict(item))


def facts(title: str, values: Mapping[str, Any]) -> None:
    """Show names and values, one a line."""
    table = Table(title=escape(title), title_justify="left", box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value in values.items():
        table.add_row(escape(name), escape(cell(value)))
    stdout.print(table)


def cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        # Stars and counts are halves and wholes; scores are anything.
        return f"{value:,.1f}" if (2 * value).is_integer() else f"{value:,.4f}"
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    return str(value)


def age(seconds: float) -> str:
    """Return a duration in words, as `3 h`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def reporting() -> Iterator[Reporter]:
    """Yield a reporter: a bar a stage on a terminal, a line a stage elsewhere."""
    if as_log_lines:
        yield Silent()
        return
    if not stderr.is_terminal:
        yield _Lines(say)
        return
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[note]:>22}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr) as progress:
        yield _Bars(progress)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, stage: str) -> None:
        self._task = self._progress.add_task(escape(stage), total=None, note="")

    def advance(self, done: int, total: int) -> None:
        if self._task is not None:
            note = f"{done / total:.0%}" if total else ""
            self._progress.update(self._task, completed=done, total=total, note=note)

    def end(self, note: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=1, total=1, note=escape(note))
            self._progress.stop_task(self._task)


class _Lines:
    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._stage = ""
        self._started = 0.0

    def begin(self, stage: str) -> None:
        self._stage, self._started = stage, time.monotonic()

    def advance(self, done: int, total: int) -> None: ...

    def end(self, note: str) -> None:
        seconds = time.monotonic() - self._started
        self._write(f"{self._stage:<24}{note:>24}{seconds:8.1f} s")
