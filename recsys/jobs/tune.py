"""Search the parameters of a model on a split inside what a protocol trains on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from recsys.domain import RATING_METRICS
from recsys.errors import EvaluationError, InvalidArgument
from recsys.evaluation.intervals import Interval
from recsys.evaluation.protocols import Protocol
from recsys.evaluation.ranking import RANKING_METRICS
from recsys.jobs.evaluate import positions, read_for_evaluation
from recsys.jobs.plan import Plan
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.stages import StageClock
from recsys.jobs.trials import METRICS, Bench, Trial, inner_train, ranked, run_trials
from recsys.models.base import ModelSpec
from recsys.models.registry import MODELS
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database


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
    bench = Bench(spec, chosen, protocol, metric, inner, clock.told)
    tried: list[Trial] = []
    interrupted = False
    # Ctrl-C keeps the trials so far: a search may take hours.
    try:
        for trial in islice(run_trials(bench, chosen.configs[model], seed, clock), trials):
            tried.append(trial)
    except KeyboardInterrupt:
        if not tried:
            raise
        interrupted = True
    best_first = ranked(tried, metric)
    gain = bench.gain(best_first[0].number, seed)
    return TuneReport(model, protocol.name, metric, best_first, gain, bench.size, interrupted)


def check_metric(metric: str | None) -> None:
    """Raise EvaluationError unless parameters can be tuned by the metric."""
    if metric is not None and metric not in METRICS:
        raise EvaluationError(
            f"there is no metric {metric!r} to tune by", hint=f"there are: {', '.join(METRICS)}"
        )


def _check(spec: ModelSpec, protocol: Protocol, metric: str | None) -> None:
    if not spec.search_space:
        searchable = ", ".join(name for name, each in MODELS.items() if each.search_space)
        raise InvalidArgument(
            f"model {spec.name} has no parameters to search", hint=f"those that do: {searchable}"
        )
    check_metric(metric)
    rating = metric in RATING_METRICS if metric else protocol.kind == "rating"
    if rating and spec.prediction is None:
        raise EvaluationError(
            f"model {spec.name} predicts no ratings, so it has no {metric or 'rmse'}",
            hint="tune it by a metric of lists: " + ", ".join(RANKING_METRICS),
        )


def settings_lines(table: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of values as lines of `recsys.toml`."""
    yield f"[{table}]"
    for name, value in values.items():
        yield f"{name} = {_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)
