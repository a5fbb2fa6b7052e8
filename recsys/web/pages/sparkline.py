"""Coordinates of sparklines and bars, which the templates draw as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 240.0, 64.0, 8.0
BAR = 100.0

Point = tuple[float, float | None, float | None]
"""A value and the ends of its confidence interval."""


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    low: float
    high: float
    """Ends of the interval as y coordinates; y itself without an interval."""
    label: str


@dataclass(frozen=True, slots=True)
class Sparkline:
    dots: Sequence[Dot]
    line: str
    """Points of an SVG polyline."""
    change: float
    """The last value minus the one before."""


def sparkline(numbers: Sequence[int], points: Sequence[Point], of: str = "run") -> Sparkline:
    """Scale two or more values to the range of all values and intervals, evenly spaced.

    `of` is what the numbers are those of.
    """
    values = [value for point in points for value in point if value is not None]
    bottom, top = min(values), max(values)
    step = (WIDTH - 2 * MARGIN) / (len(points) - 1)

    def height(value: float) -> float:
        # Equal values have no range and lie in the middle.
        share = (value - bottom) / (top - bottom) if top > bottom else 0.5
        return round(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN), 1)

    dots = []
    for place, (number, (value, low, high)) in enumerate(zip(numbers, points, strict=True)):
        x = round(MARGIN + place * step, 1)
        bottom_end, top_end = (height(value if end is None else end) for end in (low, high))
        dots.append(Dot(x, height(value), bottom_end, top_end, f"{of} {number}: {value:.4f}"))
    change = points[-1][0] - points[-2][0]
    return Sparkline(dots, " ".join(f"{dot.x},{dot.y}" for dot in dots), change)


def bars(values: Sequence[float]) -> list[float]:
    """Return bar lengths in proportion to the values; the largest value gets 100."""
    largest = max(values, default=0.0)
    return [round(BAR * value / largest, 1) if largest > 0 else 0.0 for value in values]
