"""Palettes of drawn posters, by decade and genre."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """The colors of a poster as hexadecimal RGB."""

    deep: str
    """The ground behind a title at the top."""
    glow: str
    """The ground at the horizon."""
    far: str
    mid: str
    near: str
    """The foreground, and the ground behind a title at the bottom."""
    accent: str
    other: str
    """A second accent."""
    spark: str
    """Nearly white: stars, lights, windows."""
    light: bool
    """Whether the ground is light, so that a title at the top is dark."""


@dataclass(frozen=True, slots=True)
class Era:
    """How a decade changes the hues of a genre."""

    chroma: float
    pull: float
    """Fraction of the way from the hue of the genre to `toward`."""
    toward: float
    turns: tuple[float, ...]
    """Angles from the ground to the accent on the hue circle."""
    light: float
    """Fraction of posters on a light ground."""


# After the prints of each time: sepia, technicolor, flat cut-outs, brown and orange, neon,
# bleached steel, teal and orange.
ERAS = {
    1920: Era(0.38, 0.75, 75, (0, 10, -15), 0.55),
    1930: Era(0.62, 0.35, 75, (40, -30, 150), 0.25),
    1940: Era(0.66, 0.25, 250, (170, 140, -160), 0.2),
    1950: Era(1.1, 0.05, 30, (180, 150, -120), 0.4),
    1960: Era(1.2, 0.0, 0, (120, 180, -100), 0.6),
    1970: Era(0.95, 0.5, 55, (20, -35, 150), 0.35),
    1980: Era(1.35, 0.15, 310, (90, -80, 60), 0.0),
    1990: Era(1.0, 0.1, 250, (170, -60, 150), 0.12),
    2000: Era(0.8, 0.35, 225, (175, -140, 40), 0.15),
    2010: Era(1.0, 0.3, 220, (-170, 160, -150), 0.22),
    2020: Era(1.15, 0.05, 330, (60, -70, 110), 0.35),
}
TURN_BITS, TURN_DEGREES = 3, 17
"""Sequels turn the hue of their series by multiples of this angle."""
# Steps of lightness and chroma: deep, glow, far, mid, near, accent, other, spark.
DARK = (
    (0.27, 0.075), (0.55, 0.13), (0.43, 0.095), (0.33, 0.075), (0.19, 0.045),
    (0.74, 0.16), (0.62, 0.15), (0.95, 0.03),
)  # fmt: skip
LIGHT = (
    (0.92, 0.045), (0.82, 0.09), (0.70, 0.10), (0.52, 0.11), (0.28, 0.07),
    (0.63, 0.185), (0.55, 0.15), (0.985, 0.012),
)  # fmt: skip


def palette(
    hue: float, second: float, decade: int, chroma: float, light: bool, own: int
) -> Palette:
    """Mix the hues of two genres as a decade did; `own` tells movies of a series apart."""
    era = ERAS[min(max(decade, 1920), 2020)]
    turned = hue + TURN_DEGREES * ((own % 2**TURN_BITS) - 3)
    base = _toward(turned, era.toward, era.pull)
    # A second genre lends its hue where it differs; if it does not, the decade chooses.
    turn = era.turns[(own >> 5) % len(era.turns)]
    contrast = base + turn if abs(_angle(base, second)) < 40 else _toward(second, base + turn, 0.4)
    hues = (base, _toward(base, contrast, 0.3), base, base, base, contrast, contrast + 50, contrast)
    strength = era.chroma * chroma
    steps = LIGHT if light else DARK
    deep, glow, far, mid, near, accent, other, spark = (
        oklch(lightness, chroma * strength, angle)
        for (lightness, chroma), angle in zip(steps, hues, strict=True)
    )
    return Palette(deep, glow, far, mid, near, accent, other, spark, light)


def _toward(hue: float, target: float, fraction: float) -> float:
    return hue + fraction * _angle(hue, target)


def _angle(start: float, end: float) -> float:
    """Return the shorter way between two hues, from -180 to 180."""
    return (end - start + 180) % 360 - 180


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """Convert a color of OKLCH to hexadecimal sRGB, with less chroma if it has none there.

    Matrices: https://bottosson.github.io/posts/oklab/
    """
    while True:
        linear = _linear(lightness, chroma, math.radians(hue))
        if chroma <= 0.005 or all(-0.001 <= value <= 1.001 for value in linear):
            return "#" + "".join(f"{_byte(value):02x}" for value in linear)
        chroma *= 0.9


def _linear(lightness: float, chroma: float, angle: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(angle), chroma * math.sin(angle)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _byte(linear: float) -> int:
    value = min(max(linear, 0.0), 1.0)
    gamma = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * gamma)
