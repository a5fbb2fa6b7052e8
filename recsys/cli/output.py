"""Output of the commands: tables and JSON on stdout, progress and messages on stderr."""

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
"""Whether messages and progress go to the log, as one JSON object per line."""
# Rich would otherwise color numbers and quoted words inside titles.
stdout = Console(highlight=False)
TITLE_WIDTH = 16
stderr = Console(stderr=True, highlight=False)


class Figure(str):
    """A formatted number: a table aligns it to the right."""


def message(text: str) -> None:
    """Write a message to stderr, or to the log with `--log-format json`."""
    if as_log_lines:
        logger.info(text)
    else:
        # Titles contain brackets, which Rich reads as markup. A wrapped URL could not be copied.
        stderr.print(escape(text), soft_wrap=True)


def write_line(text: str) -> None:
    """Write one line of data to stdout, unformatted."""
    # Not through Rich, which wraps lines. None if the parent process closed the descriptor.
    if sys.stdout is not None:
        sys.stdout.write(text + "\n")


def write_json(value: Any) -> None:
    """Write one JSON document; times as ISO 8601."""
    write_line(json.dumps(value, ensure_ascii=False, indent=2, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(
    items: Sequence[Any], columns: Sequence[str], *, title: str, caption: str | None = None
) -> None:
    """Print dataclass instances as a table of some of their fields."""
    stdout.print(make_table(items, columns, title=title, caption=caption))


def side_by_side(*tables: Table) -> None:
    """Print tables side by side, or one below the other on a narrow terminal."""
    stdout.print(Columns(tables, padding=(0, 4)))


def make_table(
    items: Sequence[Any], columns: Sequence[str], *, title: str, caption: str | None = None
) -> Table:
    """Return the table that `table` prints; numeric columns are aligned to the right."""
    made = Table(
        title=escape(title),
        caption=escape(caption) if caption else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for column in columns:
        numeric = bool(items) and isinstance(getattr(items[0], column), int | float | Figure)
        # Rich would shrink titles to nothing on a narrow terminal; this way they wrap.
        width = TITLE_WIDTH if column == "title" else None
        made.add_column(column, justify="right" if numeric else "left", min_width=width)
    for item in items:
        made.add_row(*(escape(cell(getattr(item, column))) for column in columns))
    return made


def json_rows(items: Sequence[Any], *, omit: Sequence[str] = ()) -> None:
    """Write dataclass instances as a JSON array, without the fields in `omit`."""
    names = [field.name for field in fields(items[0]) if field.name not in omit] if items else []
    write_json([{name: getattr(item, name) for name in names} for item in items])


def json_row(item: Any) -> None:
    """Write one dataclass instance as a JSON object."""
    write_json(asdict(item))


def properties(title: str, values: Mapping[str, Any]) -> None:
    """Print names and values, one pair per line."""
    grid = Table(title=escape(title), title_justify="left", box=None, show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in values.items():
        grid.add_row(escape(name), escape(cell(value)))
    stdout.print(grid)


def cell(value: Any) -> str:
    """Return a value as the text of a table cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        # Ratings and counts are multiples of a half; scores need four decimals.
        return f"{value:,.1f}" if (2 * value).is_integer() else f"{value:,.4f}"
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    return str(value)


def duration(seconds: float) -> str:
    """Return a duration in its largest unit, for example `3 h`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def reporting() -> Iterator[Reporter]:
    """Yield a reporter: one progress bar per stage on a terminal, otherwise one line per stage."""
    # The jobs log the end of their work themselves.
    if as_log_lines:
        yield Silent()
        return
    if not stderr.is_terminal:
        yield _Lines(message)
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
