"""Planets, rockets, and grids."""

from __future__ import annotations

import math

from recsys.web.posters.canvas import Canvas, around


def planet(c: Canvas) -> None:
    """A planet, perhaps with rings and moons."""
    p = c.colors
    c.stars(45, 190)
    x, y, r = c.between(55, 145), c.between(75, 125), c.between(36, 62)
    c.circle(x, y, r * 2.1, c.halo(p.accent, 0.35))
    tilt, ringed = c.between(-30, 30), c.chance(0.6)
    half, flat = r * 1.9, r * 0.5
    # The far half of the ring is behind the planet, the near half before it.
    with c.turned(tilt, x, y):
        if ringed:
            c.stroke(f"M{x - half} {y}a{half} {flat} 0 0 1 {2 * half} 0", p.other, r / 7, 0.8)
    c.circle(x, y, r, c.sphere(p.accent, p.near, c.between(0.2, 0.8), c.between(0.15, 0.4)))
    with c.turned(tilt, x, y):
        if ringed:
            c.stroke(f"M{x - half} {y}a{half} {flat} 0 0 0 {2 * half} 0", p.spark, r / 7, 0.85)
    for _ in range(c.count(0, 3)):
        angle, far = c.between(0, 2 * math.pi), r * c.between(1.4, 2.1)
        moon = c.sphere(p.spark, p.mid)
        c.circle(*around(x, y, far, angle), c.between(4, 13), moon)


def dawn(c: Canvas) -> None:
    """The edge of a world, a sun behind it, and moons."""
    p = c.colors
    c.stars(40, 120)
    r = c.between(150, 230)
    x, top = c.between(20, 180), c.between(95, 135)
    sun = x + c.between(-60, 60)
    c.circle(sun, top + 6, 80, c.halo(p.spark, 0.9))
    c.circle(x, top + r, r + 5, p.accent, 0.7)
    c.circle(x, top + r, r, c.gradient((0, p.mid, 1), (0.35, p.near, 1)))
    for _ in range(c.count(1, 3)):
        moon = c.sphere(p.spark, p.far, 0.5, 0.8)
        c.circle(c.between(15, 185), c.between(5, top - 30), c.between(5, 24), moon)


def warp(c: Canvas) -> None:
    """Stars that pass by at the speed of light."""
    p = c.colors
    x, y = c.between(70, 130), c.between(70, 130)
    c.circle(x, y, 120, c.halo(p.accent, 0.5))
    for _ in range(c.count(60, 85)):
        start = c.between(12, 110)
        color = c.pick(p.spark, p.accent, p.other, p.glow)
        angle, width = c.between(0, 2 * math.pi), c.between(0.004, 0.014)
        c.ray(x, y, angle, width, color, c.between(0.4, 1), start, start + c.between(30, 220))
    if c.chance(0.6):
        c.circle(x, y, c.between(6, 16), p.spark)


def orbits(c: Canvas) -> None:
    """Orbits around a sun."""
    p = c.colors
    c.stars(20)
    x, y, tilt = c.between(60, 140), c.between(85, 125), c.between(-25, 25)
    flat = c.between(0.35, 1)
    with c.turned(tilt, x, y):
        for number in range(c.count(4, 6)):
            r = 28 + 19 * number + c.between(-3, 3)
            c.stroke(
                f"M{x - r} {y}a{r} {r * flat} 0 1 0 {2 * r} 0a{r} {r * flat} 0 1 0 {-2 * r} 0",
                p.spark, 0.8, 0.55,
            )  # fmt: skip
            angle, size = c.between(0, 2 * math.pi), c.between(3, 8.5)
            place = x + r * math.cos(angle), y + r * flat * math.sin(angle)
            c.circle(*place, size, c.sphere(c.pick(p.accent, p.other, p.spark), p.mid))
    c.circle(x, y, 46, c.halo(p.accent))
    c.circle(x, y, c.between(13, 20), p.accent)


def rocket(c: Canvas) -> None:
    """A rocket with a trail."""
    p = c.colors
    c.stars(25, 170)
    if c.chance():
        c.circle(c.between(20, 60), c.between(30, 80), c.between(14, 30), c.sphere(p.glow, p.mid))
    x, y, tilt = c.between(85, 125), c.between(40, 75), c.between(5, 40)
    with c.turned(tilt, 100, 100):
        fire = c.gradient((0, p.spark, 0.95), (0.15, p.accent, 0.8), (1, p.accent, 0))
        c.polygon([(x - 9, y + 50), (x + 9, y + 50), (x + 30, y + 260), (x - 30, y + 260)], fire)
        c.polygon([(x - 14, y + 22), (x - 27, y + 56), (x - 8, y + 50)], p.other)
        c.polygon([(x + 14, y + 22), (x + 27, y + 56), (x + 8, y + 50)], p.other)
        c.path(f"M{x} {y - 40}q20 26 17 58l-6 36h-22l-6-36q-3-32 17-58z", p.spark)
        c.path(f"M{x} {y - 40}q20 26 17 58l-6 36h-11z", p.far, 0.5)
        c.circle(x, y - 2, 7, p.deep)
        c.circle(x, y - 2, 4.5, p.accent)
    if c.chance(0.7):
        c.hill(185, 10, p.near)


def saucer(c: Canvas) -> None:
    """A flying saucer above dark hills."""
    p = c.colors
    c.stars(30, 130)
    x, y, size = c.between(70, 130), c.between(45, 75), c.between(0.75, 1.1)
    spread = c.between(34, 60)
    c.polygon([(x - 14, y), (x + 14, y), (x + spread, 190), (x - spread, 190)],
              c.gradient((0, p.spark, 0.9), (1, p.accent, 0.15)))  # fmt: skip
    c.ellipse(x, y - 9 * size, 22 * size, 18 * size, p.far)
    c.ellipse(
        x, y, 56 * size, 13 * size, c.gradient((0, p.spark, 1), (0.5, p.accent, 1), (1, p.mid, 1))
    )
    for place in range(-3, 4):
        c.circle(x + 14 * place * size, y + 3 - abs(place) * 0.6, 2.6 * size, p.near)
    c.hill(172, 26, p.mid)
    c.hill(186, 16, p.near)


def grid(c: Canvas) -> None:
    """A sun over a grid that reaches to the horizon."""
    p = c.colors
    horizon = c.between(112, 132)
    x, r = c.between(70, 130), c.between(44, 64)
    c.stars(20, 60)
    c.circle(
        x, horizon - r * 0.55, r, c.gradient((0, p.spark, 1), (0.4, p.accent, 1), (1, p.other, 1))
    )
    for step in range(5):
        c.rect(0, horizon - 5 - step * 11, 200, 5.5 - step, p.glow)
    if c.chance():
        c.ridge(horizon + 2, c.between(16, 36), p.mid, c.count(9, 15))
    c.rect(-5, horizon, 210, 210 - horizon, p.near)
    for place in range(-12, 13):
        c.line([(100 + 11 * place, horizon), (100 + 48 * place, 201)], p.accent, 0.9, 0.85)
    for step in range(7):
        y = horizon + (201 - horizon) * (step / 7) ** 1.9
        c.line([(0, y), (200, y)], p.accent, 0.9, 0.85)


def cubes(c: Canvas) -> None:
    """Cubes in isometric view, some of them lit."""
    p = c.colors
    side = c.between(17, 25)
    height = side * math.sqrt(3) / 2
    share = c.between(0.35, 0.6)
    for row in range(-6, int(200 / (1.5 * side)) + 2):
        for column in range(-1, int(200 / (2 * height)) + 2):
            if not c.chance(min(0.95, share + row * 0.06)):
                continue
            x = column * 2 * height + (row % 2) * height
            y = row * 1.5 * side
            top = c.pick(p.accent, p.other, p.spark, p.far)
            c.polygon(
                [(x, y - side), (x + height, y - side / 2), (x, y), (x - height, y - side / 2)], top
            )
            c.polygon(
                [(x, y), (x - height, y - side / 2), (x - height, y + side / 2), (x, y + side)],
                p.mid,
            )
            c.polygon(
                [(x, y), (x + height, y - side / 2), (x + height, y + side / 2), (x, y + side)],
                p.near,
            )
