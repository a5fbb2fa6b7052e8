"""Landscapes: mountains, deserts, seas, roads."""

from __future__ import annotations

import math

from recsys.web.posters.canvas import Canvas, around


def _sun(c: Canvas, low: float, high: float) -> None:
    p = c.colors
    x, y, r = c.between(35, 165), c.between(low, high), c.between(18, 36)
    c.circle(x, y, r * 2.4, c.halo(p.accent, 0.6))
    c.circle(x, y, r, c.pick(p.accent, p.spark))


def mountains(c: Canvas) -> None:
    """Ranges of mountains under a sun or a moon."""
    p = c.colors
    _sun(c, 45, 95)
    c.ridge(150, c.between(60, 85), p.far, c.count(5, 8))
    c.ridge(172, c.between(45, 65), p.mid, c.count(6, 10))
    c.ridge(192, c.between(25, 40), p.near, c.count(7, 12))


def desert(c: Canvas) -> None:
    """Dunes and cacti."""
    p = c.colors
    _sun(c, 70, 110)
    c.hill(150, 20, p.far)
    c.hill(168, 22, p.mid)
    for _ in range(c.count(1, 3)):
        x, size = c.between(20, 180), c.between(0.6, 1.25)
        with c.at(x, 188, size):
            _cactus(c)
    c.hill(188, 10, p.near)


def _cactus(c: Canvas) -> None:
    color = c.colors.near
    c.line([(0, 4), (0, -62)], color, 11)
    c.line([(0, -24), (-18, -24), (-18, -44)], color, 8)
    c.line([(0, -14), (18, -14), (18, -36)], color, 8)


def mesas(c: Canvas) -> None:
    """Table mountains at dusk."""
    p = c.colors
    _sun(c, 80, 115)
    for base, color, size in ((160, p.far, 0.8), (178, p.mid, 1.1)):
        for _ in range(c.count(1, 2)):
            x, w, h = c.between(0, 200), c.between(30, 60) * size, c.between(50, 85) * size
            c.polygon(
                [(x - w, base), (x - w * 0.72, base - h * 0.6), (x - w * 0.6, base - h),
                 (x + w * 0.55, base - h), (x + w * 0.7, base - h * 0.55), (x + w, base)],
                color,
            )  # fmt: skip
        c.hill(base + 2, 6, color)
    c.hill(190, 9, p.near)


def sea(c: Canvas) -> None:
    """A boat on the waves."""
    p = c.colors
    _sun(c, 70, 105)
    x, size, y = c.between(60, 140), c.between(0.7, 1.25), c.between(128, 140)
    with c.at(x, y, size, turn=c.between(-8, 8)):
        c.polygon([(-1, 4), (-1, -62), (-38, 4)], p.spark)
        c.polygon([(4, 4), (4, -48), (30, 4)], p.accent)
        c.path("M-44 10h84l-12 22h-56z", p.near)
    for number, color in enumerate((p.far, p.mid, p.near)):
        y, step, high = 150 + 17 * number, c.between(22, 36), c.between(3, 7)
        waves = "".join(f"q{step / 2} {-high} {step} 0t{step} 0" for _ in range(6))
        c.path(f"M{-c.between(0, 40)} {y} {waves}V201H-40z", color)


def road(c: Canvas) -> None:
    """A road that leads to the horizon."""
    p = c.colors
    _sun(c, 85, 110)
    horizon, x = c.between(118, 132), c.between(75, 125)
    c.ridge(horizon + 3, c.between(14, 46), p.far, c.count(7, 12))
    c.rect(-5, horizon, 210, 210 - horizon, p.mid)
    left, right = x - c.between(60, 100), x + c.between(60, 100)
    c.polygon([(x - 2, horizon), (x + 2, horizon), (right, 201), (left, 201)], p.near)
    middle = (left + right) / 2
    for step in range(6):
        near, far = (step / 6) ** 2, ((step + 0.55) / 6) ** 2
        ends = [
            (x + (middle - x) * t, horizon + (201 - horizon) * t, 4.5 * t + 0.3)
            for t in (near, far)
        ]
        (x0, y0, w0), (x1, y1, w1) = ends
        c.polygon([(x0 - w0, y0), (x0 + w0, y0), (x1 + w1, y1), (x1 - w1, y1)], p.spark, 0.9)
    for _ in range(c.count(0, 5)):
        t = c.between(0.1, 0.6)
        y, side = horizon + (201 - horizon) * t, c.pick("left", "right")
        at = x + ((left - 30 if side == "left" else right + 30) - x) * t
        c.rect(at - 1.5 * t, y - 90 * t, 3 * t + 0.6, 90 * t, p.near)
        c.rect(at - 16 * t, y - 80 * t, 32 * t, 2.5 * t, p.near)


def lone_tree(c: Canvas) -> None:
    """One tree on a hill."""
    p = c.colors
    _sun(c, 55, 120)
    c.hill(168, 22, p.mid)
    x, size = c.between(60, 140), c.between(0.8, 1.2)

    def branch(x: float, y: float, angle: float, length: float, width: float) -> None:
        end = around(x, y, length, angle)
        c.line([(x, y), end], p.near, width)
        if length > 9:
            for turn in (c.between(-0.75, -0.25), c.between(0.25, 0.75)):
                branch(*end, angle + turn, length * c.between(0.62, 0.8), width * 0.65)
        elif leafy:
            c.circle(*end, c.between(5, 10), c.pick(p.accent, p.other, p.far), 0.9)

    leafy = c.chance(0.6)
    branch(x, 184, -math.pi / 2 + c.between(-0.12, 0.12), 36 * size, 6 * size)
    c.hill(184, 12, p.near)


def forest(c: Canvas) -> None:
    """Rows of firs or bare trunks in the mist."""
    p = c.colors
    _sun(c, 40, 90)
    bare = c.chance(0.4)
    for base, color, high in ((162, p.far, 62), (178, p.mid, 84), (200, p.near, 112)):
        for _ in range(c.count(7, 11) if not bare else c.count(5, 8)):
            x, h = c.between(-8, 208), high * c.between(0.6, 1.15)
            if bare:
                c.polygon(
                    [
                        (x - h / 26, base),
                        (x - 1, base - h * 1.7),
                        (x + 1, base - h * 1.7),
                        (x + h / 26, base),
                    ],
                    color,
                )
                for _ in range(3):
                    y, way = base - h * c.between(0.5, 1.5), c.between(-1, 1) * h / 3
                    c.line([(x, y), (x + way, y - abs(way))], color, h / 60)
            else:
                for step in range(3):
                    y, w = base - h * (0.2 + 0.27 * step), h * (0.3 - 0.07 * step)
                    c.polygon([(x - w, y), (x, y - h * 0.4), (x + w, y)], color)
        c.rect(-5, base - 8, 210, 210 - base, color)


def jungle(c: Canvas) -> None:
    """Large leaves around a light."""
    p = c.colors
    c.circle(100, 100, 110, c.halo(p.spark, 0.8))
    if c.chance():
        c.polygon([(60, 165), (84, 90), (116, 90), (140, 165)], p.far)
        for step in range(5):
            c.rect(60 + 4.5 * step, 150 - 15 * step, 80 - 9 * step, 3, p.glow)
        c.rect(92, 76, 16, 15, p.far)
    for color, vein, count in ((p.far, p.mid, 7), (p.mid, p.far, 7), (p.near, p.mid, 7)):
        for number in range(count):
            side = -1 if number % 2 else 1
            x, y = 100 + side * c.between(78, 112), c.between(60, 210)
            angle, size = c.between(-50, 50) + (0 if side < 0 else 180), c.between(0.8, 1.5)
            with c.at(x, y, size, turn=angle):
                _leaf(c, color, vein)
    c.hill(192, 12, p.near)


def _leaf(c: Canvas, color: str, vein: str) -> None:
    c.path("M0 0C20-26 62-22 84 0C62 22 20 26 0 0z", color)
    c.stroke("M2 0H78M22 0l14-12M22 0l14 12M42 0l13-10M42 0l13 10", vein, 1.2)


def globe(c: Canvas) -> None:
    """A globe with meridians, or the lines of a map."""
    p = c.colors
    x, y, r, tilt = 100, c.between(92, 108), c.between(58, 74), c.between(-28, 28)
    c.circle(x, y, r * 1.7, c.halo(p.accent, 0.35))
    c.circle(x, y, r, c.sphere(p.far, p.near))
    with c.turned(tilt, x, y):
        for step in range(1, 4):
            wide = r * math.sin(step * math.pi / 7)
            c.stroke(
                f"M{x} {y - r}A{wide} {r} 0 0 0 {x} {y + r}A{wide} {r} 0 0 0 {x} {y - r}",
                p.spark,
                0.9,
                0.7,
            )
        for step in range(-2, 3):
            high, half = r * step / 3, r * math.sqrt(1 - (step / 3) ** 2)
            c.stroke(
                f"M{x - half} {y + high}q{half} {r * 0.16} {2 * half} 0",
                p.spark,
                0.9,
                0.7,
            )
    for _ in range(c.count(3, 6)):
        angle, far = c.between(0, 6.3), r * c.between(0, 0.85)
        c.circle(*around(x, y, far, angle), c.between(2.5, 5), p.accent)


def contours(c: Canvas) -> None:
    """The contour lines of a map."""
    p = c.colors
    for _ in range(c.count(2, 3)):
        x, y, waves, phase = c.between(10, 190), c.between(0, 200), c.count(2, 4), c.between(0, 6.3)
        for level in range(1, 9):
            r = level * c.between(11, 13)
            points = []
            for step in range(36):
                angle = step * math.pi / 18
                far = r * (1 + 0.16 * math.sin(waves * angle + phase) + 0.07 * math.sin(5 * angle))
                points.append((x + far * math.cos(angle), y + far * 0.8 * math.sin(angle)))
            c.line(
                [*points, points[0]],
                p.accent if level % 4 == 0 else p.far,
                1.6 if level % 4 == 0 else 0.9,
            )
    route = [(c.between(10, 50), 185.0)]
    for _ in range(5):
        route.append((route[-1][0] + c.between(15, 38), route[-1][1] - c.between(12, 34)))
    c.line(route, p.spark, 2.4)
    for place in (route[0], route[-1]):
        c.circle(*place, 5, p.spark)
        c.circle(*place, 2.6, p.other)


def compass(c: Canvas) -> None:
    """A compass rose."""
    p = c.colors
    x, y, r, tilt = 100, 100, c.between(66, 82), c.between(-40, 40)
    c.ring(x, y, r, p.accent, 2.5)
    c.ring(x, y, r * 0.88, p.accent, 0.8)
    for step in range(36):
        angle = step * math.pi / 18
        a, b = r * 0.9, r * (0.98 if step % 3 else 1.05)
        c.line(
            [
                around(x, y, a, angle),
                around(x, y, b, angle),
            ],
            p.accent,
            0.9,
        )
    with c.turned(tilt, x, y):
        for size, offset, pair in (
            (0.55, math.pi / 4, (p.far, p.mid)),
            (0.86, 0.0, (p.spark, p.other)),
        ):
            for step in range(4):
                angle = offset + step * math.pi / 2
                tip = around(x, y, r * size, angle)
                for side, color in zip((-1, 1), pair, strict=True):
                    beside = angle + side * math.pi / 4
                    c.polygon(
                        [
                            (x, y),
                            tip,
                            around(x, y, r * 0.17, beside),
                        ],
                        color,
                    )
