"""Plots of an evaluation as PNG or SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.domain import Metric, lower_is_better
from recsys.evaluation.results import Evaluated, EvaluationReport
from recsys.report.pictures import STYLE, dots, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, ROW_IN, REST_IN = 7.5, 0.3, 1.3
"""Sizes in inches: width of the plot, height per model, height of title and axis of a panel."""


def plot_evaluation(report: EvaluationReport, path: Path, default_model: str | None = None) -> None:
    """Write the main metrics of an evaluation with their 95 % intervals as a picture."""
    save(evaluation_figure(report, default_model), path)


def evaluation_figure(report: EvaluationReport, default_model: str | None = None) -> Figure:
    """Draw two panels for lists and one for predicted ratings, if they were measured."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    k = report.protocol.k
    leading = {
        f"ndcg@{k}": f"nDCG@{k}: more is better",
        f"ndcg_liked@{k}": f"nDCG@{k} of liked movies: more is better",
        "rmse": "RMSE: less is better",
    }
    panels = {name: _measured(report, name) for name in leading}
    panels = {name: found for name, found in panels.items() if found}
    heights = [REST_IN + ROW_IN * len(found) for found in panels.values()]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), layout="constrained")
        all_axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, found) in zip(all_axes, panels.items(), strict=True):
            _dots(axes, found, name, default_model)
            axes.set_title(f"{leading[name]} ({_size(found, name)})")
        figure.suptitle(f"{report.protocol.name}, seed {report.seed}", x=0.01, ha="left")
    return figure


def _measured(report: EvaluationReport, name: str) -> list[Evaluated]:
    """Return the models that have a metric, best first."""
    found = [one for one in report.evaluated if one.figure(name) is not None]
    sign = 1 if lower_is_better(name) else -1
    return sorted(found, key=lambda one: (sign * (one.figure(name) or 0), one.model))


def _dots(axes: Axes, found: Sequence[Evaluated], name: str, default_model: str | None) -> None:
    metrics = [_metric(one, name) for one in found]
    dots(
        axes,
        [one.model for one in found],
        [metric.value for metric in metrics],
        [f"{metric.value:.4f}" for metric in metrics],
        [(metric.ci_low, metric.ci_high) for metric in metrics],
        default_model,
    )


def _size(found: Sequence[Evaluated], name: str) -> str:
    unit = "ratings" if name == "rmse" else "users"
    return f"{_metric(found[0], name).n:,} {unit}, 95 % intervals"


def _metric(one: Evaluated, name: str) -> Metric:
    return next(m for m in one.metrics if (m.name, m.segment) == (name, "all"))
