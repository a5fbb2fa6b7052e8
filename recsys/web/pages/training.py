"""Curves of the training of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from recsys.service.types import RunEpoch
from recsys.web.pages.sparkline import Dot, sparkline


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure by epoch, with the epoch whose network is kept."""

    name: str
    value: float
    """In that epoch."""
    line: str
    """Points of an SVG polyline; empty if there is one epoch."""
    dot: Dot | None
    described: str


@dataclass(frozen=True, slots=True)
class Training:
    model: str
    epochs: int
    best: int | None
    """Number of the best epoch; None without a validation figure."""
    seconds: float
    curves: Sequence[Curve]


def trainings(epochs: Sequence[RunEpoch]) -> list[Training]:
    """Return the trainings of a run, whose epochs are in the order of model and epoch."""
    return [_training(model, list(own)) for model, own in groupby(epochs, key=lambda e: e.model)]


def _training(model: str, epochs: Sequence[RunEpoch]) -> Training:
    best = next((epoch for epoch in epochs if epoch.best), None)
    kept = epochs.index(best or epochs[-1])
    curves = []
    if best is not None and best.metric is not None:
        held_out = [epoch for epoch in epochs if epoch.validation is not None]
        values = [epoch.validation or 0.0 for epoch in held_out]
        curves.append(_curve(best.metric, held_out, values, held_out.index(best)))
    curves.append(_curve("loss", epochs, [epoch.loss for epoch in epochs], kept))
    seconds = sum(epoch.seconds for epoch in epochs)
    number = None if best is None else best.epoch
    return Training(model, len(epochs), number, seconds, curves)


def _curve(name: str, epochs: Sequence[RunEpoch], values: Sequence[float], kept: int) -> Curve:
    numbers = [epoch.epoch for epoch in epochs]
    places = ((values[place], numbers[place]) for place in (0, kept, -1))
    described = f"{name}: " + "; ".join(f"epoch {of}: {value:.4f}" for value, of in places)
    if len(values) == 1:
        return Curve(name, values[kept], "", None, described)
    drawn = sparkline(numbers, [(value, None, None) for value in values], "epoch")
    return Curve(name, values[kept], drawn.line, drawn.dots[kept], described)
