"""Coordinates of a histogram of ratings, which the template draws as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recsys.service.types import RatingBin

WIDTH, HEIGHT, LABELS = 240.0, 104.0, 16.0
FILLED = 0.8
"""Part of its share of the width that a bar fills."""
LEAST = 1.5
"""Height of the bar of a single rating beside thousands, so that it can be seen."""
MOST_LABELS = 10


@dataclass(frozen=True, slots=True)
class HistogramBar:
    x: float
    y: float
    width: float
    length: float
    middle: float
    name: str
    label: str
    """Below the bar; empty if there is no room."""
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    bars: Sequence[HistogramBar]
    height: float = HEIGHT
    floor: float = HEIGHT - LABELS


def histogram(bins: Sequence[RatingBin]) -> Histogram | None:
    """Scale bars to the most frequent rating; None without ratings."""
    most = max((each.ratings for each in bins), default=0)
    if most == 0:
        return None
    floor, share = HEIGHT - LABELS, WIDTH / len(bins)
    bars = []
    for place, each in enumerate(bins):
        length = max(LEAST, floor * each.ratings / most) if each.ratings else 0.0
        labelled = place % -(-len(bins) // MOST_LABELS) == 0
        bars.append(
            HistogramBar(
                x=round((place + (1 - FILLED) / 2) * share, 1),
                y=round(floor - length, 1),
                width=round(FILLED * share, 1),
                length=round(length, 1),
                middle=round((place + 0.5) * share, 1),
                name=_name(each),
                label=f"{each.rating_from:.4g}" if labelled else "",
                count=each.ratings,
            )
        )
    return Histogram(bars)


def _name(each: RatingBin) -> str:
    if each.rating_from == each.rating_to:
        return f"{each.rating_from:g}"
    return f"{each.rating_from:.4g} to {each.rating_to:.4g}"
