"""Parameters that models with graded ratings share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from recsys.domain import RatingWeights
from recsys.models.params import Bounds, Params

ParamGrades = Literal["none", "watched", "scaled", "centred", "relative"]


@dataclass(frozen=True, slots=True)
class GradedParams(Params):
    grades: ParamGrades = "relative"
    """What a rating counts. `none`: 1. `watched`: 1, but 0 if the user gave nothing but the lowest
    grade. `scaled`: the rating divided by the highest of the scale.
    `centred`: 1 plus `grade_effect` for each grade above the user's mean, less below it.
    `relative`: from 0 for the lowest grade by 1 for the user's mean to 1 plus `grade_effect` for
    the highest. No rating counts less than 0, and five ratings at the mean of all begin the mean
    of a user."""
    grade_effect: Annotated[float, Bounds(0, 10)] = 0.2
    """Weight of the value of a rating, for `centred` and `relative`."""

    @property
    def rating_weights(self) -> RatingWeights:
        """Return what a rating counts, for ratings of any scale."""
        return RatingWeights(grades=self.grades, effect=self.grade_effect)


def rating_weights(config: Any) -> RatingWeights:
    """Return what a rating counts in the lists of a model with these parameters."""
    found = getattr(config, "rating_weights", None)
    return found if isinstance(found, RatingWeights) else RatingWeights()
