"""Figures as pictures: bar charts of an evaluation, as PNG or SVG."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.domain import Metric
from recsys.errors import ConfigError
from recsys.jobs.evaluate import Evaluated, EvaluationReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
WIDTH_IN, BAR_IN, REST_IN = 7.5, 0.3, 1.3
"""Size of a chart in inches: its width, a bar's height, and the title and axis of each panel."""
BAR, WHISKER, GRID = "#0072b2", "#333333", "#dddddd"  # told apart by the colour-blind
DPI = 150
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "svg.hashsalt": "recsys",  # the same figures give the same file
    "svg.fonttype": "none",
}
BEST_LAST = ("rmse", "mae")
"""Metrics of which less is better."""


def check_target(path: Path) -> None:
    """Raise ConfigError where no picture can be written to `path`, before anything is measured."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path} has no ending of a picture we make", hint=f"one of {', '.join(SUFFIXES)}"
        )
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "plots need the package matplotlib, which is not installed",
            hint="pip install 'recsys[report]'",
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written: {path.parent} is no folder we may write to")


def plot_evaluation(report: EvaluationReport, path: Path) -> None:
    """Write the leading figures of an evaluation, with their 95 % intervals, to a picture."""
    save(evaluation_figure(report), path)


def evaluation_figure(report: EvaluationReport) -> Figure:
    """Draw one panel for lists and one for predicted ratings, of those that were measured."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    k = report.protocol.k
    leading = {f"ndcg@{k}": f"nDCG@{k}: more is better", "rmse": "RMSE: less is better"}
    panels = {name: _measured(report, name) for name in leading}
    panels = {name: found for name, found in panels.items() if found}
    heights = [REST_IN + BAR_IN * len(found) for found in panels.values()]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), layout="constrained")
        all_axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, found) in zip(all_axes, panels.items(), strict=True):
            _bars(axes, found, name, f"{leading[name]} ({_size(found, name)})")
        figure.suptitle(f"{report.protocol.name}, seed {report.seed}", x=0.01, ha="left")
    return figure


def _measured(report: EvaluationReport, name: str) -> list[Evaluated]:
    """Return the models that have a figure, the best first."""
    found = [one for one in report.evaluated if one.figure(name) is not None]
    sign = 1 if name in BEST_LAST else -1
    return sorted(found, key=lambda one: (sign * (one.figure(name) or 0), one.model))


def _bars(axes: Axes, found: Sequence[Evaluated], name: str, title: str) -> None:
    metrics = [
        next(m for m in one.metrics if (m.name, m.segment) == (name, "all")) for one in found
    ]
    values = [metric.value for metric in metrics]
    lows = [max(0.0, m.value - (m.value if m.ci_low is None else m.ci_low)) for m in metrics]
    highs = [max(0.0, (m.value if m.ci_high is None else m.ci_high) - m.value) for m in metrics]
    places = range(len(found))
    error = {"ecolor": WHISKER, "elinewidth": 1, "capsize": 2.5}
    axes.barh(places, values, height=0.65, color=BAR, xerr=[lows, highs], error_kw=error)
    axes.set_yticks(places, [one.model for one in found])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_title(title)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=GRID)
    end = max(value + high for value, high in zip(values, highs, strict=True))
    axes.set_xlim(0, 1.12 * end if end > 0 else 1)
    for place, value, high in zip(places, values, highs, strict=True):
        axes.text(value + high + 0.01 * end, place, f"{value:.4f}", va="center", fontsize=9)


def _size(found: Sequence[Evaluated], name: str) -> str:
    unit = "ratings" if name == "rmse" else "users"
    return f"{_metric(found[0], name).n:,} {unit}, 95 % intervals"


def _metric(one: Evaluated, name: str) -> Metric:
    return next(m for m in one.metrics if (m.name, m.segment) == (name, "all"))


def save(figure: Figure, path: Path) -> None:
    """Write a picture whole or not at all, without a date in it."""
    from matplotlib import rc_context

    form = path.suffix.lower()[1:]
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    try:
        with open(handle, "wb") as file, rc_context(STYLE):
            figure.savefig(file, format=form, dpi=DPI, metadata=metadata)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as exc:
        os.unlink(name)
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc
    except BaseException:
        os.unlink(name)
        raise
