"""A canvas that collects SVG elements, with the colors and the randomness of one poster."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from recsys.web.posters.colors import Palette

WIDTH, HEIGHT, STAGE = 200, 300, 200
"""Units of a poster; motifs draw in the square stage, whose lower edge is the ground."""

Point = tuple[float, float]


class Canvas:
    """Elements are drawn in order, later ones on top."""

    def __init__(self, colors: Palette, seed: int) -> None:
        self.colors = colors
        self.elements: list[str] = []
        self._random = Random(seed)
        self._ids = 0

    # --- chance ---

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def count(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return low + int((high - low + 1) * self._random.random())

    def chance(self, share: float = 0.5) -> bool:
        return self._random.random() < share

    def pick(self, *colors: str) -> str:
        return colors[int(len(colors) * self._random.random())]

    # --- shapes ---

    def circle(self, x: float, y: float, r: float, fill: str, opacity: float = 1) -> None:
        self._add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" fill="{fill}"', opacity)

    def ring(
        self, x: float, y: float, r: float, stroke: str, width: float, opacity: float = 1
    ) -> None:
        shape = f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" fill="none" stroke="{stroke}"'
        self._add(f'{shape} stroke-width="{_n(width)}"', opacity)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: str, opacity: float = 1
    ) -> None:
        shape = f'<ellipse cx="{_n(x)}" cy="{_n(y)}" rx="{_n(rx)}" ry="{_n(ry)}"'
        self._add(f'{shape} fill="{fill}"', opacity)

    def rect(
        self, x: float, y: float, w: float, h: float, fill: str, opacity: float = 1, rx: float = 0
    ) -> None:
        shape = f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"'
        corner = f' rx="{_n(rx)}"' if rx else ""
        self._add(f'{shape}{corner} fill="{fill}"', opacity)

    def polygon(self, points: Iterable[Point], fill: str, opacity: float = 1) -> None:
        self.path(f"M{_points(points)}Z", fill, opacity)

    def path(self, d: str, fill: str, opacity: float = 1) -> None:
        """Draw a path; its numbers are rounded."""
        self._add(f'<path d="{_rounded(d)}" fill="{fill}"', opacity)

    def line(self, points: Iterable[Point], stroke: str, width: float, opacity: float = 1) -> None:
        self.stroke(f"M{_points(points)}", stroke, width, opacity)

    def stroke(self, d: str, stroke: str, width: float, opacity: float = 1) -> None:
        shape = f'<path d="{_rounded(d)}" fill="none" stroke="{stroke}" stroke-width="{_n(width)}"'
        self._add(f'{shape} stroke-linecap="round" stroke-linejoin="round"', opacity)

    def _add(self, start: str, opacity: float) -> None:
        shown = f' opacity="{opacity:.2g}"' if opacity < 1 else ""
        self.elements.append(f"{start}{shown}/>")

    # --- groups and paints ---

    @contextmanager
    def at(self, x: float, y: float, scale: float = 1, *, turn: float = 0) -> Iterator[None]:
        """Draw around a place that is the origin inside; angles in degrees."""
        moved = f"translate({_n(x)} {_n(y)})"
        moved += f" rotate({_n(turn)})" if turn else ""
        with self.group(moved + (f" scale({_n(scale)})" if scale != 1 else "")):
            yield

    @contextmanager
    def turned(self, angle: float, x: float, y: float) -> Iterator[None]:
        """Draw turned around a place."""
        with self.group(f"rotate({_n(angle)} {_n(x)} {_n(y)})"):
            yield

    @contextmanager
    def group(self, transform: str) -> Iterator[None]:
        self.elements.append(f'<g transform="{transform}">')
        yield
        self.elements.append("</g>")

    def gradient(self, *stops: tuple[float, str, float], across: bool = False) -> str:
        """Return a linear gradient from top to bottom, or across, of (offset, color, opacity)."""
        end = 'x2="1" y2="0"' if across else 'x2="0" y2="1"'
        return self._paint("linearGradient", f'x1="0" y1="0" {end}', stops)

    def sphere(self, lit: str, dark: str, x: float = 0.35, y: float = 0.3) -> str:
        """Return a radial gradient that shades a circle as a sphere lit from (x, y)."""
        place = f'cx="{_n(x)}" cy="{_n(y)}" r="0.8"'
        return self._paint("radialGradient", place, ((0, lit, 1), (0.35, lit, 1), (1, dark, 1)))

    def halo(self, color: str, opacity: float = 0.8) -> str:
        """Return a radial gradient that fades out."""
        stops = ((0, color, opacity), (0.3, color, opacity * 0.45), (1, color, 0))
        return self._paint("radialGradient", 'cx="0.5" cy="0.5" r="0.5"', stops)

    def _paint(self, kind: str, place: str, stops: Sequence[tuple[float, str, float]]) -> str:
        self._ids += 1
        name = f"p{self._ids}"
        parts = "".join(
            f'<stop offset="{_n(offset)}" stop-color="{color}"'
            + (f' stop-opacity="{_n(opacity)}"/>' if opacity < 1 else "/>")
            for offset, color, opacity in stops
        )
        self.elements.append(f'<{kind} id="{name}" {place}>{parts}</{kind}>')
        return f"url(#{name})"

    # --- what many motifs share ---

    def stars(self, count: int, bottom: float = STAGE) -> None:
        """Scatter stars, also above the stage."""
        for _ in range(count):
            size = self.between(0.4, 1.5)
            x, y = self.between(0, WIDTH), self.between(-100, bottom)
            self.circle(x, y, size, self.colors.spark, self.between(0.4, 1))

    def ridge(self, base: float, height: float, fill: str, steps: int = 9) -> None:
        """Draw a range of mountains down to the ground."""
        points: list[Point] = [(-5, STAGE), (-5, base)]
        for step in range(steps + 1):
            up = self.between(0.5, 1) if step % 2 else self.between(0, 0.45)
            points.append((step * WIDTH / steps + self.between(-6, 6), base - height * up))
        self.polygon([*points, (WIDTH + 5, base), (WIDTH + 5, STAGE)], fill)

    def hill(self, base: float, height: float, fill: str) -> None:
        """Draw a smooth rolling hill down to the ground."""
        a, b, c = (base - height * self.between(-0.3, 1) for _ in range(3))
        self.path(
            f"M-5 {a}C40 {a - height} 70 {b + height / 2} 105 {b}"
            f"S170 {c - height / 2} 205 {c}V{STAGE + 1}H-5Z",
            fill,
        )

    def ray(
        self, x: float, y: float, angle: float, width: float, fill: str,
        opacity: float = 1, start: float = 0, length: float = 400,
    ) -> None:  # fmt: skip
        """Draw a wedge that starts near a point and gets wider; angles in radians."""
        points = [
            around(x, y, far, angle + side)
            for side, far in ((-width, length), (width, length), (width, start), (-width, start))
        ]
        self.polygon(points if start else [*points[:2], (x, y)], fill, opacity)


def around(x: float, y: float, r: float, angle: float) -> Point:
    """Return the point of a circle at an angle in radians."""
    return x + r * math.cos(angle), y + r * math.sin(angle)


_DECIMALS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def _rounded(d: str) -> str:
    return _DECIMALS.sub(lambda found: _n(float(found[0])), d)


def _n(value: float) -> str:
    """Format a number with at most one or, below 2, three decimals."""
    text = f"{value:.3f}" if -2 < value < 2 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _points(points: Iterable[Point]) -> str:
    return "L".join(f"{x} {y}" for x, y in points)
