"""Style, bar charts and files shared by all plots."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.errors import InvalidArgument, MissingDependency
from recsys.files import check_writable, written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
INK, BAR, ACCENT, WHISKER, GRID = "#1f2428", "#0072b2", "#c25100", "#57606a", "#d8dde2"
"""Colors of text, bars, what is highlighted, axes and lines, distinct with color blindness."""
Interval = tuple[float | None, float | None]
DPI = 150
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "axes.edgecolor": WHISKER,
    "text.parse_math": False,  # titles may contain dollar signs
    "svg.hashsalt": "recsys",  # random ids would make equal plots differ
    "svg.fonttype": "none",  # text stays text, which is smaller and can be selected
}


def require(what: str, *packages: str) -> None:
    """Raise MissingDependency if packages of the extra `report` are not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        plural = "packages" if len(missing) > 1 else "package"
        verb = "are" if len(missing) > 1 else "is"
        raise MissingDependency(
            f"{what} need the {plural} {names}, which {verb} not installed",
            hint="pip install 'recsys[report]'",
        )


def check_target(path: Path) -> None:
    """Raise InvalidArgument if `path` cannot be written as a picture; call it before a long job."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidArgument(
            f"{path} is neither a .png nor an .svg file", hint=f"one of {', '.join(SUFFIXES)}"
        )
    require("plots", "matplotlib")
    check_writable(path)


def bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    labels: Sequence[str],
    highlighted: str | None = None,
) -> None:
    """Draw horizontal bars from zero with labels, the first bar on top."""
    places = range(len(names))
    colors = [ACCENT if name == highlighted else BAR for name in names]
    axes.barh(places, values, height=0.65, color=colors)
    _name_rows(axes, names, highlighted)
    end = max(values)
    # Room for the label behind the longest bar.
    axes.set_xlim(0, 1.15 * end if end > 0 else 1)
    for place, value, label in zip(places, values, labels, strict=True):
        axes.text(value + 0.01 * end, place, label, va="center", fontsize=9)


def dots(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    labels: Sequence[str],
    intervals: Sequence[Interval] = (),
    highlighted: str | None = None,
) -> None:
    """Draw values as dots with optional intervals, the first on top.

    The axis spans the values and intervals: bars from zero would hide their differences.
    """
    given = intervals or [(None, None)] * len(values)
    rows = list(zip(names, values, given, labels, strict=True))
    # An interval need not contain the value.
    lows = [value if low is None else min(low, value) for value, (low, _) in _ends(rows)]
    highs = [value if high is None else max(high, value) for value, (_, high) in _ends(rows)]
    low, high = min(lows), max(highs)
    span = high - low or abs(high) / 10 or 1.0
    for place, (name, value, (start, end), label) in enumerate(rows):
        color = ACCENT if name == highlighted else BAR
        if start is not None and end is not None:
            axes.plot([start, end], [place, place], color=color, linewidth=2, alpha=0.55)
        axes.plot([value], [place], color=color, marker="o", markersize=6)
        axes.text(highs[place] + 0.025 * span, place, label, va="center", fontsize=9)
    _name_rows(axes, names, highlighted)
    # Room for the label behind the last interval.
    axes.set_xlim(low - 0.06 * span, high + 0.22 * span)


def _ends(rows: Sequence[tuple[str, float, Interval, str]]) -> list[tuple[float, Interval]]:
    return [(value, interval) for _, value, interval, _ in rows]


def _name_rows(axes: Axes, names: Sequence[str], highlighted: str | None) -> None:
    """Label the rows, the first on top, and mark the default model not only by its color."""
    shown = [f"{name} (default)" if name == highlighted else name for name in names]
    axes.set_yticks(range(len(names)), shown)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == highlighted else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")


def save(figure: Figure, path: Path) -> None:
    """Write a picture atomically and without a date, so that equal figures give equal files."""
    from matplotlib import rc_context

    form = path.suffix.lower()[1:]
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with written_whole(path) as file, rc_context(STYLE):
        figure.savefig(file, format=form, dpi=DPI, metadata=metadata)


@contextmanager
def plot_style(style: dict[Any, Any] | None = None) -> Iterator[None]:
    """Use the style of our plots, and ignore warnings about missing glyphs."""
    from matplotlib import rc_context

    with rc_context({**STYLE, **(style or {})}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
