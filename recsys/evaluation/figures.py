"""Compute metrics of lists and predictions with segments and confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, Int64, Metric, TopN
from recsys.evaluation.beyond_accuracy import diversity, novelty, popularity_share
from recsys.evaluation.intervals import Interval, bootstrap_intervals, error_intervals
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.ranking import Scale, UserFigures, first_entries, ranking_figures
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
    counts = np.bincount(split.train.indices, minlength=split.train.shape[1])
    raters = int((np.diff(split.train.indptr) > 0).sum())
    part = ranking_part(protocol.k, lists, split, item_vectors, (counts, raters), scale)
    return ranking_metrics(protocol, [part], len(counts), seed)


@dataclass(frozen=True, slots=True)
class RankingPart:
    """What is measured of the lists of some consecutive users."""

    rows: int
    figures: UserFigures
    segments: Mapping[str, Bool]
    """Which of the measured users are in each segment of users."""
    recalls: Mapping[str, UserFigures]
    """The recall of the items of each segment of movies."""
    beyond: Mapping[str, Float64]
    """Metrics of each list beside its hits."""
    items: Int64
    """The distinct items at the top of any list."""
    filled: int
    """Number of lists that are not empty."""


def ranking_part(
    k: int,
    lists: TopN,
    split: Split,
    item_vectors: csr_matrix,
    raters: tuple[Int64, int],
    scale: Scale | None,
) -> RankingPart:
    """Measure the lists of some users; `raters` are those of each item and all, in training."""
    counts, every = raters
    figures = ranking_figures(lists, split.test, split.train, k, scale)
    segments = {name: marks[figures.users] for name, marks in user_segments(split.train).items()}
    recalls = {}
    for segment, items in movie_segments(counts).items():
        test = divided(split.test, items[split.test.indices]).test
        found = ranking_figures(lists, test, split.train, k, scale)
        recalls[segment] = UserFigures(found.users, {"recall": found.values["recall"]})
    beyond = {
        "novelty": novelty(lists, counts, every, k),
        "diversity": diversity(lists, item_vectors, k),
        "popularity_share": popularity_share(lists, counts, k),
    }
    listed = np.unique(first_entries(lists, k)[1])
    filled = int(np.count_nonzero(np.diff(lists.indptr)))
    return RankingPart(lists.rows, figures, segments, recalls, beyond, listed, filled)


def ranking_metrics(
    protocol: Protocol, parts: Sequence[RankingPart], items: int, seed: int
) -> tuple[Metric, ...]:
    """Put the parts of all users together, in their order; the catalogue has so many items."""
    figures = joined([part.figures for part in parts])
    metrics = [*_means(protocol, "all", figures, seed)]
    for segment in parts[0].segments:
        members = np.concatenate([part.segments[segment] for part in parts])
        metrics += _means(protocol, segment, figures.of(members), seed)
    for segment in parts[0].recalls:
        recall = joined([part.recalls[segment] for part in parts])
        metrics += _means(protocol, segment, recall, seed)
    return (*metrics, *_beyond(protocol, parts, items, seed))


def joined(parts: Sequence[UserFigures]) -> UserFigures:
    """Put the figures of consecutive users together."""
    values, weights = (
        {name: np.concatenate([columns[name] for columns in of_parts]) for name in of_parts[0]}
        for of_parts in ([part.values for part in parts], [part.weights for part in parts])
    )
    return UserFigures(np.concatenate([part.users for part in parts]), values, weights)


def measure_ratings(
    protocol: Protocol, predicted: Float64, fallback: Float64, split: Split, seed: int
) -> tuple[Metric, ...]:
    """Compute rating metrics of the entries of `split.test`, in its order, and by segment.

    `fallback` replaces `predicted` where it is NaN; `known_share` is the share predicted.
    """
    errors = rating_part(predicted, fallback, split)
    return rating_metrics(protocol, [errors], seed)


@dataclass(frozen=True, slots=True)
class RatingPart:
    """Errors of the predicted ratings of some consecutive users."""

    rows: int
    errors: Float64
    known: Bool
    users: Int64
    """The user of each error, from 0."""
    segments: Mapping[str, Bool]
    """Which of the errors are in each segment of users or movies."""


def rating_part(
    predicted: Float64, fallback: Float64, split: Split, counts: Int64 | None = None
) -> RatingPart:
    """Compare predictions with the test ratings; `counts` are the train ratings of each item."""
    if counts is None:
        counts = np.bincount(split.train.indices, minlength=split.train.shape[1])
    compared = rating_errors(predicted, split.test.data, fallback)
    users, items = rows_of(split.test), split.test.indices
    segments = {name: marks[users] for name, marks in user_segments(split.train).items()}
    segments |= {name: marks[items] for name, marks in movie_segments(counts).items()}
    return RatingPart(split.test.shape[0], compared.errors, compared.known, users, segments)


def rating_metrics(
    protocol: Protocol, parts: Sequence[RatingPart], seed: int
) -> tuple[Metric, ...]:
    """Put the errors of all users, in their order, together."""
    before = np.cumsum([0, *(part.rows for part in parts)])
    users = np.concatenate([part.users + n for part, n in zip(parts, before, strict=False)])
    errors = np.concatenate([part.errors for part in parts])
    metrics = [*_errors(protocol, "all", errors, users, seed)]
    for segment in parts[0].segments:
        marks = np.concatenate([part.segments[segment] for part in parts])
        metrics += _errors(protocol, segment, errors[marks], users[marks], seed)
    if len(users):
        share = float(np.concatenate([part.known for part in parts]).mean())
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
    protocol: Protocol, parts: Sequence[RankingPart], items: int, seed: int
) -> Iterator[Metric]:
    filled = sum(part.filled for part in parts)
    if not filled:
        return
    listed = np.unique(np.concatenate([part.items for part in parts]))
    # No interval: coverage is a property of all lists, and no mean over users.
    share = len(listed) / items if items else math.nan
    yield Metric(protocol.name, f"coverage@{protocol.k}", share, filled)
    values = {
        name: np.concatenate([part.beyond[name] for part in parts]) for name in parts[0].beyond
    }
    rows = sum(part.rows for part in parts)
    yield from _means(protocol, "all", UserFigures(np.arange(rows), values), seed)


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
