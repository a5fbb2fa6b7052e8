"""Search the parameters of all models of a refresh, and the chart for users without ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from recsys.config.settings import RefreshSettings
from recsys.domain import RATING_METRICS, Interactions, lower_is_better
from recsys.errors import InvalidArgument, RecsysError
from recsys.evaluation.intervals import Interval, Sample, gain_interval
from recsys.evaluation.protocols import PROTOCOLS, Protocol
from recsys.evaluation.ranking import RANKING_METRICS, Scale
from recsys.evaluation.splits import of_new_users
from recsys.jobs.evaluate import positions, read_for_evaluation
from recsys.jobs.plan import plan
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.stages import StageClock
from recsys.jobs.trials import Bench, Inner, Trial, inner_split, outer_train, ranked, run_trials
from recsys.jobs.tune import check_metric
from recsys.models.base import ModelSpec
from recsys.models.registry import MODELS
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

BY_TIME, AT_RANDOM = PROTOCOLS["temporal"], PROTOCOLS["random-90-10"]
CHARTS = ("popular", "trending", "most_rated")
"""Charts that are compared for users without ratings, if they are refreshed."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best values found for a table of `recsys.toml`, measured on ratings of another split."""

    name: str
    """The model, or `cold_start`."""
    table: str
    """As `models.ease`."""
    metric: str
    trials: int = 0
    values: Mapping[str, Any] | None = None
    """The best ones, perhaps the configured ones; None if the search failed."""
    configured: float | None = None
    """The metric with the configured values."""
    best: float | None = None
    gain: Interval | None = None
    """95 % interval of the gain over the configured values, above 0 where the best are better (for
    `rmse`: in the mean squared error); None if the configured ones are the best."""
    n: int = 0
    """Number of users measured; for rmse, mae and disliked_share the number of ratings."""
    error: str | None = None

    @property
    def better(self) -> bool:
        """Return whether the gain is above the noise."""
        return self.gain is not None and self.gain.low > 0


@dataclass(frozen=True, slots=True)
class TuneAllReport:
    protocol: str
    tuned: tuple[Tuned, ...]
    """In the order of the search: parts before their compositions, `cold_start` last."""
    left_out: tuple[str, ...]
    """Models with parameters that the protocol does not measure."""
    interrupted: bool


def tune_all(
    database: Database,
    settings: RefreshSettings,
    protocol: Protocol | None = None,
    *,
    metric: str | None = None,
    trials: int = 20,
    minutes: float = 30,
    seed: int = 42,
    split_file: Path | None = None,
    reporter: Reporter | None = None,
) -> TuneAllReport:
    """Search better parameters for every model that a refresh computes, within a time budget.

    Without a protocol it is `temporal` if the ratings have times, else `random-90-10`. Its test
    ratings are never used. Models that only predict ratings are tuned by `rmse` and all others by
    `ndcg`; `metric` replaces the one of its kind. Compositions are tuned with the better parameters
    of their parts. A search ends after `trials`, or after the trial that exceeds its share of the
    time. Raises InvalidArgument if there is nothing to search.
    """
    check_metric(metric)
    chosen = plan(settings, publish=False)
    clock = StageClock(reporter or Silent())
    with database.transaction() as connection:
        versions.ensure(connection)
    snapshot = read_for_evaluation(database, chosen, BY_TIME, clock)
    data = snapshot.interactions
    timed = data.rated_at is not None and not np.isnan(data.rated_at).all()
    protocol = protocol or (BY_TIME if timed else AT_RANDOM)
    searchable = [spec for spec in chosen.specs if spec.search_space]
    metrics = {spec.name: _metric(spec, protocol, metric) for spec in searchable}
    left_out = tuple(name for name, own in metrics.items() if own is None)
    wanted = {name: own for name, own in metrics.items() if own is not None}
    if not wanted:
        raise InvalidArgument(
            f"protocol {protocol.name} measures no refreshed model with parameters to search",
            hint="[refresh] models names the models that are searched",
        )
    pairs = positions(split_file, snapshot) if split_file else None
    train = outer_train(data, protocol, pairs, seed)
    search = _Search(protocol, train, data.rating_range, trials, seed, clock)
    tuned: list[Tuned] = []
    interrupted = False
    # Ctrl-C keeps the models so far: a search may take hours.
    try:
        for left, (name, own) in zip(range(len(wanted), 0, -1), wanted.items(), strict=True):
            seconds = (60 * minutes - clock.total_seconds) / left
            tuned.append(search.model(settings, MODELS[name], own, seconds))
            if tuned[-1].better:
                settings = _changed(settings, name, tuned[-1].values or {})
        if timed:
            by = metric if metric in RANKING_METRICS else "ndcg"
            tuned += search.cold_start(settings, by)
    except KeyboardInterrupt:
        if not tuned:
            raise
        interrupted = True
    return TuneAllReport(protocol.name, tuple(tuned), left_out, interrupted)


def _metric(spec: ModelSpec, protocol: Protocol, metric: str | None) -> str | None:
    """Return the metric to tune a model by; None if the protocol does not measure it."""
    # Parameters for better lists would spoil what such a model is refreshed for.
    rates = "rating" in spec.roles and not {"default", "live"} & spec.roles.keys()
    if protocol.kind not in ("rating" if rates else "ranking", "both"):
        return None
    if metric in (RATING_METRICS if rates else RANKING_METRICS):
        return metric
    return "rmse" if rates else "ndcg"


def _changed(settings: RefreshSettings, model: str, values: Mapping[str, Any]) -> RefreshSettings:
    own = {**settings.parameters.get(model, {}), **values}
    return replace(settings, parameters={**settings.parameters, model: own})


def two_splits(
    train: Interactions, protocol: Protocol, scale: Scale | None, seed: int
) -> tuple[Inner, Inner]:
    """Split a train part twice: to search parameters, and to confirm their gain.

    Where time splits, another seed would give the same split. There the search uses only what was
    known before the ratings that confirm.
    """
    second = inner_split(train, protocol, scale, seed + 2)
    source = second.data if "times" in protocol.needs else train
    return inner_split(source, protocol, scale, seed + 1), second


class _Search:
    """Searches on the first of two splits of a train part and measures on the second."""

    def __init__(
        self,
        protocol: Protocol,
        train: Interactions,
        scale: Scale | None,
        trials: int,
        seed: int,
        clock: StageClock,
    ) -> None:
        self._protocol, self._train, self._scale = protocol, train, scale
        self._trials, self._seed, self._clock = trials, seed, clock
        self._splits = two_splits(train, protocol, scale, seed)

    def model(
        self, settings: RefreshSettings, spec: ModelSpec, metric: str, seconds: float
    ) -> Tuned:
        """Search the parameters of a model for some seconds."""
        with self._clock.stage(spec.name) as done:
            try:
                found = self._tune(settings, spec, metric, seconds)
            # One model that cannot be fitted to these ratings must not end the search.
            except RecsysError as exc:
                found = Tuned(spec.name, f"models.{spec.name}", metric, error=str(exc))
            done(found.trials, "trials")
        return found

    def _tune(
        self, settings: RefreshSettings, spec: ModelSpec, metric: str, seconds: float
    ) -> Tuned:
        chosen = plan(settings, [spec.name], publish=False)
        first, second = (
            Bench(spec, chosen, self._protocol, metric, inner, self._clock.told)
            for inner in self._splits
        )
        started = self._clock.total_seconds
        tried: list[Trial] = []
        silent = StageClock(Silent())
        drawn = run_trials(first, chosen.configs[spec.name], self._seed, silent)
        for trial in islice(drawn, self._trials):
            tried.append(trial)
            self._clock.advance(len(tried), self._trials)
            if self._clock.total_seconds - started > seconds:
                break
        best = ranked(tried, metric)[0]
        second.fit_parts(silent)
        configured, _ = second.measure(1, {})
        reached = second.measure(best.number, best.parameters)[0] if best.number > 1 else configured
        return Tuned(
            spec.name,
            f"models.{spec.name}",
            metric,
            len(tried),
            best.parameters,
            configured,
            reached,
            second.gain(best.number, self._seed),
            second.size,
        )

    def cold_start(self, settings: RefreshSettings, metric: str) -> list[Tuned]:
        """Compare the charts for test users without train ratings, if there are any."""
        with self._clock.stage("cold_start") as done:
            try:
                found = self._chart(settings, metric)
            except RecsysError as exc:
                found = [Tuned("cold_start", "refresh", metric, error=str(exc))]
            done(sum(one.trials for one in found), "charts")
        return found

    def _chart(self, settings: RefreshSettings, metric: str) -> list[Tuned]:
        chosen = plan(settings, publish=False)
        current = chosen.cold_start
        assert current is not None  # a plan without a chart for new users is refused
        refreshed = (name for name in CHARTS if name in chosen.configs)
        names = tuple(dict.fromkeys((current, *refreshed)))
        splits = self._splits
        if self._protocol is not BY_TIME:
            splits = two_splits(self._train, BY_TIME, self._scale, self._seed)
        first, second = (replace(inner, split=of_new_users(inner.split)) for inner in splits)
        if not (first.split.test.nnz and second.split.test.nnz):
            return []

        def sample(name: str, inner: Inner) -> Sample:
            bench = Bench(MODELS[name], chosen, self._protocol, metric, inner, self._clock.told)
            bench.measure(1, {})
            return bench.samples[1]

        before = {name: sample(name, first).mean for name in names}
        # Of equal charts the current one comes first.
        best = (min if lower_is_better(metric) else max)(names, key=before.__getitem__)
        configured, reached = sample(current, second), sample(best, second)
        gain = None
        if best != current:
            gain = gain_interval(metric, reached, configured, self._seed)
        return [
            Tuned(
                "cold_start",
                "refresh",
                metric,
                len(names),
                {"cold_start": best},
                configured.mean,
                reached.mean,
                gain,
                configured.size,
            )
        ]
