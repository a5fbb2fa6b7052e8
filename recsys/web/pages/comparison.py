"""The comparison of the models by the latest evaluations: intervals on an axis, and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from recsys.service.types import MeasuredMetric

LEADING = ("ndcg", "rmse")
"""Metrics with an axis of their own."""
METRIC_NAMES = {
    "ndcg": "nDCG",
    "ndcg_liked": "nDCG liked",
    "ndcg_gain": "nDCG gain",
    "map": "MAP",
    "mrr": "MRR",
    "precision": "Precision",
    "recall": "Recall",
    "hit_rate": "Hit rate",
    "disliked_share": "Disliked share",
    "coverage": "Coverage",
    "diversity": "Diversity",
    "novelty": "Novelty",
    "popularity_share": "Popularity share",
    "rmse": "RMSE",
    "mae": "MAE",
    "known_share": "Predicted share",
}
"""Names of the metrics in the order of the columns; costs of a model are no figures of quality."""
# Not from recsys.domain, which imports NumPy: 40 MB in every worker of the server.
LESS_IS_BETTER = ("rmse", "mae", "disliked_share")
UNRANKED = ("coverage", "diversity", "novelty", "popularity_share", "known_share")
AXIS, MARGIN = 100.0, 3.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A figure of a model and its place on the axis of its metric."""

    model: str
    figure: MeasuredMetric
    x: float
    low: float
    high: float
    """Ends of the interval; x itself without one."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The figures of all models by one metric, best first."""

    metric: str
    direction: str
    rows: Sequence[Placed]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The models by one protocol."""

    protocol: str
    run_id: int
    kind: str
    first: MeasuredMetric
    """Any of its figures; all have the same run."""
    axes: Sequence[Axis]
    metrics: Sequence[str]
    rows: Sequence[tuple[str, Sequence[MeasuredMetric | None]]]
    best: Sequence[float | None]
    """The best value of each metric; None if it has no direction."""


def metric_name(metric: str) -> str:
    """Return the name of a metric as people write it: nDCG@10 for ndcg@10."""
    name, at, k = metric.partition("@")
    return METRIC_NAMES.get(name, name.replace("_", " ").capitalize()) + at + k


def comparisons(
    measured: Sequence[MeasuredMetric], names: Mapping[str, str], edition: str | None
) -> list[Comparison]:
    """Compare at least two models by each protocol, on one data set."""
    found = []
    own = [each for each in measured if each.edition == edition]
    for _, rows in groupby(own, key=lambda each: (each.run_id, each.protocol)):
        known = [each for each in rows if _base(each.metric) in METRIC_NAMES]
        if len({each.model for each in known}) > 1:
            found.append(_comparison(known, names))
    return found


def _comparison(measured: Sequence[MeasuredMetric], names: Mapping[str, str]) -> Comparison:
    order = list(METRIC_NAMES)
    metrics = sorted({m.metric for m in measured}, key=lambda each: order.index(_base(each)))
    cells = {(each.model, each.metric): each for each in measured}
    models = sorted(
        {each.model for each in measured},
        key=lambda model: [_sort_key(cells.get((model, metric))) for metric in metrics],
    )
    rows = [
        (names.get(model, model), [cells.get((model, metric)) for metric in metrics])
        for model in models
    ]
    axes = [
        _axis([each for each in measured if each.metric == metric], names)
        for metric in metrics
        if _base(metric) in LEADING
    ]
    first = measured[0]
    best = [_best([each for each in measured if each.metric == metric]) for metric in metrics]
    return Comparison(first.protocol, first.run_id, first.kind, first, axes, metrics, rows, best)


def _base(metric: str) -> str:
    return metric.partition("@")[0]


def _sign(metric: str) -> int:
    return 1 if _base(metric) in LESS_IS_BETTER else -1


def _sort_key(figure: MeasuredMetric | None) -> float:
    return math.inf if figure is None else _sign(figure.metric) * figure.value


def _best(figures: Sequence[MeasuredMetric]) -> float | None:
    metric = figures[0].metric
    if _base(metric) in UNRANKED:
        return None
    return _sign(metric) * min(_sign(metric) * each.value for each in figures)


def _axis(figures: Sequence[MeasuredMetric], names: Mapping[str, str]) -> Axis:
    metric = figures[0].metric
    ends = [end for each in figures for end in (each.value, each.ci_low, each.ci_high)]
    known = [end for end in ends if end is not None]
    bottom, top = min(known), max(known)

    def place(value: float | None) -> float:
        # Equal values have no range and lie in the middle.
        share = ((value or 0.0) - bottom) / (top - bottom) if top > bottom else 0.5
        return round(MARGIN + share * (AXIS - 2 * MARGIN), 1)

    rows = [
        Placed(
            names.get(each.model, each.model),
            each,
            place(each.value),
            place(each.value if each.ci_low is None else each.ci_low),
            place(each.value if each.ci_high is None else each.ci_high),
        )
        for each in sorted(figures, key=lambda each: (_sort_key(each), each.model))
    ]
    return Axis(metric, "less is better" if _sign(metric) > 0 else "more is better", rows)
