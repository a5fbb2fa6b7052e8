"""Abstract compositions."""

from __future__ import annotations

import math

from recsys.web.posters.canvas import Canvas, around


def speed(c: Canvas) -> None:
    """Stripes of speed."""
    p = c.colors
    tilt = c.between(-38, -12)
    with c.turned(tilt, 100, 100):
        y = -120.0
        while y < 320:
            h = c.between(4, 20)
            if c.chance(0.6):
                x = c.between(-100, 90)
                c.rect(x, y, 330 - x, h, c.pick(p.accent, p.other, p.far, p.spark, p.mid), rx=h / 2)
            y += h + c.between(2, 8)


def shards(c: Canvas) -> None:
    """Shards that fly apart."""
    p = c.colors
    x, y = c.between(80, 120), c.between(90, 120)
    c.circle(x, y, 100, c.halo(p.accent, 0.7))
    count = c.count(16, 24)
    for number in range(count):
        angle = 2 * math.pi * number / count + c.between(-0.12, 0.12)
        near, far, wide = c.between(14, 44), c.between(60, 150), c.between(0.04, 0.13)
        points = [
            around(x, y, r, a)
            for a, r in (
                (angle, near),
                (angle + wide, far * 0.8),
                (angle, far),
                (angle - wide, far * 0.7),
            )
        ]
        c.polygon(points, c.pick(p.spark, p.accent, p.other, p.far, p.mid), 0.95)


def film(c: Canvas) -> None:
    """A strip of film."""
    p = c.colors
    with c.turned(c.between(-32, 32), 100, 100):
        c.rect(48, -200, 104, 600, p.near)
        for number in range(24):
            y = -196 + number * 25
            for x in (53, 138):
                c.rect(x, y, 9, 13, p.spark, 0.9, rx=2)
        for number in range(7):
            y = -190 + number * 86
            c.rect(68, y, 64, 78, (p.accent, p.far, p.other, p.glow)[number % 4], rx=3)
            c.circle(
                100 + c.between(-14, 14), y + c.between(28, 48), c.between(9, 20), p.spark, 0.9
            )
            c.path(f"M68 {y + 78}v-16q20-20 34-4t30-6v26z", p.mid)


def aperture(c: Canvas) -> None:
    """The blades of a lens."""
    p = c.colors
    r, hole, count, turn = c.between(74, 88), c.between(18, 40), c.count(6, 9), c.between(0, 1)
    c.circle(100, 102, r + 7, p.near)
    step = 2 * math.pi / count
    for number in range(count):
        a = turn + number * step
        points = [
            around(100, 102, far, angle)
            for angle, far in (
                (a, hole),
                (a + step, hole),
                (a + step * 1.9, r),
                (a + step * 1.45, r * 1.02),
                (a + step, r),
            )
        ]
        c.polygon(points, (p.far, p.mid, p.accent)[number % 3])
    points = [around(100, 102, hole, turn + k * step) for k in range(count)]
    c.polygon(points, p.spark)
    c.ring(100, 102, r + 3, p.near, 9)
    c.ring(100, 102, r + 7, p.accent, 1.5)


def tiles(c: Canvas) -> None:
    """A wall divided into fields."""
    p = c.colors

    def divide(x: float, y: float, w: float, h: float, depth: int) -> None:
        if depth == 0 or (depth < 3 and c.chance(0.25)) or min(w, h) < 26:
            color = c.pick(p.far, p.mid, p.glow, p.accent, p.other, p.spark, p.near)
            c.rect(x + 1.5, y + 1.5, w - 3, h - 3, color)
            return
        cut = c.between(0.32, 0.68)
        if w > h:
            divide(x, y, w * cut, h, depth - 1)
            divide(x + w * cut, y, w * (1 - cut), h, depth - 1)
        else:
            divide(x, y, w, h * cut, depth - 1)
            divide(x, y + h * cut, w, h * (1 - cut), depth - 1)

    c.rect(-5, -105, 210, 310, p.near)
    divide(-3, -103, 206, 306, 5)


def strata(c: Canvas) -> None:
    """Layers of earth."""
    p = c.colors
    y, colors = c.between(40, 70), (p.glow, p.far, p.accent, p.mid, p.other, p.near)
    c.circle(c.between(50, 150), y - 6, c.between(24, 40), p.spark)
    bend = c.between(-26, 26)
    for color in colors:
        a, b = c.between(-8, 8), c.between(-8, 8)
        c.path(f"M-5 {y + a}C60 {y + bend} 130 {y - bend} 205 {y + b}V202H-5z", color)
        y += c.between(18, 30)


def profile(c: Canvas) -> None:
    """A head in profile, with something in it."""
    p = c.colors
    c.circle(c.between(70, 130), c.between(70, 100), c.between(52, 72), p.accent)

    c.path(
        "M40 204C42 176 58 166 62 150C40 128 40 66 84 48C124 36 152 62 152 92"
        "C152 100 164 112 166 118C167 123 158 124 158 126C160 132 158 136 156 138"
        "C158 146 152 156 130 154C122 168 132 186 150 204z",
        p.near,
    )
    kind = c.count(0, 2)
    if kind == 0:
        for step in range(4):
            c.ring(102, 94, 8 + 9 * step, p.spark if step % 2 else p.other, 2.4)
    elif kind == 1:
        c.stroke("M102 94m-30 6q14-40 34-22t-8 32q-26 6-16-18q8-12 18 0", p.spark, 3)
    else:
        for _ in range(9):
            c.line([(102, 94), (102 + c.between(-36, 36), 94 + c.between(-34, 30))], p.other, 1.5)
            c.circle(102 + c.between(-34, 34), 94 + c.between(-32, 28), c.between(2, 4.5), p.spark)


def monolith(c: Canvas) -> None:
    """Plain slabs and their shadows."""
    p = c.colors
    x = c.between(10, 40)
    c.rect(-5, 160, 210, 45, p.mid)
    c.circle(c.between(120, 175), c.between(20, 60), c.between(14, 26), p.spark)
    lean = c.between(20, 60)
    while x < 175:
        w, h = c.between(16, 36), c.between(50, 140)
        c.polygon([(x, 172), (x + w, 172), (x + w + lean, 201), (x + lean, 201)], p.near, 0.7)
        c.rect(x, 172 - h, w, h, c.pick(p.accent, p.other, p.far, p.near))
        c.rect(x + w * 0.72, 172 - h, w * 0.28, h, p.near, 0.35)
        x += w + c.between(10, 30)


def ripples(c: Canvas) -> None:
    """Rings on water around drops."""
    p = c.colors
    for number in range(c.count(2, 4)):
        x, y = c.between(30, 170), c.between(10, 180)
        for step in range(c.count(4, 7)):
            color = p.accent if number % 2 else p.spark
            c.ring(
                x,
                y,
                7 + step * step * 3.2 + step * 6,
                color,
                max(0.8, 3.6 - step * 0.55),
                0.95 - 0.1 * step,
            )
        c.circle(x, y, 4.5, p.spark)


def clock(c: Canvas) -> None:
    """A clock that runs down."""
    p = c.colors
    x, y, r = c.between(85, 115), c.between(90, 110), c.between(62, 82)
    c.circle(x, y, r, p.near)
    c.circle(x, y, r * 0.93, c.pick(p.spark, p.far, p.accent))
    for step in range(12):
        angle, inner = step * math.pi / 6, 0.72 if step % 3 == 0 else 0.8
        ends = [around(x, y, r * k, angle) for k in (inner, 0.87)]
        c.line(ends, p.near, 5 if step % 3 == 0 else 2)
    late = -math.pi / 2 - c.between(0.05, 0.9)
    c.ray(x, y, (late - math.pi / 2) / 2, (-math.pi / 2 - late) / 2, p.other, 0.8, 0, r * 0.68)
    for angle, length, width in (
        (-math.pi / 2, 0.68, 4),
        (late, 0.62, 4),
        (c.between(0, 6), 0.4, 7),
    ):
        c.line(
            [(x, y), around(x, y, r * length, angle)],
            p.near,
            width,
        )
    c.circle(x, y, 6, p.near)


def maze(c: Canvas) -> None:
    """A maze with a way through it."""
    p = c.colors
    count = c.count(8, 11)
    side = 190 / count
    reached, at = {(0, 0)}, [(0, 0)]
    passages = []
    while at:
        column, row = at[-1]
        free = [
            (column + dx, row + dy)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
            if 0 <= column + dx < count
            and 0 <= row + dy < count
            and (column + dx, row + dy) not in reached
        ]
        if not free:
            at.pop()
            continue
        there = free[c.count(0, len(free) - 1)]
        passages.append((at[-1], there))
        if there == (count - 1, count - 1):
            way = [*at, there]
        reached.add(there)
        at.append(there)

    def middle(place: tuple[int, int]) -> tuple[float, float]:
        return 5 + (place[0] + 0.5) * side, 5 + (place[1] + 0.5) * side

    c.rect(2, 2, 196, 196, p.near)
    for start, end in passages:
        c.line([middle(start), middle(end)], p.far, side * 0.62)
    c.line([middle(place) for place in way], p.accent, side * 0.2)
    c.circle(*middle((0, 0)), side * 0.3, p.spark)
    c.circle(*middle((count - 1, count - 1)), side * 0.3, p.spark)
