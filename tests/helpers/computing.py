"""A model fitted on its own, for tests."""

from __future__ import annotations

from typing import Any

from recsys.domain import Interactions
from recsys.jobs.training import ModelResults, fit_model, results_of
from recsys.models.base import FitOptions, ModelSpec


def compute(
    spec: ModelSpec,
    config: Any,
    data: Interactions,
    options: FitOptions,
    n: int = 100,
) -> ModelResults:
    """Fit a model and return what a run would store of it; its parts are in `data.parts`."""
    model = fit_model(spec, config, data, options, data.parts)
    return results_of(model, spec, config, data, options, n)
