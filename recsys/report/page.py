"""The page of a report: a single HTML file without external resources."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from recsys.domain import lower_is_better
from recsys.report.clouds import Cloud
from recsys.report.figures import LEADING, Plot, plot_name
from recsys.report.findings import (
    Findings,
    Measured,
    gini,
    median,
    top_share,
)
from recsys.report.pictures import ACCENT, BAR, DPI, GRID, INK, WHISKER, plot_style

COLUMNS = (
    "ndcg", "ndcg_liked", "ndcg_gain", "map", "recall", "precision", "hit_rate", "disliked_share",
    "coverage", "novelty", "rmse", "mae",
)  # fmt: skip
UNRANKED = ("coverage", "novelty")
"""Metrics in the order of their columns, without @k; coverage and novelty have no best value."""
THEME = {INK: "var(--ink)", BAR: "var(--bar)", ACCENT: "var(--accent)"} | {
    WHISKER: "var(--soft)", GRID: "var(--line)"
}  # fmt: skip
"""Colors of a plot and the CSS variables that replace them, for light and dark schemes."""


@dataclass(frozen=True)
class ModelTable:
    """Metrics of the models by one protocol, best model first."""

    protocol: str
    run_id: int
    kind: str
    seed: int
    metrics: list[str]
    rows: list[tuple[str, list[Measured | None]]]
    plots: list[str]
    """Names of its plots."""

    def best(self, metric: str) -> float | None:
        """Return the best value of a metric; None if the metric has no direction."""
        if metric.partition("@")[0] in UNRANKED:
            return None
        place = self.metrics.index(metric)
        values = [cell.value for _, cells in self.rows if (cell := cells[place]) is not None]
        return min(values) if lower_is_better(metric) else max(values)


def render(
    findings: Findings, plots: Mapping[str, Plot], cloud: Cloud | None, title: str | None
) -> str:
    """Render the page; values from the database are escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelled name fails instead of rendering as nothing
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "share": _share, "figure": _figure, "when": _when}
    edition = findings.state.edition
    return environment.get_template("page.html.j2").render(
        title=title or (f"Report on {edition}" if edition else "Report"),
        f=findings,
        plots={name: (plot.alt, inline_svg(name, plot.figure)) for name, plot in plots.items()},
        cloud=cloud,
        pictures=[_data_uri(png) for png in cloud.transparent()] if cloud else [],
        tables=model_tables(findings.measured),
        evaluated=any(m.kind == "evaluation" for m in findings.measured),
        lists=_lists(findings),
        spread=_spread(findings),
    )


def inline_svg(name: str, figure: Figure) -> Markup:
    """Return a plot as an SVG element with the colors of the page."""
    text = StringIO()
    # All plots of a page share one namespace of ids, so each needs a salt of its own.
    with plot_style({"svg.hashsalt": f"recsys {name}"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    svg = text.getvalue()
    # HTML allows no XML declaration and no second doctype.
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)  # not needed inside HTML
    # Unused ids make the page larger and could occur in two plots.
    referenced = set(re.findall(r'(?:href="|url\()#(\w+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in referenced else "", svg)
    return Markup(re.sub(r'style="[^"]*"', _themed, svg))  # matplotlib escapes its texts


def _themed(style: re.Match[str]) -> str:
    text = style.group()
    for color, variable in THEME.items():
        text = text.replace(color, variable)
    return text


def as_png(figure: Figure) -> bytes:
    """Return a plot as PNG."""
    buffer = BytesIO()
    with plot_style():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def model_tables(measured: Sequence[Measured]) -> list[ModelTable]:
    """Return one table per protocol, in the order of the rows."""
    tables = []
    for protocol in dict.fromkeys(m.protocol for m in measured):
        own = {(m.model, m.metric): m for m in measured if m.protocol == protocol}
        metrics = sorted({m for _, m in own if _place(m) >= 0}, key=_place)
        if not metrics:
            continue
        first = next(iter(own.values()))
        rows = [
            (model, [own.get((model, metric)) for metric in metrics])
            for model in dict.fromkeys(model for model, _ in own)
        ]
        rows.sort(key=lambda row: _order(row[1]))
        names = [plot_name(protocol, metric) for metric in LEADING if metric in metrics]
        tables.append(
            ModelTable(protocol, first.run_id, first.kind, first.seed, metrics, rows, names)
        )
    return tables


def _place(metric: str) -> int:
    name = metric.partition("@")[0]
    return COLUMNS.index(name) if name in COLUMNS else -1


def _order(cells: Sequence[Measured | None]) -> list[tuple[bool, float]]:
    """Return a sort key: best value of the first column first, missing values last."""
    signs = [1 if cell and lower_is_better(cell.metric) else -1 for cell in cells]
    return [(c is None, s * c.value if c else 0.0) for c, s in zip(cells, signs, strict=True)]


def _lists(findings: Findings) -> dict[str, dict[str, float]]:
    """Return the differences between the lists of the two runs, by model and metric."""
    found: dict[str, dict[str, float]] = {}
    for row in findings.changes:
        if row.part == "lists":
            of_model = found.setdefault(row.model, {"people": row.n or 0})
            of_model[row.metric.partition("@")[0]] = row.value
    return found


def _spread(findings: Findings) -> dict[str, float]:
    """Return how evenly ratings are distributed over movies and people."""
    if not findings.ratings_count:
        return {}
    return {
        "top_fifth": top_share(findings.movies, 0.2),
        "top_hundredth": top_share(findings.movies, 0.01),
        "gini": gini(findings.movies),
        "median": median(findings.people),
        "most": max(group.ratings for group in findings.people),
        "top_people": top_share(findings.people, 0.2),
    }


# --- formats ---


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _figure(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _when(moment: datetime | None, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    return "–" if moment is None else moment.strftime(form)
