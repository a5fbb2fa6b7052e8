"""Results of an evaluation, model by model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recsys.domain import Metric, TrainingCurve
from recsys.evaluation.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The metrics of one model over all splits of the protocol."""

    model: str
    metrics: tuple[Metric, ...]
    train_seconds: float
    recommend_seconds: float
    peak_memory_mb: int
    """Highest resident memory of the process while this model was fitted and measured."""
    derived: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that it left to the train part, as they were settled in the first split."""
    training: TrainingCurve | None = None
    """Of a neural network in the first split."""

    def figure(self, name: str, segment: str = "all") -> float | None:
        """Return one metric of a segment; None if it was not measured."""
        found = (m.value for m in self.metrics if (m.name, m.segment) == (name, segment))
        return next(found, None)


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    run_id: int
    protocol: Protocol
    seed: int
    evaluated: tuple[Evaluated, ...]
    """Best model first."""
    left_out: tuple[str, ...]
    """Models without output that the protocol measures."""
    seconds: float
