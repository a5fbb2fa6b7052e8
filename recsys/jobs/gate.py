"""The publish gate: what a run must show before readers see it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from recsys.config.settings import GateSettings
from recsys.domain import Interactions, Metric, ModelOutput, TopN
from recsys.errors import EvaluationError, GateRefused
from recsys.evaluation.intervals import bootstrap_interval, difference_interval
from recsys.evaluation.ranking import UserFigures, ranking_figures
from recsys.evaluation.splits import Split, random_split
from recsys.jobs.evaluate import fit_options, lists_of, train_of
from recsys.jobs.plan import Plan
from recsys.jobs.stages import StageClock
from recsys.models.registry import MODELS, candidates, make_config
from recsys.storage.runs.lifecycle import PublishedFigures

logger = logging.getLogger(__name__)

PROTOCOL = "gate"
BASELINE = candidates("popularity")[0]
K = 10
METRIC = f"ndcg@{K}"
TEST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    reasons: tuple[str, ...]
    """Why the run is not to be published; none: it may be."""
    figures: tuple[tuple[str, Metric], ...] = ()
    """What was measured, each beside the name of its model."""


def check_scores(outputs: Mapping[str, ModelOutput]) -> None:
    """Raise GateRefused where a model gives scores that are not finite: they cannot be stored."""
    for name, output in outputs.items():
        scores = [chart.scores for chart in output.charts]
        every = (output.neighbours, output.user_neighbours, output.recommendations)
        scores += [lists.scores for lists in every if lists is not None]
        wrong = sum(int((~np.isfinite(part)).sum()) for part in scores)
        if wrong:
            raise GateRefused(
                f"{wrong:,} scores of {name} are not finite",
                hint="what was published stays; leave the model out or change its parameters",
            )


def judge(
    chosen: Plan,
    data: Interactions,
    outputs: Mapping[str, ModelOutput],
    rows: Mapping[str, int],
    published: PublishedFigures | None,
    clock: StageClock,
) -> Verdict:
    """Measure the default model on ratings it has not seen and hold the run against its rules.

    `rows` are the rows of each model, `published` what the published run came to.
    """
    rules = chosen.settings.gate
    reasons = [*_short(chosen, data, outputs, rules)]
    if published is not None:
        reasons += _fewer_rows(rows, published.rows, rules)
    with clock.stage(PROTOCOL) as done:
        figures, worse = _measured(chosen, data, published)
        done(len(figures), "figures")
    return Verdict((*reasons, *worse), figures)


def _short(
    chosen: Plan, data: Interactions, outputs: Mapping[str, ModelOutput], rules: GateSettings
) -> Iterator[str]:
    """Tell of a default model that gives nothing, or leaves too many people short.

    Other models may have nothing to say: genres, texts and times may all be unknown.
    """
    lists = outputs[chosen.default_model].recommendations
    if lists is None or len(lists) == 0:
        yield f"{chosen.default_model} gives no lists"
        return
    rated = np.diff(data.user_items.indptr)
    known = rated > 0
    unseen = len(np.unique(data.user_items.indices)) - rated
    length = min(K, chosen.settings.list_length)
    wanted = np.minimum(length, unseen)
    served = float((np.diff(lists.indptr) >= wanted)[known].mean())
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
    chosen: Plan, data: Interactions, published: PublishedFigures | None
) -> tuple[tuple[tuple[str, Metric], ...], list[str]]:
    """Return the figures of the default model and of popularity, and what speaks against it."""
    seed, name = chosen.settings.seed, chosen.default_model
    try:
        split = random_split(data.user_items, TEST_SHARE, seed)
    except EvaluationError as exc:
        logger.warning("the gate measures nothing: %s", exc)
        return (), []
    own = _figures(_default_lists(chosen, data, split), split)
    baseline = _figures(_popular_lists(chosen, data, split), split)
    if len(own.users) < 2:
        return (), []
    metric, popularity = (
        _metric(found, seed) for found in (own.values["ndcg"], baseline.values["ndcg"])
    )
    above = difference_interval(own.values["ndcg"], baseline.values["ndcg"], seed)
    reasons = []
    if chosen.settings.gate.beat_popularity and above.high < 0:
        below = f"{name} is below popularity: {METRIC} {metric.value:.4f} to {popularity.value:.4f}"
        # Where nothing better is published, to refuse would help nobody.
        if published is not None and not _was_below(published, name):
            reasons.append(below)
        else:
            logger.warning("%s; published all the same, as nothing better is", below)
    before = published.metric(name, PROTOCOL, METRIC) if published else None
    if before is not None and chosen.settings.gate.no_fall and _fell(metric, before):
        reasons.append(
            f"{METRIC} of {name} fell from {before.value:.4f} to {metric.value:.4f}, "
            "beyond their intervals"
        )
    return ((name, metric), (BASELINE, popularity)), reasons


def _was_below(published: PublishedFigures, name: str) -> bool:
    """Tell whether the published run was below popularity itself."""
    own = published.metric(name, PROTOCOL, METRIC)
    popularity = published.metric(BASELINE, PROTOCOL, METRIC)
    return own is not None and popularity is not None and own.value < popularity.value


def _fell(now: Metric, before: Metric) -> bool:
    """Tell whether a figure fell by more than the 95 % interval of a difference of the two."""
    if now.ci_low is None or before.ci_low is None:
        return now.value < before.value
    return before.value - now.value > math.hypot(
        now.value - now.ci_low, before.value - before.ci_low
    )


def _figures(lists: TopN, split: Split) -> UserFigures:
    return ranking_figures(lists, split.test, split.train, K)


def _metric(values: np.ndarray, seed: int) -> Metric:
    interval = bootstrap_interval(values, seed)
    value = float(values.mean())
    return Metric(PROTOCOL, METRIC, value, len(values), "all", interval.low, interval.high)


def _default_lists(chosen: Plan, data: Interactions, split: Split) -> TopN:
    """Fit the default model, and first what it is composed of, on the train part."""
    train, options = train_of(data, split), fit_options(chosen.settings, K)
    outputs: dict[str, ModelOutput] = {}
    needed = _with_parts(chosen, chosen.default_model)
    for spec in chosen.specs:
        if spec.name in needed:
            config = chosen.configs[spec.name]
            parts = {name: outputs[name] for name in spec.parts(config)}
            outputs[spec.name] = spec.fit(replace(train, parts=parts), config, options)
    name = chosen.default_model
    return lists_of(name, train, outputs[name], options)


def _with_parts(chosen: Plan, name: str) -> set[str]:
    parts = MODELS[name].parts(chosen.configs[name])
    return {name}.union(*(_with_parts(chosen, part) for part in parts))


def _popular_lists(chosen: Plan, data: Interactions, split: Split) -> TopN:
    train, options = train_of(data, split), fit_options(chosen.settings, K)
    spec = MODELS[BASELINE]
    return lists_of(BASELINE, train, spec.fit(train, make_config(spec, {}), options), options)
