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
INK, BAR, WHISKER, GRID = "#1f2428", "#0072b2", "#57606a", "#d8dde2"
"""Colors of text, bars, intervals and lines, distinct with color blindness."""
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
    intervals: Sequence[tuple[float | None, float | None]] = (),
) -> None:
    """Draw horizontal bars with labels and optional intervals, the first bar on top."""
    ends = intervals or [(None, None)] * len(values)
    pairs = list(zip(values, ends, strict=True))
    # An interval need not contain the value, and matplotlib rejects negative error bars.
    lows = [max(0.0, value - (value if low is None else low)) for value, (low, _) in pairs]
    highs = [max(0.0, (value if high is None else high) - value) for value, (_, high) in pairs]
    places = range(len(names))
    whiskers: dict[str, Any] = {}
    if intervals:
        error = {"ecolor": WHISKER, "elinewidth": 1, "capsize": 2.5}
        whiskers = {"xerr": [lows, highs], "error_kw": error}
    axes.barh(places, values, height=0.65, color=BAR, **whiskers)
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")
    end = max(value + high for value, high in zip(values, highs, strict=True))
    # Room for the label behind the longest bar.
    axes.set_xlim(0, 1.12 * end if end > 0 else 1)
    for place, value, high, label in zip(places, values, highs, labels, strict=True):
        axes.text(value + high + 0.01 * end, place, label, va="center", fontsize=9)


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
