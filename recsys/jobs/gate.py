"""The publish gate: the rules a run must meet before readers see it."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsys.config.settings import GateSettings
from recsys.domain import FittedModel, Int64, Interactions, Metric, lower_is_better
from recsys.errors import EvaluationError, GateRefused
from recsys.evaluation.intervals import Sample, bootstrap_interval, gain_interval
from recsys.jobs.held_out import HeldOut, last_ratings, random_part
from recsys.jobs.plan import Plan
from recsys.jobs.stages import StageClock
from recsys.jobs.training import (
    ModelResults,
    drawn,
    fit_options,
    needs_of,
    training_steps,
    with_parts,
)
from recsys.jobs.training_data import Training
from recsys.models.base import FitOptions, ModelSpec
from recsys.models.registry import MODELS, candidates, make_config
from recsys.models.shards import Shards
from recsys.storage.runs.publication import PublishedFigures

logger = logging.getLogger(__name__)

PROTOCOL, OF_LAST = "gate", "gate-last"
BASELINE = candidates("popularity")[0]
K = 10
TEST_SHARE = 0.1
MEASURED_USERS = 20_000
"""Users who are measured at most, drawn by seed: more would narrow the interval by little."""


@dataclass(frozen=True, slots=True)
class Verdict:
    reasons: tuple[str, ...]
    """Reasons not to publish the run; if there are none, it may be published."""
    figures: tuple[tuple[str, Metric], ...] = ()
    """Measured figures, each beside the name of its model."""


@dataclass(slots=True)
class Written:
    """What the gate needs to know of the results of a model, which are written by then."""

    rows: int = 0
    """Entries of all lists and charts."""
    list_lengths: list[Int64] = field(default_factory=list)
    """Entries of the list of each user, one array for each shard; empty for a chart."""


def scores_not_finite(found: ModelResults) -> int:
    """Return the number of scores that cannot be stored."""
    scores = [chart.scores for chart in found.charts] + [each.scores for each in found.lists]
    return sum(int((~np.isfinite(part)).sum()) for part in scores)


def check_scores(name: str, found: ModelResults) -> None:
    """Raise GateRefused if any score of a model is not finite."""
    refuse_scores(name, scores_not_finite(found))


def refuse_scores(name: str, wrong: int) -> None:
    """Raise GateRefused if so many scores of a model are not finite, unless none is."""
    if wrong:
        raise GateRefused(
            f"{wrong:,} scores of {name} are not finite",
            hint="the published run stays; leave the model out or change its parameters",
        )


def judge(
    chosen: Plan,
    data: Training,
    written: Mapping[str, Written],
    published: PublishedFigures | None,
    clock: StageClock,
) -> Verdict:
    """Measure the default model on held-out ratings and apply the rules of the gate to the run.

    `published` holds the figures of the published run.
    """
    rules = chosen.settings.gate
    if not data.shards.ratings:
        return _judge_charts(written, published, rules)
    reasons = [*_short(chosen, data, written, rules)]
    if published is not None:
        rows = {name: found.rows for name, found in written.items()}
        reasons += _fewer_rows(rows, published.rows, rules)
    with clock.stage(PROTOCOL) as done:
        figures, worse = _measured(chosen, data.shards, published, clock)
        done(len(figures), "figures")
    return Verdict((*reasons, *worse), figures)


def _judge_charts(
    written: Mapping[str, Written], published: PublishedFigures | None, rules: GateSettings
) -> Verdict:
    """Judge a run without ratings, and so without lists, by its charts."""
    rows = {name: found.rows for name, found in written.items()}
    if not any(rows.values()):
        return Verdict(("no chart has a movie",))
    return Verdict(tuple(_fewer_rows(rows, published.rows, rules)) if published else ())


def _short(
    chosen: Plan,
    data: Training,
    written: Mapping[str, Written],
    rules: GateSettings,
) -> Iterator[str]:
    """Yield a reason if the default model gives no lists, or too few users a full one.

    Other models may give none: genres, texts and times may all be unknown.
    """
    lengths = np.concatenate([np.zeros(0, np.int64), *written[chosen.default_model].list_lengths])
    if not lengths.any():
        yield f"{chosen.default_model} gives no lists"
        return
    rated = data.counts
    known = rated > 0
    # Users who have rated nearly everything cannot get a full list.
    item_counts = data.shards.catalogue.item_counts
    assert item_counts is not None
    unseen = int(np.count_nonzero(item_counts)) - rated
    length = min(K, chosen.settings.list_length)
    wanted = np.minimum(length, unseen)
    served = float((lengths >= wanted)[known].mean())
    if served < rules.min_served:
        yield (
            f"{chosen.default_model} serves {served:.0%} of the people who have rated "
            f"with {length} movies, less than {rules.min_served:.0%}"
        )


def _fewer_rows(
    rows: Mapping[str, int], before: Mapping[str, int], rules: GateSettings
) -> Iterator[str]:
    for name, count in rows.items():
        fewest = before.get(name, 0) * (1 - rules.max_rows_drop)
        if count < fewest:
            yield (
                f"{name} has {count:,} rows, the published run {before[name]:,}: "
                f"a drop of more than {rules.max_rows_drop:.0%}"
            )


def _measured(
    chosen: Plan, data: Shards, published: PublishedFigures | None, clock: StageClock
) -> tuple[tuple[tuple[str, Metric], ...], list[str]]:
    """Return the figures of the default model and of popularity, and reasons against the run."""
    seed, name = chosen.settings.seed, chosen.default_model
    try:
        protocol, held = _held_out(chosen, data)
        train = held.train
    except EvaluationError as exc:
        logger.warning("the gate measures nothing: %s", exc)
        return (), []
    users = drawn(np.flatnonzero(held.counts), MEASURED_USERS, seed)
    rules = chosen.settings.gate
    options = fit_options(chosen.settings, clock.told)

    def sample(model: FittedModel) -> Sample:
        lengths = (max(chosen.settings.list_length, K), K)
        scale = data.catalogue.rating_range
        figures = held.figures(model, users, lengths, options, scale)
        return figures.sample(rules.metric.removesuffix(f"@{K}"))

    own = sample(_model(chosen.specs, chosen.configs, name, train, options))
    baseline_spec = MODELS[BASELINE]
    baseline_config = {BASELINE: make_config(baseline_spec, {})}
    baseline = sample(_model([baseline_spec], baseline_config, BASELINE, train, options))
    # One user has no interval.
    if min(own.size, baseline.size) < 2:
        return (), []
    metric, popularity = (
        _metric(protocol, rules.metric, sample, seed) for sample in (own, baseline)
    )
    side, went = ("above", "rose") if lower_is_better(rules.metric) else ("below", "fell")
    reasons = []
    # Worse by chance is no reason: the whole interval of the gain must lie below 0.
    if rules.beat_popularity and gain_interval(rules.metric, own, baseline, seed).high < 0:
        worse = (
            f"{name} is {side} popularity: {rules.metric} {metric.value:.4f} to "
            f"{popularity.value:.4f}"
        )
        # A refusal would help no reader if nothing better is published.
        if published is not None and not _was_worse(published, name, metric):
            reasons.append(worse)
        else:
            logger.warning("%s; published anyway, as nothing better is", worse)
    before = published.metric(name, protocol, rules.metric) if published else None
    if before is not None and rules.no_fall and _worsened(metric, before):
        reasons.append(
            f"{rules.metric} of {name} {went} from {before.value:.4f} to {metric.value:.4f}, "
            "beyond their intervals"
        )
    return ((name, metric), (BASELINE, popularity)), reasons


def _held_out(chosen: Plan, data: Shards) -> tuple[str, HeldOut]:
    """Hold out a random tenth, or the last ratings for a model whose lists weigh by age.

    A split of its own: figures of a run must compare with those of the run before it. A random
    tenth lies in the middle of histories, and would tell nothing of what comes next.
    """
    seed = chosen.settings.seed
    # Times that no measured model needs would be copied.
    names = with_parts(chosen.specs, chosen.configs, chosen.default_model)
    needs = needs_of([spec for spec in chosen.specs if spec.name in names], chosen.configs)
    times = "times" in needs
    by_age = any(term.weights.by_age for term in chosen.terms[chosen.default_model])
    if by_age and data.catalogue.rated_at is not None and data.reduce(_any_time, operator.or_):
        return OF_LAST, HeldOut(data, last_ratings(data, seed), times)
    return PROTOCOL, HeldOut(data, random_part(data, TEST_SHARE, seed), times)


def _any_time(shard: Interactions) -> bool:
    return shard.rated_at is not None and not bool(np.isnan(shard.rated_at).all())


def _was_worse(published: PublishedFigures, name: str, now: Metric) -> bool:
    """Return whether the published run was worse than popularity itself."""
    own = published.metric(name, now.protocol, now.name)
    popularity = published.metric(BASELINE, now.protocol, now.name)
    return own is not None and popularity is not None and _loss(own, popularity) > 0


def _worsened(now: Metric, before: Metric) -> bool:
    """Return whether a figure is worse by more than the 95 % interval of the difference."""
    ends = [one.ci_high if lower_is_better(one.name) else one.ci_low for one in (now, before)]
    if ends[0] is None or ends[1] is None:
        return _loss(now, before) > 0
    # As if the runs were independent samples: half-widths add in quadrature.
    return _loss(now, before) > math.hypot(now.value - ends[0], before.value - ends[1])


def _loss(one: Metric, other: Metric) -> float:
    """Return by how much one figure is worse than another."""
    difference = one.value - other.value
    return difference if lower_is_better(one.name) else -difference


def _metric(protocol: str, name: str, sample: Sample, seed: int) -> Metric:
    interval = bootstrap_interval(sample, seed)
    return Metric(protocol, name, sample.mean, sample.size, "all", interval.low, interval.high)


def _model(
    specs: Sequence[ModelSpec],
    configs: Mapping[str, Any],
    name: str,
    train: Shards,
    options: FitOptions,
) -> FittedModel:
    """Fit a model, and first the models it is composed of, on the train part."""
    needed = with_parts(specs, configs, name)
    wanted = [spec for spec in specs if spec.name in needed]
    fitted = {
        step.spec.name: step.fit() for step in training_steps(wanted, configs, train, options)
    }
    return fitted[name]
