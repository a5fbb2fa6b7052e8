"""What an evaluation measured, model by model."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.domain import Metric
from recsys.evaluation.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one model came to, over all splits of the protocol."""

    model: str
    metrics: tuple[Metric, ...]
    train_seconds: float
    recommend_seconds: float
    peak_memory_mb: int
    """Highest resident memory of the process while this model was fitted and measured."""

    def figure(self, name: str, segment: str = "all") -> float | None:
        """Return one figure over a segment, None where it was not measured."""
        found = (m.value for m in self.metrics if (m.name, m.segment) == (name, segment))
        return next(found, None)


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    run_id: int
    protocol: Protocol
    seed: int
    evaluated: tuple[Evaluated, ...]
    """The best first."""
    left_out: tuple[str, ...]
    """Models that give nothing this protocol measures."""
    seconds: float
