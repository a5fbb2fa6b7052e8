"""Predict what a refresh takes: seconds of each stage, memory, and disk for its results."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from recsys.config.settings import RefreshSettings
from recsys.domain import Int64
from recsys.errors import NotEnoughDisk
from recsys.jobs import gate
from recsys.jobs.plan import Plan, configured, for_loaded
from recsys.jobs.training import VALIDATED_USERS, with_parts
from recsys.models.base import ModelSpec
from recsys.models.cost import PASS, Cost, Size, run_users, user_lists
from recsys.models.registry import MODELS, make_config
from recsys.storage.runs import measured
from recsys.storage.runs.measured import MeasuredRun
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database
from recsys.storage.snapshot.counts import count_ratings

READ = "read"
_NOISE = 0.5
"""Seconds by which a short stage may differ for any reason but the speed of the machine."""
_READING = 28 * PASS
"""Seconds to read a rating by COPY, put it into the matrix and hash it."""
_START = 0.3
"""Seconds of a model that makes lists, even of no data: its libraries, threads, first blocks."""
_PROGRAM = 180 * 2**20
"""Bytes of Python with its libraries."""
_OF_RATING = 24
"""Bytes of a rating: value and movie, and copies while it is read."""
_BLOCKS = 5 * 64 * 2**20
"""Bytes of the blocks that two threads work on, and of the lists that wait to be written."""
_SPARE_DISK = 1.1
"""Space asked for, in units of the bytes expected."""


@dataclass(frozen=True, slots=True)
class StageForecast:
    stage: str
    seconds: float | None
    """None for a model without a cost function that has not run yet."""
    disk: int
    """Bytes of the results, with keys."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a refresh of a plan will take on some data."""

    ratings: int
    users: int
    movies: int
    stages: tuple[StageForecast, ...]
    memory: int
    """Bytes of the process at its peak."""
    reference_run_id: int | None
    """The run whose figures correct the prediction; None before the first full run."""
    free_disk: int | None
    """Bytes that are free where the results go; None if that is another machine."""

    @property
    def seconds(self) -> float:
        """Return the seconds of all stages that are known."""
        return sum(stage.seconds or 0.0 for stage in self.stages)

    @property
    def disk(self) -> int:
        return sum(stage.disk for stage in self.stages)


def forecast(database: Database, chosen: Plan) -> Forecast:
    """Predict what a refresh of the ratings in the database takes.

    Raises NothingLoaded without ratings.
    """
    with database.transaction() as connection:
        versions.ensure(connection)
    chosen = for_loaded(database, chosen)
    with database.snapshot() as connection:
        users, movies, every = count_ratings(connection)
        before = measured.last_full_run(connection)
    size = _size(chosen.settings, users, movies, every)
    return predict(chosen, size, before, free_disk(database))


def forecast_of(database: Database, chosen: Plan, users: Int64, movies: Int64) -> Forecast:
    """Predict what a refresh takes from the number of ratings of each user and each movie."""
    size = _size(chosen.settings, users[users > 0], movies[movies > 0], len(movies))
    with database.snapshot() as connection:
        before = measured.last_full_run(connection)
    return predict(chosen, size, before, free_disk(database))


def require_disk(found: Forecast) -> None:
    """Raise NotEnoughDisk if the results will not fit on the disk, as far as that is known."""
    needed = _SPARE_DISK * found.disk
    if found.free_disk is not None and needed > found.free_disk:
        raise NotEnoughDisk(
            f"the results of this refresh need {_mib(needed)} of disk, and "
            f"{_mib(found.free_disk)} are free",
            hint="free some, keep fewer runs (keep_runs), store shorter lists (list_length), or "
            "leave models out",
        )


def free_disk(database: Database) -> int | None:
    """Return the bytes that are free on the disk of the embedded server; None for another one."""
    return None if database.folder is None else shutil.disk_usage(database.folder).free


def predict(chosen: Plan, size: Size, before: MeasuredRun | None, free: int | None) -> Forecast:
    """Predict the stages of a plan from their costs, and from what the last run took."""
    costs = stage_costs(chosen, size)
    pace = _Pace.of(chosen, size, before)
    disk = sum(cost.disk for cost in costs.values())
    share = max(0.0, disk + pace.more_disk) / disk if disk else 1.0
    stages = tuple(
        StageForecast(name, pace.seconds(name, cost), round(share * cost.disk))
        for name, cost in costs.items()
    )
    memory = round(_memory(size, costs) + pace.more_memory)
    run_id = None if before is None else before.run_id
    return Forecast(size.ratings, size.users, size.movies, stages, memory, run_id, free)


def stage_costs(chosen: Plan, size: Size) -> dict[str, Cost]:
    """Return the cost of each stage, in their order; NaN seconds without a cost function."""
    users = Cost(_READING * size.ratings, disk=run_users(size))
    costs = {READ: users}
    for spec in chosen.specs:
        costs[spec.name] = _cost_of(spec, chosen.configs[spec.name], size)
        costs[spec.name] += _validation_cost(spec, chosen, size)
    if chosen.publish and chosen.settings.gate.enabled:
        costs[gate.PROTOCOL] = _gate_cost(chosen, size)
    return costs


def _cost_of(spec: ModelSpec, config: Any, size: Size) -> Cost:
    personal = spec.kind == "personal"
    if spec.cost is not None:
        return spec.cost(size, config) + Cost(_START if personal else 0.0)
    # Of a model of another package at least the lists of users are known.
    return Cost(math.nan, disk=user_lists(size) if personal else 0.0)


def _validation_cost(spec: ModelSpec, chosen: Plan, size: Size) -> Cost:
    """Return the seconds of choosing among rivals: their parts are fitted once more."""
    config = chosen.configs[spec.name]
    rivals = spec.rivals(config)
    if not rivals:
        return Cost()
    part = replace(size, listed=min(size.users, VALIDATED_USERS))
    names = with_parts(chosen.specs, chosen.configs, spec.name) - {spec.name}
    seconds = len(rivals) * _cost_of(spec, config, part).seconds
    for other in chosen.specs:
        if other.name in names:
            seconds += _cost_of(other, chosen.configs[other.name], part).seconds
    return Cost(seconds)


def _gate_cost(chosen: Plan, size: Size) -> Cost:
    """Return the cost of the default model and of popularity on a part of the ratings."""
    measured_users = min(size.users, gate.MEASURED_USERS)
    part = replace(size, listed=measured_users)
    names = with_parts(chosen.specs, chosen.configs, chosen.default_model)
    total = _cost_of(MODELS[gate.BASELINE], make_config(MODELS[gate.BASELINE], {}), part)
    for spec in chosen.specs:
        if spec.name in names:
            total += _cost_of(spec, chosen.configs[spec.name], part)
    # The ratings are split into two parts, which are held beside them.
    return replace(total, memory=total.memory + 24.0 * size.ratings, disk=0.0)


def _memory(size: Size, costs: Mapping[str, Cost]) -> float:
    most = max(cost.memory for cost in costs.values())
    return _PROGRAM + _BLOCKS + _OF_RATING * size.ratings + most


@dataclass(frozen=True, slots=True)
class _Pace:
    """How the last run compares with what is predicted for its size."""

    ratios: Mapping[str, float]
    """Measured to predicted seconds of each stage, damped where both are short."""
    overheads: Mapping[str, float]
    """Seconds of each stage that its ratio does not explain."""
    proportional: Mapping[str, float]
    """Seconds of models without a cost function, in proportion to the ratings."""
    more_memory: float = 0.0
    """Bytes measured less bytes predicted."""
    more_disk: float = 0.0

    @classmethod
    def of(cls, chosen: Plan, size: Size, before: MeasuredRun | None) -> _Pace:
        if before is None or not before.ratings:
            return cls({}, {}, {})
        size_then = size.scaled(before.ratings, before.users, before.movies)
        then = stage_costs(chosen, size_then)
        took = {
            name: before.seconds[name]
            for name in then
            if name in before.seconds and _same_parameters(name, chosen, before)
        }
        ratios, overheads, proportional = {}, {}, {}
        for name, seconds in took.items():
            expected = then[name].seconds
            if math.isnan(expected):
                proportional[name] = seconds * size.ratings / before.ratings
            else:
                ratios[name] = (seconds + _NOISE) / (expected + _NOISE)
                overheads[name] = seconds - ratios[name] * expected
        pace = cls(ratios, overheads, proportional)
        # Memory and disk depend on all models together.
        if configured(before.parameters) != chosen.parameters:
            return pace
        disk = sum(cost.disk for cost in then.values())
        return replace(
            pace,
            more_memory=before.peak_memory_mb * 2**20 - _memory(size_then, then),
            more_disk=before.disk - disk if before.disk else 0.0,
        )

    def seconds(self, stage: str, cost: Cost) -> float | None:
        """Return the seconds of a stage at this pace; None if they are not known."""
        if math.isnan(cost.seconds):
            return self.proportional.get(stage)
        others = median(self.ratios.values()) if self.ratios else 1.0
        seconds = self.ratios.get(stage, others) * cost.seconds + self.overheads.get(stage, 0.0)
        return max(0.0, seconds)


def _same_parameters(stage: str, chosen: Plan, before: MeasuredRun) -> bool:
    models = chosen.parameters["models"]
    return stage not in models or before.parameters.get("models", {}).get(stage) == models[stage]


def _size(settings: RefreshSettings, users: Int64, movies: Int64, every: int) -> Size:
    return Size(users, movies, every, settings.list_length, settings.neighbours)


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
