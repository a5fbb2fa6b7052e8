"""Compute metrics of lists and predictions with segments and confidence intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Metric, TopN
from recsys.evaluation.beyond_accuracy import coverage, diversity, novelty, popularity_share
from recsys.evaluation.intervals import Interval, bootstrap_intervals, error_intervals
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.ranking import Scale, UserFigures, ranking_figures
from recsys.evaluation.rating import mae, rating_errors, rmse
from recsys.evaluation.segments import movie_segments, user_segments
from recsys.evaluation.splits import Bool, Split, divided, rows_of


def measure_ranking(
    protocol: Protocol,
    lists: TopN,
    split: Split,
    item_vectors: csr_matrix,
    seed: int,
    scale: Scale | None = None,
) -> tuple[Metric, ...]:
    """Compute ranking metrics for all users and user segments, and recall for movie segments.

    `item_vectors` (items x features, such as genres) define the diversity, `scale` which ratings
    are high; without it that is the range of the ratings. Metrics without any measurable user are
    left out. Movie segments have recall only, the share of their relevant items that is found: the
    other metrics depend on the whole list.
    """
    k = protocol.k
    figures = ranking_figures(lists, split.test, split.train, k, scale)
    metrics = [*_means(protocol, "all", figures, seed)]
    for segment, members in user_segments(split.train).items():
        metrics += _means(protocol, segment, figures.of(members[figures.users]), seed)
    for segment, items in movie_segments(split.train).items():
        test = divided(split.test, items[split.test.indices]).test
        found = ranking_figures(lists, test, split.train, k, scale)
        recall = UserFigures(found.users, {"recall": found.values["recall"]})
        metrics += _means(protocol, segment, recall, seed)
    return (*metrics, *_beyond(protocol, lists, split.train, item_vectors, seed))


def measure_ratings(
    protocol: Protocol, predicted: Float64, fallback: Float64, split: Split, seed: int
) -> tuple[Metric, ...]:
    """Compute rating metrics of the entries of `split.test`, in its order, and by segment.

    `fallback` replaces `predicted` where it is NaN; `known_share` is the share predicted.
    """
    compared = rating_errors(predicted, split.test.data, fallback)
    users, items = rows_of(split.test), split.test.indices
    chosen: dict[str, Bool] = {"all": np.ones(len(users), bool)}
    chosen |= {name: marks[users] for name, marks in user_segments(split.train).items()}
    chosen |= {name: marks[items] for name, marks in movie_segments(split.train).items()}
    metrics: list[Metric] = []
    for segment, marks in chosen.items():
        metrics += _errors(protocol, segment, compared.errors[marks], users[marks], seed)
    if len(users):
        share = float(compared.known.mean())
        metrics.append(Metric(protocol.name, "known_share", share, len(users)))
    return tuple(metrics)


def averaged(parts: Sequence[Sequence[Metric]]) -> tuple[Metric, ...]:
    """Average the metrics of several splits of one protocol; n is their sum.

    A metric is averaged over the splits that have it. Averaging the bounds of the intervals assumes
    fully correlated errors, so the interval is conservative.
    """
    if len(parts) == 1:
        return tuple(parts[0])
    groups: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in (metric for part in parts for metric in part):
        groups.setdefault((metric.protocol, metric.name, metric.segment), []).append(metric)
    return tuple(_average(group) for group in groups.values())


def _average(group: list[Metric]) -> Metric:
    lows = [metric.ci_low for metric in group if metric.ci_low is not None]
    highs = [metric.ci_high for metric in group if metric.ci_high is not None]
    return replace(
        group[0],
        value=float(np.mean([metric.value for metric in group])),
        n=sum(metric.n for metric in group),
        ci_low=float(np.mean(lows)) if lows else None,
        ci_high=float(np.mean(highs)) if highs else None,
    )


def _means(protocol: Protocol, segment: str, figures: UserFigures, seed: int) -> Iterator[Metric]:
    samples = {name: figures.sample(name) for name in figures.values}
    samples = {name: sample for name, sample in samples.items() if sample.size}
    if not samples:
        return
    # One resampling for all metrics: drawing the users takes most of the time.
    intervals = bootstrap_intervals(list(samples.values()), seed)
    for (name, sample), interval in zip(samples.items(), intervals, strict=True):
        name_at_k = f"{name}@{protocol.k}"
        yield _metric(protocol, name_at_k, segment, sample.mean, sample.size, interval)


def _beyond(
    protocol: Protocol, lists: TopN, train: csr_matrix, item_vectors: csr_matrix, seed: int
) -> Iterator[Metric]:
    if len(lists) == 0:
        return
    k = protocol.k
    filled = int(np.count_nonzero(np.diff(lists.indptr)))
    share = coverage(lists, train.shape[1], k)
    # No interval: coverage is a property of all lists, and no mean over users.
    yield Metric(protocol.name, f"coverage@{k}", share, filled)
    values = {
        "novelty": novelty(lists, train, k),
        "diversity": diversity(lists, item_vectors, k),
        "popularity_share": popularity_share(lists, train, k),
    }
    yield from _means(protocol, "all", UserFigures(np.arange(lists.rows), values), seed)


def _errors(
    protocol: Protocol, segment: str, errors: Float64, users: NDArray[np.integer], seed: int
) -> Iterator[Metric]:
    if len(errors) == 0:
        return
    intervals = error_intervals(errors, users, seed)
    for name, value, interval in zip(
        ("rmse", "mae"), (rmse(errors), mae(errors)), intervals, strict=True
    ):
        yield _metric(protocol, name, segment, value, len(errors), interval)


def _metric(
    protocol: Protocol, name: str, segment: str, value: float, n: int, interval: Interval
) -> Metric:
    return Metric(protocol.name, name, value, n, segment, interval.low, interval.high)
