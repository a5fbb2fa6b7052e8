"""Output of the commands: tables and JSON on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from recsys.cli.stages import in_words
from recsys.jobs.progress import Reporter, Silent
from recsys.terminal import visible, visible_json, visible_lines

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID

logger = logging.getLogger(__name__)

as_log_lines = False
"""Whether messages and progress go to the log, as one JSON object per line."""
# Rich would otherwise color numbers and quoted words inside titles.
stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)
# Rich would shrink these columns to nothing on a narrow terminal; this way they wrap.
WIDTHS = {"title": 20, "genres": 12, "because_title": 20, "parameters": 24, "description": 24}
HEADINGS = {
    "movie_id": "movie",
    "movie_key": "movie",
    "user_id": "user",
    "user_key": "user",
    "run_id": "run",
    "mean_rating": "mean",
    "because_title": "because of",
    "shared_genres": "shared genres",
    "shared_tags": "shared tags",
    "common_ratings": "in common",
}
SIGNIFICANT = 3
"""Digits of the largest number in a column."""
MOST_DECIMALS = 6


class Figure(str):
    """A formatted number: a table aligns it to the right."""


def message(text: str) -> None:
    """Write a message to stderr, or to the log with `--log-format json`."""
    if as_log_lines:
        logger.info(text)
    else:
        # A wrapped URL could not be copied.
        stderr.print(Text(visible_lines(text)), soft_wrap=True)


def write_line(text: str) -> None:
    """Write one line of data to stdout, unformatted."""
    # Not through Rich, which wraps lines. None if the parent process closed the descriptor.
    if sys.stdout is not None:
        sys.stdout.write(text + "\n")


def write_json(value: Any) -> None:
    """Write one JSON document; times as ISO 8601."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_jsonable)
    write_line(visible_json(text))


def _jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(
    items: Sequence[Any], columns: Sequence[str], *, title: str, caption: str | None = None
) -> None:
    """Print dataclass instances as a table of some of their fields."""
    stdout.print(make_table(items, columns, title=title, caption=caption))


def side_by_side(*tables: RenderableType) -> None:
    """Print tables side by side, or one below the other on a narrow terminal."""
    stdout.print(Columns(tables, padding=(0, 4)))


def make_table(
    items: Sequence[Any], columns: Sequence[str], *, title: str, caption: str | None = None
) -> RenderableType:
    """Return the table that `table` prints; numeric columns are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    cells = [column_cells([getattr(item, column) for item in items]) for column in columns]
    for column in columns:
        numeric = bool(items) and isinstance(getattr(items[0], column), int | float | Figure)
        shown = Text(heading(column), no_wrap=True)
        justify: Any = "right" if numeric else "left"
        made.add_column(shown, justify=justify, min_width=WIDTHS.get(column))
    for row in zip(*cells, strict=True):
        made.add_row(*map(Text, row))
    # Not the title and caption of the table, which would wrap at its width.
    parts: list[RenderableType] = [Text(visible(title), style="bold"), made]
    parts += [Text(visible(caption), style="dim")] if caption else []
    return Group(*parts)


def heading(column: str) -> str:
    """Return the heading of the column of a field."""
    return HEADINGS.get(column, column.replace("_", " "))


def column_cells(values: Sequence[Any]) -> list[str]:
    """Return the values of a column as text, numbers with the same decimals."""
    if not any(isinstance(value, float) for value in values):
        return [cell(value) for value in values]
    decimals = _decimals([value for value in values if isinstance(value, float)])
    return [
        f"{value:,.{decimals}f}" if isinstance(value, float) else cell(value) for value in values
    ]


def _decimals(values: Sequence[float]) -> int:
    # Ratings are multiples of a half.
    if all((2 * value).is_integer() for value in values):
        return 1
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    wanted = SIGNIFICANT - 1 - math.floor(math.log10(largest or 1))
    return min(max(0, wanted), MOST_DECIMALS)


def json_rows(items: Sequence[Any], *, omit: Sequence[str] = ()) -> None:
    """Write dataclass instances as a JSON array, without the fields in `omit`."""
    names = [field.name for field in fields(items[0]) if field.name not in omit] if items else []
    write_json([{name: getattr(item, name) for name in names} for item in items])


def json_row(item: Any) -> None:
    """Write one dataclass instance as a JSON object."""
    write_json(asdict(item))


def properties(title: str, values: Mapping[str, Any]) -> None:
    """Print names and values, one pair per line."""
    grid = Table(box=None, show_header=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in values.items():
        grid.add_row(Text(visible(name)), Text(cell(value)))
    stdout.print(Text(visible(title), style="bold"), grid)


def cell(value: Any) -> str:
    """Return a value as the text of a table cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.{_decimals([value])}f}"
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return visible(", ".join(map(str, value)))
    return visible(str(value))


def count(value: float | None) -> Figure:
    """Return a whole number with separators of thousands."""
    return Figure("-" if value is None else f"{value:,.0f}")


def size(number: int) -> Figure:
    """Return a number of bytes in MiB."""
    return Figure(f"{number / 2**20:,.1f} MiB" if number else "-")


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
    with _progress() as progress:
        yield _Bars(progress)


STAGE_WIDTH, NOTE_WIDTH, BAR_WIDTH = 33, 20, 10
LINE_WIDTH = 71
"""Width of a stage with its bar and note. The seconds fill it up to 80."""


def _progress() -> Progress:
    # Imported here, as most commands have no progress to show.
    from rich.progress import BarColumn, Progress, ProgressColumn

    bar = BarColumn(bar_width=BAR_WIDTH)

    class Stage(ProgressColumn):
        def render(self, task: Task) -> RenderableType:
            note = task.fields["note"]
            # A note on an epoch takes the room of the bar.
            if len(note) > NOTE_WIDTH:
                return Text(with_note(task.description, note))
            line = Table.grid(padding=(0, 1, 0, 0))
            line.add_row(
                Text(f"{task.description:<{STAGE_WIDTH}}"),
                bar.render(task),
                Text(f"{note:>{NOTE_WIDTH}}"),
            )
            return line

    class Seconds(ProgressColumn):
        def render(self, task: Task) -> Text:
            seconds = task.finished_time if task.finished else task.elapsed
            return Text(f"{seconds or 0:6.1f} s")

    return Progress(
        Stage(),
        Seconds(),
        console=stderr,
    )


def with_note(stage: str, note: str) -> str:
    """Return a stage and a long note in one line, the stage shortened if need be."""
    room = max(0, LINE_WIDTH - len(note) - 1)
    shown = stage if len(stage) <= room else f"{stage[: room - 1]}…"
    return f"{shown:<{room}} {note}"


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, stage: str) -> None:
        self._task = self._progress.add_task(visible(in_words(stage)), total=None, note="")

    def advance(self, done: int, total: int, note: str = "") -> None:
        if self._task is not None:
            note = visible(note) or (f"{done / total:.0%}" if total else "")
            self._progress.update(self._task, completed=done, total=total, note=note)

    def end(self, note: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=1, total=1, note=visible(note))
            self._progress.stop_task(self._task)


class _Lines:
    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._stage = ""
        self._started = 0.0

    def begin(self, stage: str) -> None:
        self._stage, self._started = in_words(stage), time.monotonic()

    def advance(self, done: int, total: int, note: str = "") -> None:
        if note:
            self._write(with_note(self._stage, note))

    def end(self, note: str) -> None:
        seconds = time.monotonic() - self._started
        self._write(f"{self._stage:<{STAGE_WIDTH}} {note:>{NOTE_WIDTH}} {seconds:8.1f} s")
