"""Search the parameters of a model on a split inside what a protocol trains on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from recsys.domain import (
    RATING_METRICS,
    FittedModel,
    Interactions,
    UserRows,
    lower_is_better,
)
from recsys.errors import EvaluationError, InvalidArgument, RecsysError
from recsys.evaluation.intervals import Interval, Sample, gain_interval
from recsys.evaluation.protocols import PROTOCOLS, Material, Protocol
from recsys.evaluation.ranking import RANKING_METRICS, Scale, ranking_figures
from recsys.evaluation.rating import rating_errors, user_mean_fallback
from recsys.evaluation.splits import Split, rows_of
from recsys.jobs.evaluate import positions, read_for_evaluation, train_of
from recsys.jobs.plan import Plan
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.stages import StageClock
from recsys.jobs.training import fit_model, fit_options
from recsys.models.base import ModelSpec
from recsys.models.registry import MODELS, make_config
from recsys.models.search_space import draws, searched
from recsys.numerics.prediction import predict_ratings
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

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


@dataclass(frozen=True, slots=True)
class TuneReport:
    model: str
    protocol: str
    metric: str
    trials: tuple[Trial, ...]
    """The best first, failed ones last."""
    gain: Interval | None
    """95 % interval of the gain of the best parameters over the configured ones on the same users
    (for `rmse`: in the mean squared error), above 0 where the best are better; None if the
    configured ones are best."""
    n: int
    """Number of users measured; for rmse, mae and disliked_share the number of ratings."""
    interrupted: bool

    @property
    def best(self) -> Trial:
        return self.trials[0]


def tune(
    database: Database,
    chosen: Plan,
    model: str,
    protocol: Protocol,
    *,
    metric: str | None = None,
    trials: int = 20,
    seed: int = 42,
    split_file: Path | None = None,
    reporter: Reporter | None = None,
) -> TuneReport:
    """Compare the configured parameters of a model with others drawn at random.

    The test ratings of the protocol are never used: the train part of its first split is split
    again, and the metric is measured on the inner test part. Parts of the model are fitted once, as
    configured. Raises InvalidArgument for a model without parameters to search, EvaluationError for
    a metric that does not apply to it.
    """
    spec = MODELS[model]
    _check(spec, protocol, metric)
    metric = metric or ("rmse" if protocol.kind == "rating" else "ndcg")
    clock = StageClock(reporter or Silent())
    with database.transaction() as connection:
        versions.ensure(connection)
    snapshot = read_for_evaluation(database, chosen, protocol, clock)
    pairs = positions(split_file, snapshot) if split_file else None
    inner = inner_train(snapshot.interactions, protocol, pairs, seed)
    bench = _Bench(spec, chosen, protocol, metric, inner)
    found, interrupted = _search(bench, chosen.configs[model], trials, seed, clock)
    ranked = tuple(sorted(found, key=lambda trial: _order(trial, metric)))
    return TuneReport(
        model,
        protocol.name,
        metric,
        ranked,
        bench.gain(ranked[0].number, seed),
        bench.size,
        interrupted,
    )


@dataclass(frozen=True, slots=True)
class Inner:
    """The train part of a protocol, split again."""

    data: Interactions
    """The inner train part."""
    split: Split
    scale: Scale | None
    """The rating scale, for metrics only."""


def inner_train(data: Interactions, protocol: Protocol, pairs: Any, seed: int) -> Inner:
    """Split the train part by the protocol, or at random if the split of the protocol is fixed."""
    outer = next(protocol.splits(Material(data.user_items, data.rated_at, pairs, pairs), seed))
    train = train_of(data, outer)
    # A published split exists once: inside its train part the split is random.
    inner = PROTOCOLS[INNER] if "pairs" in protocol.needs else protocol
    # Another seed: the same one would hold out the same positions again.
    split = next(inner.splits(Material(train.user_items, train.rated_at), seed + 1))
    return Inner(train_of(train, split), split, data.rating_range)


class _Bench:
    """Fits and measures one model with several sets of parameters."""

    def __init__(
        self,
        spec: ModelSpec,
        chosen: Plan,
        protocol: Protocol,
        metric: str,
        inner: Inner,
    ) -> None:
        self._spec, self._chosen, self._protocol = spec, chosen, protocol
        self._metric, self._inner = metric, inner
        self._options = fit_options(chosen.settings)
        self._n = max(chosen.settings.list_length, protocol.k)
        self._parts: dict[str, FittedModel] = {}
        self._samples: dict[int, Sample] = {}
        """Per trial one value for each user or rating, in the same order."""

    @property
    def size(self) -> int:
        return self._samples[1].size

    def fit_parts(self, clock: StageClock) -> None:
        """Fit the parts of the model."""
        for part in self._chosen.specs:
            if part.name != self._spec.name:
                with clock.stage(part.name) as done:
                    self._parts[part.name] = self._fit(part, self._chosen.configs[part.name])
                    done(1, "fit")

    def measure(self, number: int, config: Any) -> tuple[float, float]:
        """Return the metric of a config and the seconds of its fit."""
        clock = StageClock(Silent())
        model = self._fit(self._spec, config)
        seconds = clock.total_seconds
        sample = self._sample(model)
        if sample.size == 0:
            raise EvaluationError(f"{self._metric} measures no user")
        self._samples[number] = sample
        # The root after the mean: values are squared errors, so that users can be resampled.
        value = math.sqrt(sample.mean) if self._metric == "rmse" else sample.mean
        return value, seconds

    def gain(self, best: int, seed: int) -> Interval | None:
        if best == 1:
            return None
        return gain_interval(self._metric, self._samples[best], self._samples[1], seed)

    def _fit(self, spec: ModelSpec, config: Any) -> FittedModel:
        return fit_model(spec, config, self._inner.data, self._options, self._parts)

    def _sample(self, model: FittedModel) -> Sample:
        train, split = self._inner.data, self._inner.split
        if self._metric in RANKING_METRICS:
            lists = model.rank(
                UserRows.all(train.user_items, train.rated_at), self._n, self._options
            )
            figures = ranking_figures(
                lists, split.test, split.train, self._protocol.k, self._inner.scale
            )
            return figures.sample(self._metric)
        users, items = rows_of(split.test), split.test.indices
        predicted = predict_ratings(train, model.fitted, users, items)
        fallback = user_mean_fallback(split.train, users)
        errors = rating_errors(predicted, split.test.data, fallback).errors
        return Sample(errors**2 if self._metric == "rmse" else np.abs(errors))


def _search(
    bench: _Bench, configured: Any, count: int, seed: int, clock: StageClock
) -> tuple[list[Trial], bool]:
    """Measure the configured, then the drawn parameters; tell whether it was interrupted."""
    spec = bench._spec
    bench.fit_parts(clock)
    tried: list[Trial] = []
    drawn = chain([searched(spec, configured)], draws(spec, configured, seed))
    # Ctrl-C keeps the trials so far: a search may take hours.
    try:
        for number, parameters in enumerate(islice(drawn, count), 1):
            with clock.stage(f"trial {number}") as done:
                trial = _try(bench, configured, number, parameters)
                if trial.error and number == 1:
                    raise EvaluationError(f"the configured parameters fail: {trial.error}")
                tried.append(trial)
                done(1, "failed" if trial.error else "fit")
    except KeyboardInterrupt:
        if not tried:
            raise
        return tried, True
    return tried, False


def _try(bench: _Bench, configured: Any, number: int, parameters: Mapping[str, Any]) -> Trial:
    try:
        config = make_config(bench._spec, {**asdict(configured), **parameters})
        value, seconds = bench.measure(number, config)
    # Drawn values may contradict each other, or the fit may not converge.
    except RecsysError as exc:
        return Trial(number, parameters, None, 0.0, str(exc))
    return Trial(number, parameters, value, seconds)


def _order(trial: Trial, metric: str) -> tuple[float, int]:
    if trial.value is None:
        return np.inf, trial.number
    return trial.value if lower_is_better(metric) else -trial.value, trial.number


def _check(spec: ModelSpec, protocol: Protocol, metric: str | None) -> None:
    if not spec.search_space:
        searchable = ", ".join(name for name, each in MODELS.items() if each.search_space)
        raise InvalidArgument(
            f"model {spec.name} has no parameters to search", hint=f"those that do: {searchable}"
        )
    if metric is not None and metric not in METRICS:
        raise EvaluationError(
            f"there is no metric {metric!r} to tune by", hint=f"there are: {', '.join(METRICS)}"
        )
    rating = metric in RATING_METRICS if metric else protocol.kind == "rating"
    if rating and spec.prediction is None:
        raise EvaluationError(
            f"model {spec.name} predicts no ratings, so it has no {metric or 'rmse'}",
            hint="tune it by a metric of lists: " + ", ".join(RANKING_METRICS),
        )


def settings_lines(model: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parameters as lines of `recsys.toml`."""
    yield f"[models.{model}]"
    for name, value in parameters.items():
        yield f"{name} = {_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)
