"""What ratings count by their grade, computed once more in plain loops."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

SCALE = sa.text("""
SELECT r.rating_min, r.rating_max, r.ratings_mean FROM recsys_store.runs AS r
JOIN recsys_store.published AS p ON r.run_id = p.run_id
""")


def counted(
    ratings: np.ndarray,
    grades: str = "relative",
    effect: float = 0.2,
    scale: tuple[float, float] | None = None,
    mean_of_all: float | None = None,
) -> np.ndarray:
    """Return what each rating counts by its grade, in plain loops, 0 where there is none."""
    given = ratings[ratings != 0]
    weights = np.zeros(ratings.shape)
    low, high = scale or (given.min(initial=np.inf), given.max(initial=-np.inf))
    prior = 5 * (given.mean() if mean_of_all is None else mean_of_all) if len(given) else 0.0
    for user, row in enumerate(ratings):
        mean = (row[row != 0].sum() + prior) / (np.count_nonzero(row) + 5)
        for item in np.flatnonzero(row):
            weight = 1.0
            if low < high and grades != "none":
                weight = _grade(row[item], row, grades, effect, low, high, mean)
            weights[user, item] = np.float32(max(weight, 0))
    return weights


def _grade(
    rating: float, row: np.ndarray, grades: str, effect: float, low: float, high: float, mean: float
) -> float:
    if grades == "watched":
        return float(row.max() > low)
    if grades == "scaled":
        return rating / high
    if grades == "centred":
        return 1 + effect * (rating - mean)
    if rating < mean:
        return (rating - low) / (mean - low)
    return 1 + effect * (rating - mean) / (high - mean) if mean < high else 1.0


def counted_now(connection: sa.Connection, ratings: dict[int, float]) -> dict[int, float]:
    """Return what each rating of a user counts on the scale of the published run."""
    low, high, mean = connection.execute(SCALE).one()
    row = np.array([list(ratings.values())])
    counts = counted(row, scale=(low, high), mean_of_all=mean)[0]
    return dict(zip(ratings, counts.tolist(), strict=True))
