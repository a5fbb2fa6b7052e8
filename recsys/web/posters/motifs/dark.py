"""Horror, mystery, crime and war."""

from __future__ import annotations

import math

from recsys.web.posters.canvas import Canvas, around


def house(c: Canvas) -> None:
    """A house on a hill with one lit window."""
    p = c.colors
    c.stars(14, 90)
    c.circle(c.between(40, 160), c.between(50, 90), c.between(26, 44), p.accent)
    x, size = c.between(75, 125), c.between(0.85, 1.15)

    c.path(
        f"M-5 202V180Q{x - 60} 176 {x - 34} 152Q{x} 138 {x + 34} 152Q{x + 70} 180 205 176V202z",
        p.near,
    )
    with c.at(x, 122, size):
        c.path("M-34 40V-6L-14-30L4-8V-46L16-66L28-46V40z", p.near)
        c.path("M-38-4L-14-33L8-6zM0-44L16-72L32-44z", p.near)
        c.rect(11, -38, 9, 14, p.spark)
        if c.chance():
            c.rect(-24, 4, 9, 12, p.accent)
        c.rect(-3, 22, 10, 18, p.mid)
    for side in (-1, 1):
        at = x + side * c.between(55, 80)
        c.line([(at, 190), (at + 2, 130), (at + 14, 108)], p.near, 3)
        c.line([(at + 1, 150), (at - 16, 122)], p.near, 2.2)
        c.line([(at + 1, 138), (at + 20, 126)], p.near, 1.6)


def claws(c: Canvas) -> None:
    """Scratches of a claw."""
    p = c.colors
    c.circle(100, 100, 120, c.halo(p.accent, 0.4))
    lean, bend = c.between(-50, 50), c.between(-24, 24)
    count = c.count(3, 5)
    for number in range(count):
        x = 100 + (number - (count - 1) / 2) * 36 + lean / 2
        top, low, w = c.between(8, 34), c.between(160, 196), c.between(5, 9)
        end = x - lean
        c.path(
            f"M{x} {top}Q{(x + end) / 2 + bend + w} 100 {end} {low}Q"
            f"{(x + end) / 2 + bend - w} 100 {x} {top}z",
            p.accent if number % 2 else p.spark,
        )


def drips(c: Canvas) -> None:
    """Something runs down."""
    p = c.colors
    x, edge = -6.0, c.between(18, 40)
    edges = f"M-6-110V{edge}"
    while x < 206:
        w, long = c.between(9, 18), c.between(8, 120) * (1 if c.chance(0.6) else 0.3)
        edges += f"v{long}a{w / 2} {w / 2} 0 0 0 {w} 0v{-long}a{w / 4} {w / 4} 0 0 1 {w / 2} 0"
        x += 1.5 * w
    c.path(edges + "V-110z", p.accent)
    for _ in range(c.count(1, 3)):
        c.ellipse(c.between(20, 180), c.between(150, 185), 3.4, 5.5, p.accent)


def eye(c: Canvas) -> None:
    """An eye that watches."""
    p = c.colors
    y, w, h = c.between(92, 108), c.between(78, 92), c.between(34, 50)
    for step in range(4, 0, -1):
        grow = 1 + 0.22 * step
        c.stroke(_lens(y, w * grow, h * grow), p.far, 1.2, 0.8 - 0.15 * step)
    c.path(_lens(y, w, h), p.spark)
    r, x = h * 0.62, 100 + c.between(-20, 20)
    c.circle(x, y, r, p.accent)
    for step in range(30):
        angle = step * math.pi / 15
        c.line([around(x, y, r * 0.5, angle),
                around(x, y, r * 0.94, angle)], p.other, 0.9)  # fmt: skip
    if c.chance(0.3):
        c.ellipse(x, y, r * 0.14, r * 0.9, p.near)
    else:
        c.circle(x, y, r * 0.45, p.near)
    c.circle(x + r * 0.3, y - r * 0.32, r * 0.15, p.spark)


def _lens(y: float, w: float, h: float) -> str:
    return f"M{100 - w} {y}Q100 {y - 1.7 * h} {100 + w} {y}Q100 {y + 1.7 * h} {100 - w} {y}z"


def keyhole(c: Canvas) -> None:
    """What a keyhole shows."""
    p = c.colors
    x, y, r = 100, c.between(70, 90), c.between(34, 44)
    for step in range(6):
        c.ring(x, y, r + 14 + 16 * step, p.far, 1, 0.7 - 0.1 * step)
    c.circle(x, y, r, c.gradient((0, p.spark, 1), (1, p.accent, 1)))
    c.polygon(
        [
            (x - r * 0.45, y + r * 0.7),
            (x + r * 0.45, y + r * 0.7),
            (x + r * 0.9, y + r * 2.5),
            (x - r * 0.9, y + r * 2.5),
        ],
        p.accent,
    )
    if c.chance(0.6):
        c.ellipse(x, y, r * 0.62, r * 0.3, p.near)
        c.circle(x + c.between(-8, 8), y, r * 0.2, p.spark)
    else:
        c.path(f"M{x - 15} {y + r * 2.5}l4-44q-2-14 11-14t11 14l4 44z", p.near)
        c.circle(x, y + r * 2.5 - 66, 9, p.near)


def spiral(c: Canvas) -> None:
    """A spiral that draws one in."""
    p = c.colors
    x, y, arms = c.between(85, 115), c.between(85, 115), c.count(1, 3)
    way, tight = 1 if c.chance() else -1, c.between(0.19, 0.27)
    for arm in range(arms):
        points = []
        for step in range(150):
            angle = step * 0.16
            r = 1.6 * math.exp(tight * angle) if arms > 1 else 1.2 + 5.6 * angle
            turn = way * angle + 2 * math.pi * arm / arms
            points.append(around(x, y, r, turn))
            if r > 190:
                break
        c.line(
            points,
            (p.accent, p.spark, p.other)[arm],
            c.between(4, 7) if arms > 1 else c.between(8, 13),
        )
    if c.chance():
        with c.at(x, y + 26, turn=c.between(-50, 50)):
            _falling(c)


def _falling(c: Canvas) -> None:
    color = c.colors.near
    c.line([(0, 0), (-14, 20)], color, 6)
    c.line([(0, 0), (10, 24)], color, 6)
    c.line([(0, -24), (0, 0)], color, 11)
    c.line([(-20, -38), (0, -24), (20, -32)], color, 5)
    c.circle(2, -38, 7.5, color)


def fingerprint(c: Canvas) -> None:
    """A fingerprint."""
    p = c.colors
    x, y, tilt = 100, 110, c.between(-24, 24)
    with c.turned(tilt, x, y):
        for step in range(10):
            r, gap = 7 + 7.2 * step, c.between(0.1, 0.35) * (1 if c.chance() else -1)
            color = p.accent if step % 3 else p.spark
            c.stroke(
                f"M{x - r} {y + 14 + 5 * step + 40 * gap}V{y}A{r} {r * 1.2} 0 0 1 {x + r} {y}V"
                f"{y + 16 + 5 * step - 50 * gap}",
                color,
                3.3,
            )


def crosshair(c: Canvas) -> None:
    """A target in the crosshair."""
    p = c.colors
    x, y, r = c.between(80, 120), c.between(85, 110), c.between(52, 68)
    c.ridge(185, 50, p.mid, 6) if c.chance() else c.circle(x, y, r, p.mid, 0.6)
    c.circle(x, y, r, p.glow, 0.6)
    with c.at(x, y + r * 0.75, r / 62):
        _target(c)
    c.ring(x, y, r, p.spark, 3)
    c.ring(x, y, r * 0.5, p.accent, 1.3)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        c.line(
            [(x + dx * r * 0.22, y + dy * r * 0.22), (x + dx * r * 1.3, y + dy * r * 1.3)],
            p.accent,
            2,
        )
    c.circle(x, y, 2.6, p.accent)


def _target(c: Canvas) -> None:
    color = c.colors.near
    c.path("M-14 0L-10-52Q-10-64 0-66Q10-64 10-52L14 0H4L0-30L-4 0z", color)
    c.circle(0, -75, 8, color)


def bullet_holes(c: Canvas) -> None:
    """Holes in glass."""
    p = c.colors
    glass = p.near if p.light else p.spark
    for _ in range(c.count(3, 5)):
        x, y, r = c.between(25, 175), c.between(20, 180), c.between(6, 12)
        for _ in range(c.count(9, 14)):
            angle, far = c.between(0, 6.3), r * c.between(2.5, 7)
            bend = angle + c.between(-0.25, 0.25)
            c.line(
                [
                    (x, y),
                    around(x, y, far * 0.5, bend),
                    around(x, y, far, angle),
                ],
                glass,
                1,
                0.8,
            )
        c.circle(x, y, r * 1.5, glass, 0.35)
        c.circle(x, y, r, p.near)
        c.ring(x, y, r, p.accent, 1.8)


def searchlights(c: Canvas) -> None:
    """Searchlights over a dark horizon, and planes."""
    p = c.colors
    for number in range(c.count(3, 5)):
        x, angle = c.between(0, 200), -math.pi / 2 + c.between(-0.6, 0.6)
        paint = p.accent if number % 2 else p.spark
        c.ray(x, 196, angle, c.between(0.035, 0.07), paint, 0.5, 4, 420)
    for _ in range(c.count(2, 5)):
        size, x, y = c.between(0.45, 0.9), c.between(20, 180), c.between(20, 110)
        with c.at(x, y, size, turn=-8):
            _plane(c)
    c.ridge(192, 14, p.near, 16)


def _plane(c: Canvas) -> None:
    c.path(
        "M-26 0q20-5 44-3q10 1 12 4q-4 3-14 3h-38z"
        "M-4 0l-14-18h7l20 18zM-2 3l-12 17h7l18-17zM-26 1l-6-10h5l8 9z",
        c.colors.near,
    )


def barbed_wire(c: Canvas) -> None:
    """Barbed wire before a burning sky."""
    p = c.colors
    c.circle(c.between(40, 160), 160, 120, c.halo(p.accent, 0.8))
    c.ridge(180, 30, p.mid, 8)
    c.ridge(192, 14, p.near, 12)
    for x in (c.between(20, 55), c.between(140, 180)):
        lean = c.between(-9, 9)
        c.line([(x, 200), (x + lean, 92)], p.near, 6)
    for number in range(3):
        y, sag = 108 + number * 26, c.between(4, 14)
        c.stroke(f"M-5 {y}Q50 {y + sag} 100 {y}T205 {y}", p.near, 1.8)
        for step in range(9):
            x = 8 + 23 * step + c.between(-4, 4)
            c.line([(x - 4, y - 3), (x + 4, y + 9)], p.near, 1.5)
            c.line([(x + 4, y - 3), (x - 4, y + 9)], p.near, 1.5)


def smoke(c: Canvas) -> None:
    """An explosion."""
    p = c.colors
    x, y = c.between(75, 125), c.between(110, 135)
    c.circle(x, y, 130, c.halo(p.accent, 0.9))
    puffs = ((p.mid, 62, 30), (p.other, 44, 26), (p.accent, 30, 22), (p.spark, 13, 16))
    for color, far, size in puffs:
        for number in range(size // 2):
            angle = 4 * math.pi * number / size + c.between(-0.2, 0.2)
            place = around(x, y, far * c.between(0.7, 1.1), angle)
            c.circle(*place, size * c.between(0.52, 1), color)
    for _ in range(c.count(8, 14)):
        angle, spark = c.between(-3, 0), c.between(80, 130)
        c.circle(*around(x, y, spark, angle), c.between(1.5, 4), p.spark)
    c.ridge(196, 22, p.near, 14)
