"""Comedy, music, romance, and films for children."""

from __future__ import annotations

import math

from recsys.web.posters.canvas import Canvas, around


def rays(c: Canvas) -> None:
    """Rays around a disc."""
    p = c.colors
    x, y, count = c.between(80, 120), c.between(90, 130), c.count(9, 16)
    turn = c.between(0, 1)
    for number in range(count):
        angle = turn + 2 * math.pi * number / count
        c.ray(x, y, angle, math.pi / count / 2, p.far if number % 2 else p.glow, 0.9)
    c.circle(x, y, c.between(34, 48), p.accent)
    if c.chance():
        c.circle(x, y, c.between(20, 30), p.spark)


def balloons(c: Canvas) -> None:
    """Balloons."""
    p = c.colors
    for _ in range(c.count(5, 9)):
        x, y, r = c.between(22, 178), c.between(28, 130), c.between(13, 25)
        c.stroke(
            f"M{x} {y + r * 1.2}q{c.between(-14, 14)} 30 {100 - x} {205 - y - r * 1.2}",
            p.near,
            0.9,
            0.8,
        )
        c.ellipse(x, y, r, r * 1.2, c.pick(p.accent, p.other, p.spark, p.far))
        c.ellipse(x - r * 0.35, y - r * 0.45, r * 0.18, r * 0.3, p.spark, 0.7)


def confetti(c: Canvas) -> None:
    """Confetti."""
    p = c.colors
    for _ in range(c.count(60, 80)):
        x, y, size = c.between(0, 200), c.between(-40, 200), c.between(4, 10)
        color = c.pick(p.accent, p.other, p.spark, p.far)
        if c.chance(0.3):
            c.circle(x, y, size / 2.4, color)
        else:
            turn = c.between(0, 180)
            with c.turned(turn, x, y):
                c.rect(x, y, size, size / 2.4, color)


def smile(c: Canvas) -> None:
    """A face that laughs, winks or wonders."""
    p = c.colors
    x, y, r = c.between(85, 115), c.between(92, 112), c.between(60, 76)
    c.circle(x + 5, y + 6, r, p.mid, 0.6)
    c.circle(x, y, r, p.accent)
    high, wide = y - r * 0.22, r * 0.36
    for side in (-1, 1):
        if side > 0 and c.chance(0.35):
            c.stroke(f"M{x + wide - 10} {high}q10-9 20 0", p.near, 5)
        else:
            c.ellipse(x + side * wide, high, r * 0.1, r * 0.17, p.near)
    mouth = c.between(0.3, 0.62) * r
    if c.chance(0.6):
        c.path(
            f"M{x - r * 0.55} {y + r * 0.15}h{r * 1.1}q{-r * 0.1} {mouth} {-r * 0.55}"
            f" {mouth}t{-r * 0.55} {-mouth}z",
            p.near,
        )
        c.ellipse(x, y + r * 0.15 + mouth * 0.82, r * 0.22, mouth * 0.2, p.other)
    else:
        c.stroke(f"M{x - r * 0.5} {y + r * 0.2}q{r * 0.5} {mouth} {r} 0", p.near, 6)
    if c.chance(0.4):
        c.stroke(
            f"M{x - wide - 12} {high - 22}q12-9 24 0M{x + wide - 12} {high - 27}q12-9 24 0",
            p.near,
            4,
        )


def checks(c: Canvas) -> None:
    """Discs and squares, some of them different."""
    p = c.colors
    count = c.count(4, 6)
    side = 200 / count
    round_ones = c.chance()
    for row in range(-3, count):
        for column in range(count):
            color = c.pick(p.accent, p.other, p.far, p.mid, p.spark)
            x, y = column * side, row * side
            if round_ones or (row + column) % 2:
                c.circle(x + side / 2, y + side / 2, side * 0.4, color)
                if c.chance(0.25):
                    c.circle(x + side / 2, y + side / 2, side * 0.2, p.near)
            else:
                c.rect(x + side * 0.08, y + side * 0.08, side * 0.84, side * 0.84, color)


def curtain(c: Canvas) -> None:
    """A stage between its curtains."""
    p = c.colors
    x = c.between(80, 120)
    c.polygon([(x - 10, -100), (x + 10, -100), (x + 52, 186), (x - 52, 186)],
              c.gradient((0, p.spark, 0.1), (1, p.spark, 0.7)))  # fmt: skip
    c.rect(-5, 172, 210, 32, p.mid)
    c.ellipse(x, 182, 52, 9, p.spark, 0.8)
    for side in (-1, 1):
        edge = 100 + side * 105
        for fold in range(5):
            at = edge - side * fold * 13
            bend = side * c.between(4, 16)
            color = (p.accent, p.other)[fold % 2]
            c.path(
                f"M{at} -110H{at - side * 15}Q{at - side * 15 - bend} 60 {at - side * 2} 190H"
                f"{at + side * 14}z",
                color,
            )
    what = c.count(0, 2)
    if what == 0:
        c.line([(x, 182), (x, 118)], p.near, 3)
        c.circle(x, 110, 9, p.near)
        c.ellipse(x, 183, 16, 3, p.near)
    elif what == 1:
        c.path(f"M{x - 22} 184l6-46h32l6 46z", p.near)
        c.circle(x, 120, 11, p.near)
    c.rect(-5, 190, 210, 14, p.near)


def keys(c: Canvas) -> None:
    """The keys of a piano."""
    p = c.colors
    c.circle(100, 70, 110, c.halo(p.accent, 0.5))
    with c.turned(c.between(-22, 22), 100, 120):
        for number in range(-2, 12):
            c.rect(number * 20, 80, 18.6, 170, p.spark if c.chance(0.85) else p.accent, rx=2)
        for number in range(-2, 12):
            if number % 7 not in (2, 6):
                c.rect(number * 20 + 14, 80, 11, 62, p.near, rx=1.5)
        c.rect(-60, 66, 320, 16, p.other)
    for _ in range(c.count(1, 3)):
        x, y = c.between(30, 170), c.between(5, 50)
        c.ellipse(x, y, 6.5, 4.8, p.accent)
        c.line([(x + 5.6, y), (x + 5.6, y - 26)], p.accent, 2.2)
        c.stroke(f"M{x + 5.6} {y - 26}q10 4 8 14", p.accent, 2.2)


def vinyl(c: Canvas) -> None:
    """A record."""
    p = c.colors
    x, y, r = c.between(70, 130), c.between(95, 120), c.between(70, 88)
    c.circle(x, y, r, p.near)
    for step in range(9):
        c.ring(x, y, r * (0.94 - 0.065 * step), p.far, 0.7, 0.6)
    for angle in (c.between(0, 3), c.between(3, 6)):
        c.ray(x, y, angle, 0.16, p.spark, 0.16, r * 0.36, r * 0.97)
    c.circle(x, y, r * 0.36, p.accent)
    c.circle(x, y, r * 0.2, p.other)
    c.circle(x, y, 3, p.spark)


def equalizer(c: Canvas) -> None:
    """The bars of a sound."""
    p = c.colors
    count, phase = c.count(11, 19), c.between(0, 6)
    step = 176 / count
    middle = c.between(95, 115)
    for number in range(count):
        swing = abs(math.sin(phase + number * 0.55)) * c.between(0.6, 1.1)
        h = 10 + 150 * swing * math.sin(math.pi * (number + 0.5) / count)
        color = (p.accent, p.spark, p.other)[int(swing * 2.7) % 3]
        c.rect(12 + number * step, middle - h / 2, step * 0.62, h, color, rx=step * 0.31)


def hearts(c: Canvas) -> None:
    """One heart, two, or many."""
    p = c.colors
    shape = "M0 26C-40-4-30-36-12-36Q-3-36 0-24Q3-36 12-36C30-36 40-4 0 26z"
    kind = c.count(0, 2)
    places = {
        0: [(100.0, 108.0, 2.5, 0.0, p.accent)],
        1: [(80.0, 98.0, 1.8, -14.0, p.accent), (124.0, 120.0, 1.6, 12.0, p.other)],
    }.get(kind) or [
        (c.between(15, 185), c.between(5, 190), c.between(0.25, 1), c.between(-25, 25),
         c.pick(p.accent, p.other, p.spark, p.far))
        for _ in range(c.count(14, 20))
    ]  # fmt: skip
    for x, y, size, turn, color in places:
        with c.at(x, y, size, turn=turn):
            c.path(shape, color, 0.92)
    if kind == 0 and c.chance():
        c.line([(100, 48), (90, 76), (110, 96), (94, 120), (104, 168)], p.near, 3)
    elif kind == 0:
        c.line([(28, 160), (172, 62)], p.spark, 3)
        c.polygon([(172, 62), (152, 66), (163, 80)], p.spark)


def circles(c: Canvas) -> None:
    """Two discs that meet."""
    p = c.colors
    r, apart, tilt = c.between(44, 58), c.between(24, 40), c.between(-0.7, 0.7)
    dx, dy = apart * math.cos(tilt), apart * math.sin(tilt)
    c.circle(100 - dx, 105 - dy, r, p.accent)
    c.circle(100 + dx, 105 + dy, r, p.other, 0.85)
    if c.chance():
        c.circle(100, 105, c.between(5, 14), p.spark)
    if c.chance():
        for step in range(1, 4):
            c.ring(100 - dx, 105 - dy, r + 9 * step, p.spark, 1, 0.6 - 0.12 * step)


def flower(c: Canvas) -> None:
    """A flower."""
    p = c.colors
    x, y, petals, r = c.between(80, 120), c.between(72, 96), c.count(5, 11), c.between(36, 48)
    c.stroke(
        f"M{x} {y}Q{x + c.between(-30, 30)} 150 {100 + c.between(-15, 15)} 205",
        p.near,
        5,
    )
    for side in (-1, 1):
        c.path(
            f"M{x} 172q{side * 14} -34 {side * 52} -34q{side * -6} 32 {side * -52} 34z",
            p.mid,
        )
    for color, scale, turn in ((p.accent, 1.0, 0.0), (p.other, 0.66, 180 / petals)):
        for number in range(petals):
            long, wide = r * scale, r * scale * 2.1 / petals
            with c.at(x, y, turn=360 * number / petals + turn):
                c.ellipse(long * 0.72, 0, long * 0.62, max(wide, 7), color)
    c.circle(x, y, r * 0.3, p.spark)


def castle(c: Canvas) -> None:
    """A castle on a hill."""
    p = c.colors
    c.stars(16, 90)
    c.circle(c.between(40, 160), c.between(50, 85), c.between(18, 32), p.accent)
    c.hill(168, 26, p.far)
    x = c.between(85, 115)
    for dx, w, h in sorted(
        ((c.between(-46, 46), c.between(13, 20), c.between(50, 100)) for _ in range(c.count(4, 6))),
        key=lambda t: -t[2],
    ):
        left = x + dx - w / 2
        color = c.pick(p.mid, p.near)
        c.rect(left, 186 - h, w, h, color)
        c.polygon(
            [(left - 3, 186 - h), (left + w / 2, 186 - h - w * 1.9), (left + w + 3, 186 - h)],
            c.pick(p.other, p.accent),
        )
        c.rect(left + w / 2 - 1.5, 186 - h + 9, 3, 6, p.spark)
    c.rect(x - 50, 148, 100, 44, p.near)
    for step in range(7):
        c.rect(x - 50 + step * 15, 142, 9, 8, p.near)
    c.path(f"M{x - 9} 192v-18a9 9 0 0 1 18 0v18z", p.accent)
    c.hill(190, 10, p.near)


def moon_and_stars(c: Canvas) -> None:
    """A crescent and stars."""
    p = c.colors
    x, y, r = c.between(75, 120), c.between(75, 110), c.between(40, 56)
    c.circle(x, y, r * 2, c.halo(p.accent, 0.45))
    with c.turned(c.between(-30, 30), x, y):
        inner = 0.82 * r
        crescent = f"M{x} {y - r}a{r} {r} 0 1 0 {r} {r * 1.2}"
        c.path(crescent + f" a{inner} {inner} 0 1 1 {-r} {-r * 1.2}z", p.accent)
    for _ in range(c.count(9, 16)):
        _star(
            c,
            c.between(10, 190),
            c.between(-20, 160),
            c.between(2.5, 10),
            c.pick(p.spark, p.spark, p.other),
        )
    for color, base in ((p.far, 178), (p.near, 192)):
        for _ in range(8):
            c.circle(c.between(-5, 205), base + 12, c.between(14, 26), color)


def _star(c: Canvas, x: float, y: float, r: float, color: str) -> None:
    points = [
        around(x, y, far, angle)
        for angle, far in ((k * math.pi / 4, r if k % 2 == 0 else r * 0.3) for k in range(8))
    ]
    c.polygon(points, color)


def rainbow(c: Canvas) -> None:
    """A rainbow and clouds."""
    p = c.colors
    x, r = c.between(70, 130), c.between(80, 100)
    for step, color in enumerate((p.accent, p.other, p.spark, p.far, p.mid)):
        c.ring(x, 180, r - step * 11, color, 11.5)
    for _ in range(c.count(3, 5)):
        cx, cy, size = c.between(10, 190), c.between(20, 170), c.between(0.6, 1.2)
        for dx, dy, k in ((-20, 4, 13), (0, -6, 19), (21, 3, 14)):
            c.circle(cx + dx * size, cy + dy * size, k * size, p.spark)
        c.rect(cx - 32 * size, cy + 2 * size, 66 * size, 15 * size, p.spark, rx=7.5 * size)
    c.hill(188, 14, p.near)


def blocks(c: Canvas) -> None:
    """Building blocks."""
    p = c.colors
    colors = (p.accent, p.other, p.far, p.spark, p.mid)
    heights = [c.count(1, 4) for _ in range(5)]
    for column, height in enumerate(heights):
        for level in range(height):
            x, y = 12 + column * 36, 160 - level * 36
            color = c.pick(*colors)
            c.rect(x, y, 34, 34, color, rx=3)
            shape = c.count(0, 3)
            if shape == 0:
                c.circle(x + 17, y + 17, 9, p.near, 0.75)
            elif shape == 1:
                c.polygon([(x + 17, y + 8), (x + 27, y + 26), (x + 7, y + 26)], p.near, 0.75)
            elif shape == 2:
                _star(c, x + 17, y + 17, 11, p.near)
        top = 160 - height * 36
        if c.chance(0.35):
            c.polygon(
                [
                    (12 + column * 36, top + 34),
                    (29 + column * 36, top + 6),
                    (46 + column * 36, top + 34),
                ],
                p.accent,
            )
    c.rect(-5, 194, 210, 10, p.near)


def kite(c: Canvas) -> None:
    """A kite above hills."""
    p = c.colors
    x, y, size, tilt = (
        c.between(70, 140),
        c.between(45, 75),
        c.between(0.9, 1.3),
        c.between(-30, 30),
    )
    c.stroke(
        f"M{x} {y + 30}Q{c.between(20, 180)} 120 {c.between(60, 120)} 180",
        p.near,
        1.2,
    )
    with c.at(x, y, size, turn=tilt):
        c.polygon([(0, -42), (30, -6), (0, 44)], p.accent)
        c.polygon([(0, -42), (-30, -6), (0, 44)], p.other)
        c.polygon([(0, -42), (30, -6), (-30, -6)], p.spark, 0.4)
    for _ in range(c.count(2, 4)):
        cx, cy, k = c.between(10, 190), c.between(10, 120), c.between(0.4, 0.8)
        for dx, dy, r in ((-20, 4, 13), (0, -4, 18), (21, 4, 13)):
            c.circle(cx + dx * k, cy + dy * k, r * k, p.spark, 0.7)
    c.hill(172, 22, p.mid)
    c.hill(188, 14, p.near)
