"""Fit the models of a run, for refresh, evaluate, gate and tune alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recsys.config.settings import RefreshSettings
from recsys.domain import (
    Baselines,
    Chart,
    Charts,
    Factors,
    Fitted,
    FittedModel,
    Float64,
    Int64,
    Interactions,
    Metric,
    Neighbours,
    NetworkFactors,
    RankedLists,
    Told,
    TopN,
    TrainingCurve,
    UserNeighbours,
    UserRows,
)
from recsys.errors import RecsysError, RunError
from recsys.evaluation.splits import Split
from recsys.jobs.held_out import HeldOut, random_part
from recsys.models.base import FitOptions, ModelSpec, Need, tell_nobody
from recsys.models.shards import Shards, in_shards

VALIDATION_SHARE, VALIDATED_USERS, K = 0.1, 5_000, 10
"""Share of the training ratings that rivals are measured on, users at most, length of lists."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One model of several, to be fitted once the models before it are."""

    spec: ModelSpec
    _specs: Sequence[ModelSpec]
    _configs: dict[str, Any]
    _data: Shards
    _options: FitOptions
    _fitted: dict[str, FittedModel]

    @property
    def config(self) -> Any:
        """Return the parameters of the model: once it is fitted, those that it was fitted with."""
        return self._configs[self.spec.name]

    def fit(self) -> FittedModel:
        """Settle the parameters and fit the model; raise RunError naming it if it fails."""
        self._configs[self.spec.name] = settle(
            self.spec, self._specs, self._configs, self._data, self._options
        )
        model = fit_model(self.spec, self.config, self._data, self._options, self._fitted)
        self._fitted[self.spec.name] = model
        return model

    def learned(self, model: FittedModel) -> ModelResults:
        """Return what a run stores of the fitted model, but for the lists of users."""
        return learned_of(model, self.spec, self.config, self._data, self._options)


def fit_options(settings: RefreshSettings, told: Told = tell_nobody) -> FitOptions:
    """Return the options of every fit of a refresh; `told` hears of epochs."""
    return FitOptions(
        k=settings.neighbours,
        seed=settings.seed,
        memory_mb=settings.memory_mb,
        threads=settings.threads,
        told=told,
    )


def training_steps(
    specs: Sequence[ModelSpec],
    configs: Mapping[str, Any],
    data: Interactions | Shards,
    options: FitOptions,
) -> Iterator[TrainingStep]:
    """Yield one step for each model, in an order in which parts come before their composition.

    The caller fits each step before it takes the next one, and measures the time.
    """
    # Shared by the steps: each adds its model, and later ones find their parts there.
    fitted: dict[str, FittedModel] = {}
    settled = dict(configs)
    for place, spec in enumerate(specs):
        yield TrainingStep(spec, specs, settled, in_shards(data), options, fitted)
        # A model that no later one is composed of need not wait in memory for the last.
        later = {part for after in specs[place + 1 :] for part in after.parts(configs[after.name])}
        for name in fitted.keys() - later:
            del fitted[name]


def settle(
    spec: ModelSpec,
    specs: Sequence[ModelSpec],
    configs: Mapping[str, Any],
    data: Interactions | Shards,
    options: FitOptions,
) -> Any:
    """Return the config of a model, with the parameters that it leaves to the training data.

    If these need a validation split, the models it is composed of are fitted on a part of the data.
    """
    shards = in_shards(data)
    config = _settled(spec, configs[spec.name], shards)
    rivals = spec.rivals(config)
    if not rivals:
        return config
    held = HeldOut(shards, random_part(shards, VALIDATION_SHARE, options.seed))
    users = drawn(np.flatnonzero(held.counts), VALIDATED_USERS, options.seed)
    if not len(users):
        return rivals[0]
    train = held.train
    names = with_parts(specs, configs, spec.name) - {spec.name}
    parts = [part for part in specs if part.name in names]
    fitted = {step.spec.name: step.fit() for step in training_steps(parts, configs, train, options)}

    def ndcg(rival: Any) -> Float64:
        model = fit_model(spec, rival, train, options, fitted)
        return held.figures(model, users, (K, K), options).values["ndcg"]

    return rivals[first_as_good([ndcg(rival) for rival in rivals])]


def first_as_good(measured: Sequence[Float64]) -> int:
    """Return the first whose mean is below the best by one standard error at most.

    Each array has one value per user. The error is that of the mean difference: the rule of
    L. Breiman et al., Classification and Regression Trees, 1984, for paired samples.
    """
    best = max(measured, key=lambda values: float(values.mean()))
    for place, values in enumerate(measured):
        loss = best - values
        if loss.mean() <= loss.std() / np.sqrt(len(loss)):
            return place
    raise AssertionError("the best is as good as itself")


def derived(configured: Any, settled: Any) -> dict[str, Any]:
    """Return the parameters that a config left to the data, as they were settled."""
    before = asdict(configured)
    return {name: value for name, value in asdict(settled).items() if value != before[name]}


def drawn(users: Int64, most: int, seed: int) -> Int64:
    """Return at most some of the users, drawn by seed; positions ascend as they did."""
    if len(users) <= most:
        return users
    return np.sort(np.random.default_rng(seed).choice(users, most, replace=False))


def train_of(data: Interactions, split: Split) -> Interactions:
    """Return the train ratings, their times and the features of movies."""
    # The scale is read off the train part: the highest test rating must not show.
    times = None if data.rated_at is None else data.rated_at[split.train_entries]
    # Networks of earlier runs may have learned from the test ratings.
    return replace(
        data,
        user_items=split.train,
        rated_at=times,
        rating_range=None,
        parts={},
        previous={},
    )


def fit_model(
    spec: ModelSpec,
    config: Any,
    data: Interactions | Shards,
    options: FitOptions,
    fitted: Mapping[str, FittedModel] | None = None,
) -> FittedModel:
    """Fit one model; `fitted` holds the models it is composed of.

    Raises RunError naming the model for errors other than RecsysError.
    """
    shards = in_shards(data)
    config = _settled(spec, config, shards)
    # Only its own parts: a model must not depend on the other models of a run.
    parts = {name: (fitted or {})[name] for name in spec.parts(config)}
    try:
        return FittedModel(spec.name, _fitted(spec, config, shards, options, parts), spec.rank)
    except RecsysError:
        raise
    # Models of other packages may raise anything; one bad model must not look like a bug of ours.
    except Exception as exc:
        raise RunError(
            f"model {spec.name} failed: {type(exc).__name__}: {exc}",
            hint="leave the model out, or look up the traceback in the debug log",
        ) from exc


def _settled(spec: ModelSpec, config: Any, shards: Shards) -> Any:
    whole = shards.whole
    return spec.settle(config, shards.catalogue if whole is None else whole)


def _fitted(
    spec: ModelSpec,
    config: Any,
    shards: Shards,
    options: FitOptions,
    parts: Mapping[str, FittedModel],
) -> Fitted:
    if shards.whole is not None:
        return spec.fit(replace(shards.whole, parts=parts), config, options)
    assert spec.learn is not None
    return spec.learn(shards.with_parts(parts), config, options)


def needs_of(specs: Iterable[ModelSpec], configs: Mapping[str, Any]) -> frozenset[Need]:
    """Return the data that the models read beside ratings, genres and years."""
    return frozenset[Need]().union(*(spec.needs(configs[spec.name]) for spec in specs))


def with_parts(specs: Sequence[ModelSpec], configs: Mapping[str, Any], name: str) -> set[str]:
    """Return the names of a model and of all models it is composed of, directly or not."""
    [spec] = [spec for spec in specs if spec.name == name]
    parts = spec.parts(configs[name])
    return {name}.union(*(with_parts(specs, configs, part) for part in parts))


@dataclass(frozen=True, slots=True)
class ModelResults:
    """All that a run stores of one model."""

    fitted: Fitted | None = None
    neighbours: Neighbours | None = None
    """Similar items of each item."""
    recommendations: TopN | None = None
    """Lists of all users; None for charts, which are the same for every user."""
    metrics: tuple[Metric, ...] = ()

    def without_means(self) -> ModelResults:
        """Return the results without mean ratings, which interactions have not."""
        if not isinstance(self.fitted, Charts):
            return self
        charts = (
            replace(chart, means=np.full(len(chart.items), np.nan)) for chart in self.fitted.charts
        )
        return replace(self, fitted=Charts(tuple(charts)))

    @property
    def factors(self) -> Factors | None:
        return self.fitted if isinstance(self.fitted, Factors) else None

    @property
    def network(self) -> NetworkFactors | None:
        """Return the factors of a network that is to be stored."""
        fitted = self.fitted
        return fitted if isinstance(fitted, NetworkFactors) and fitted.network else None

    @property
    def training(self) -> TrainingCurve | None:
        """Return the epochs of a network; None if there are none."""
        if isinstance(self.fitted, NetworkFactors) and self.fitted.epochs:
            return self.fitted.curve
        return None

    @property
    def user_neighbours(self) -> UserNeighbours | None:
        return self.fitted if isinstance(self.fitted, UserNeighbours) else None

    @property
    def baselines(self) -> Baselines | None:
        fitted = self.fitted
        return fitted.baselines if isinstance(fitted, Neighbours | UserNeighbours) else None

    @property
    def charts(self) -> tuple[Chart, ...]:
        return self.fitted.charts if isinstance(self.fitted, Charts) else ()

    @property
    def lists(self) -> list[RankedLists]:
        """Return its lists of every kind."""
        every = (self.neighbours, self.user_neighbours, self.recommendations)
        return [lists for lists in every if lists is not None]

    @property
    def rows(self) -> int:
        """Return the number of entries of all lists and charts."""
        return sum(map(len, self.lists)) + sum(len(chart.items) for chart in self.charts)


def learned_of(
    model: FittedModel,
    spec: ModelSpec,
    config: Any,
    data: Interactions | Shards,
    options: FitOptions,
) -> ModelResults:
    """Return what a run stores of a fitted model, but for the lists of users."""
    shards = in_shards(data)
    metrics: tuple[Metric, ...] = ()
    if shards.whole is not None:
        metrics = spec.measure(model.fitted, shards.whole, config, options)
    elif spec.measure_shards is not None:
        metrics = spec.measure_shards(model.fitted, shards, config, options)
    return ModelResults(model.fitted, spec.similar(model.fitted, options), metrics=metrics)


def results_of(
    model: FittedModel,
    spec: ModelSpec,
    config: Any,
    data: Interactions,
    options: FitOptions,
    n: int,
) -> ModelResults:
    """Return all that a run stores of a fitted model; lists of users have n entries at most."""
    learned = learned_of(model, spec, config, data, options)
    # A chart is the same for every user: SQL leaves out what the user has rated.
    if spec.kind != "personal":
        return learned
    lists = model.rank(UserRows.all(data.user_items, data.rated_at), n, options)
    return replace(learned, recommendations=lists)
