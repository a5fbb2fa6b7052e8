"""Measure a model with several sets of parameters, inside the train part of a protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np

from recsys.domain import (
    RATING_METRICS,
    FittedModel,
    Interactions,
    Told,
    UserRows,
    lower_is_better,
)
from recsys.errors import EvaluationError, RecsysError
from recsys.evaluation.intervals import Interval, Sample, gain_interval
from recsys.evaluation.protocols import PROTOCOLS, Material, Pairs, Protocol
from recsys.evaluation.ranking import RANKING_METRICS, Scale, ranking_figures
from recsys.evaluation.rating import rating_errors, user_mean_fallback
from recsys.evaluation.splits import Split, rows_of
from recsys.jobs.plan import Plan
from recsys.jobs.progress import Silent
from recsys.jobs.stages import StageClock
from recsys.jobs.training import fit_model, fit_options, settle, train_of
from recsys.models.base import ModelSpec, tell_nobody
from recsys.models.registry import make_config
from recsys.models.search_space import draws, searched
from recsys.numerics.prediction import predict_ratings

METRICS = (*RANKING_METRICS, *RATING_METRICS)
INNER = "random-90-10"
"""Inner split for protocols whose own split comes with the data set."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of parameters and its result."""

    number: int
    """From 1; the first has the configured parameters."""
    parameters: Mapping[str, Any]
    """The searched parameters."""
    value: float | None
    """Value of the metric; None if the fit failed."""
    train_seconds: float
    error: str | None = None


def ranked(trials: Sequence[Trial], metric: str) -> tuple[Trial, ...]:
    """Return the best trial first, failed ones last."""

    def order(trial: Trial) -> tuple[float, int]:
        if trial.value is None:
            return math.inf, trial.number
        return trial.value if lower_is_better(metric) else -trial.value, trial.number

    return tuple(sorted(trials, key=order))


@dataclass(frozen=True, slots=True)
class Inner:
    """The train part of a protocol, split again."""

    data: Interactions
    """The inner train part."""
    split: Split
    scale: Scale | None
    """The rating scale, for metrics only."""


def outer_train(
    data: Interactions, protocol: Protocol, pairs: Pairs | None, seed: int
) -> Interactions:
    """Return the train part of the first split of a protocol."""
    material = Material(data.user_items, data.rated_at, pairs, pairs)
    return train_of(data, next(protocol.splits(material, seed)))


def inner_split(train: Interactions, protocol: Protocol, scale: Scale | None, seed: int) -> Inner:
    """Split a train part by the protocol, or at random if the split of the protocol is fixed."""
    # A published split exists once: inside its train part the split is random.
    inner = PROTOCOLS[INNER] if "pairs" in protocol.needs else protocol
    split = next(inner.splits(Material(train.user_items, train.rated_at), seed))
    return Inner(train_of(train, split), split, scale)


def inner_train(data: Interactions, protocol: Protocol, pairs: Pairs | None, seed: int) -> Inner:
    """Return the train part of a protocol, split again."""
    train = outer_train(data, protocol, pairs, seed)
    # Another seed: the same one would hold out the same positions again.
    return inner_split(train, protocol, data.rating_range, seed + 1)


class Bench:
    """Fits and measures one model with several sets of parameters."""

    def __init__(
        self,
        spec: ModelSpec,
        chosen: Plan,
        protocol: Protocol,
        metric: str,
        inner: Inner,
        told: Told = tell_nobody,
    ) -> None:
        self.spec = spec
        self._chosen, self._k = chosen, protocol.k
        self._metric, self._inner = metric, inner
        self._options = fit_options(chosen.settings, told)
        self._n = max(chosen.settings.list_length, protocol.k)
        self._parts: dict[str, FittedModel] = {}
        self.samples: dict[int, Sample] = {}
        """Per trial one value for each user or rating, in the same order."""

    @property
    def size(self) -> int:
        return self.samples[1].size

    def fit_parts(self, clock: StageClock) -> None:
        """Fit the parts of the model."""
        for part in self._chosen.specs:
            if part.name != self.spec.name:
                with clock.stage(part.name) as done:
                    self._parts[part.name] = self._fit(part, self._chosen.configs[part.name])
                    done(1, "fit")

    def measure(self, number: int, parameters: Mapping[str, Any]) -> tuple[float, float]:
        """Return the metric with some parameters changed, and the seconds of the fit.

        Raises EvaluationError if the metric measures no user.
        """
        configured = self._chosen.configs[self.spec.name]
        config = make_config(self.spec, {**asdict(configured), **parameters})
        clock = StageClock(Silent())
        model = self._fit(self.spec, config)
        seconds = clock.total_seconds
        sample = self._sample(model)
        if sample.size == 0:
            raise EvaluationError(f"{self._metric} measures no user")
        self.samples[number] = sample
        # The root after the mean: values are squared errors, so that users can be resampled.
        value = math.sqrt(sample.mean) if self._metric == "rmse" else sample.mean
        return value, seconds

    def gain(self, best: int, seed: int) -> Interval | None:
        """Return the interval of the gain over the first trial; None for that one."""
        if best == 1:
            return None
        return gain_interval(self._metric, self.samples[best], self.samples[1], seed)

    def _fit(self, spec: ModelSpec, config: Any) -> FittedModel:
        data, specs = self._inner.data, self._chosen.specs
        configs = {**self._chosen.configs, spec.name: config}
        settled = settle(spec, specs, configs, data, self._options)
        return fit_model(spec, settled, data, self._options, self._parts)

    def _sample(self, model: FittedModel) -> Sample:
        train, split = self._inner.data, self._inner.split
        if self._metric in RANKING_METRICS:
            lists = model.rank(
                UserRows.all(train.user_items, train.rated_at), self._n, self._options
            )
            figures = ranking_figures(lists, split.test, split.train, self._k, self._inner.scale)
            return figures.sample(self._metric)
        users, items = rows_of(split.test), split.test.indices
        predicted = predict_ratings(train, model.fitted, users, items)
        fallback = user_mean_fallback(split.train, users)
        errors = rating_errors(predicted, split.test.data, fallback).errors
        return Sample(errors**2 if self._metric == "rmse" else np.abs(errors))


def run_trials(bench: Bench, configured: Any, seed: int, clock: StageClock) -> Iterator[Trial]:
    """Yield the trial of the configured parameters, then those of drawn ones, without end.

    Raises EvaluationError if the configured parameters fail.
    """
    bench.fit_parts(clock)
    drawn = chain([searched(bench.spec, configured)], draws(bench.spec, configured, seed))
    for number, parameters in enumerate(drawn, 1):
        with clock.stage(f"trial {number}") as done:
            trial = _try(bench, number, parameters)
            if trial.error and number == 1:
                raise EvaluationError(f"the configured parameters fail: {trial.error}")
            done(1, "failed" if trial.error else "fit")
        yield trial


def _try(bench: Bench, number: int, parameters: Mapping[str, Any]) -> Trial:
    try:
        value, seconds = bench.measure(number, parameters)
    # Drawn values may contradict each other, or the fit may not converge.
    except RecsysError as exc:
        return Trial(number, parameters, None, 0.0, str(exc))
    return Trial(number, parameters, value, seconds)
