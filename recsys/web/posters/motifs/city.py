"""Cities, streets and rooms at night."""

from __future__ import annotations

import math

from recsys.web.posters.canvas import Canvas, around


def skyline(c: Canvas) -> None:
    """Towers with lit windows."""
    p = c.colors
    if c.chance(0.7):
        c.circle(c.between(40, 160), c.between(45, 95), c.between(16, 34), p.accent)
    for color, low, high in ((p.far, 70, 125), (p.mid, 45, 95), (p.near, 25, 70)):
        x = c.between(-20, 0)
        while x < 200:
            w, h = c.between(16, 34), c.between(low, high)
            c.rect(x, 202 - h, w + 0.5, h, color)
            if c.chance(0.25):
                c.rect(x + w / 2 - 0.8, 190 - h, 1.6, 14, color)
            if color != p.far:
                _windows(c, x, 202 - h, w, h)
            x += w


def _windows(c: Canvas, x: float, y: float, w: float, h: float) -> None:
    lit, columns = c.between(0.1, 0.4), int(w / 6)
    for row in range(int(h / 9)):
        for column in range(columns):
            if c.chance(lit):
                c.rect(x + 3 + column * 6, y + 5 + row * 9, 2.6, 4, c.colors.spark, 0.85)


def street_lamp(c: Canvas) -> None:
    """A lamp, its cone of light, and who stands in it."""
    p = c.colors
    x, top = c.between(55, 120), c.between(18, 40)
    head = x + 26
    spread = c.between(36, 58)
    cone = [(head - 5, top + 8), (head + 5, top + 8), (head + spread, 190), (head - spread, 190)]
    c.polygon(cone, c.gradient((0, p.spark, 0.95), (1, p.accent, 0.2)))
    c.ellipse(head, 190, spread, 7, p.accent, 0.7)
    c.rect(-5, 190, 210, 15, p.near)
    c.ellipse(head, 191, spread, 6, p.accent, 0.5)
    c.stroke(f"M{x} 196V{top + 18}q0-18 18-18h6", p.near, 4)
    c.path(f"M{head - 11} {top + 9}q11-18 22 0z", p.near)
    if c.chance(0.75):
        at = head + c.between(-14, 14)
        with c.at(at, 192, c.between(0.8, 1)):
            _man_in_hat(c)
    if c.chance(0.4):
        _rain(c, 34)


def _man_in_hat(c: Canvas) -> None:
    color = c.colors.near
    c.path("M-12 0L-9-50Q-9-62 0-62Q9-62 9-50L12 0z", color)
    c.circle(0, -67, 7, color)
    c.ellipse(0, -71, 13, 2.6, color)
    c.path("M-7-71l2-9h10l2 9z", color)


def _rain(c: Canvas, count: int) -> None:
    slant = c.between(-8, 8)
    for _ in range(count):
        x, y, length = c.between(-10, 210), c.between(-60, 200), c.between(10, 26)
        c.line([(x, y), (x + slant * length / 26, y + length)], c.colors.spark, 0.8, 0.5)


def umbrella(c: Canvas) -> None:
    """An umbrella in the rain."""
    p = c.colors
    _rain(c, 60)
    x, y, r = c.between(75, 125), c.between(95, 120), c.between(48, 66)
    with c.turned(c.between(-24, 24), x, y):
        c.stroke(f"M{x} {y - r}V{y + 46}q0 12 10 12t10-12", p.near, 3.5)
        c.path(f"M{x - r} {y}A{r} {r} 0 0 1 {x + r} {y}"
               + f"q{-r / 4} {-r / 5} {-r / 2} 0" * 4 + "z", p.accent)  # fmt: skip
        c.path(
            f"M{x} {y - r}A{r} {r} 0 0 1 {x + r} {y}q{-r / 4} {-r / 5} {-r / 2} 0q{r * 0.05}"
            f" {-r * 0.7} {-r / 2} {-r}z",
            p.other,
        )
    c.ellipse(100, 196, 120, 9, p.near)


def blinds(c: Canvas) -> None:
    """Light through venetian blinds."""
    p = c.colors
    slant, step = c.between(-14, 14), c.between(13, 18)
    c.rect(-5, -100, 210, 305, p.near, 0.55)
    with c.turned(slant, 100, 100):
        y = -130.0
        while y < 260:
            c.rect(-60, y, 320, step * 0.46, c.pick(p.accent, p.accent, p.glow), 0.85)
            y += step
    x = c.between(60, 140)
    with c.at(x, 206, c.between(1.5, 2.1)):
        _man_in_hat(c)


def stairs(c: Canvas) -> None:
    """A spiral staircase from above, or a flight of doors."""
    p = c.colors
    x, y, turns = (
        c.between(80, 120),
        c.between(80, 120),
        c.between(0.12, 0.34) * (1 if c.chance() else -1),
    )
    sides = c.count(4, 8)
    for level in range(14):
        r = 190 * 0.81**level
        color = (p.near, p.mid, p.far, p.glow)[level % 4]
        points = [
            around(x, y, r, turns * level + 2 * math.pi * k / sides)
            for k in range(sides)
        ]  # fmt: skip
        c.polygon(points, color)
    c.circle(x, y, 9, p.spark)


def doorway(c: Canvas) -> None:
    """An open door, and light on the floor."""
    p = c.colors
    x, w, h = c.between(75, 125), c.between(24, 34), c.between(80, 105)
    floor, slant = 150, c.between(-45, 45)
    c.rect(-5, -100, 210, 100 + floor, p.mid, 0.45)
    c.rect(-5, floor, 210, 60, p.near)
    c.rect(x - w / 2 - 3, floor - h - 3, w + 6, h + 3, p.near)
    c.rect(x - w / 2, floor - h, w, h, c.gradient((0, p.accent, 1), (1, p.spark, 1)))
    c.polygon([(x - w / 2, floor), (x + w / 2, floor), (x + w + slant, 201), (x - w + slant, 201)],
              c.gradient((0, p.spark, 0.9), (1, p.accent, 0.3)))  # fmt: skip
    if c.chance(0.7):
        with c.at(x, floor + 6, h / 105):
            _figure(c)


def _figure(c: Canvas) -> None:
    color = c.colors.near
    c.path("M-8 0L-6-30L-9-30Q-9-54 0-54Q9-54 9-30L6-30L8 0L3 0L0-24L-3 0z", color)
    c.circle(0, -61, 6.5, color)


def window(c: Canvas) -> None:
    """The light of a window on a wall."""
    p = c.colors
    x, y = c.between(40, 70), c.between(15, 45)
    lean, high = c.between(-26, 26), c.between(48, 60)
    shine = c.gradient((0, p.spark, 0.9), (1, p.accent, 0.6))
    for row in range(2):
        for column in range(2):
            left, top = x + column * 52 + row * lean / 2, y + row * (high + 7)
            c.polygon(
                [
                    (left, top),
                    (left + 45, top),
                    (left + 45 + lean / 2, top + high),
                    (left + lean / 2, top + high),
                ],
                shine,
            )
    if c.chance(0.6):
        c.rect(-5, 186, 210, 16, p.near)
        c.path(
            f"M{x + 62}"
            " 188v-28q-20-30-8-56q6 26 12 40q2-38 20-56q-2 34-8 60q14-16 26-18q-8 26-30 34v24z",
            p.near,
        )
        c.polygon([(x + 48, 158), (x + 84, 158), (x + 78, 190), (x + 54, 190)], p.other)
    else:
        c.rect(-5, 170, 210, 32, p.near)
        with c.at(x + 50, 190, 1.5):
            _figure(c)


def arches(c: Canvas) -> None:
    """Fans of the art deco."""
    p = c.colors
    r = c.between(30, 44)
    for row in range(-4, int(220 / (r * 0.9)) + 2):
        for column in range(-1, int(200 / (2 * r)) + 2):
            x, y = column * 2 * r + (row % 2) * r, 30 + row * r * 0.9
            shades = (
                (p.near, p.accent, p.mid, p.other, p.near)
                if (row + column) % 3
                else (p.near, p.spark, p.far, p.accent, p.near)
            )
            for step, color in enumerate(shades):
                c.circle(x, y, r * (1 - 0.19 * step), color)
    c.circle(100, 100, 150, c.halo(p.glow, 0.25))


def headlights(c: Canvas) -> None:
    """A car that comes closer at night."""
    p = c.colors
    x, y, size = c.between(80, 120), c.between(125, 145), c.between(0.9, 1.35)
    c.rect(-5, y, 210, 210 - y, p.mid)
    c.polygon([(x - 20, y), (x + 20, y), (x + 130, 201), (x - 130, 201)], p.near)
    with c.at(x, y - 4, size):
        c.path("M-50 8q0-20 14-24l10-20q4-6 26-6t26 6l10 20q14 4 14 24v20h-100z", p.near)
        c.path("M-30-16l8-15q3-4 22-4t22 4l8 15z", p.far)
        c.rect(-46, 26, 16, 12, p.near, rx=3)
        c.rect(30, 26, 16, 12, p.near, rx=3)
        for step in range(4):
            c.rect(-18, 4 + step * 5, 36, 2, p.far)
    for side in (-1, 1):
        at, high = x + side * 35 * size, y + 5
        c.circle(at, high, 44 * size, c.halo(p.accent, 0.9))
        c.circle(at, high, 8 * size, p.spark)


def bridge(c: Canvas) -> None:
    """A suspension bridge."""
    p = c.colors
    c.circle(c.between(30, 170), c.between(40, 100), c.between(18, 34), p.accent)
    deck, left = c.between(140, 155), c.between(25, 60)
    right, top = left + c.between(95, 125), c.between(35, 65)
    c.ridge(deck + 14, 34, p.far, 9)
    c.rect(-5, deck + 16, 210, 60, c.gradient((0, p.mid, 1), (1, p.near, 1)))
    sag = deck - 14
    cable = (
        f"M{left - 110} {deck}Q{left - 30} {sag} {left} {top}Q{(left + right) / 2}"
        f" {2 * sag - top} {right} {top}Q{right + 30} {sag} {right + 110} {deck}"
    )
    c.stroke(cable, p.near, 2.4)
    for step in range(1, 16):
        t = step / 16
        y = (1 - t) ** 2 * top + 2 * t * (1 - t) * (2 * sag - top) + t * t * top
        c.line([(left + (right - left) * t, y), (left + (right - left) * t, deck)], p.near, 0.8)
    for x in (left, right):
        for side in (-6, 4):
            c.rect(x + side, top - 8, 3.4, 210 - top, p.near)
        for level in range(4):
            c.rect(x - 6, top + level * 26, 13, 4, p.near)
    c.rect(-5, deck, 210, 5, p.near)
    c.ellipse(100, 206, 150, 14, p.near)
