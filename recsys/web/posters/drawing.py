"""Draw a design as SVG. The title is not part of it: the page writes it over the picture."""

from __future__ import annotations

from functools import lru_cache

from recsys.web.posters.canvas import HEIGHT, STAGE, WIDTH, Canvas
from recsys.web.posters.colors import ERAS, Palette, palette
from recsys.web.posters.design import Design
from recsys.web.posters.genres import GENRES, OTHER


@lru_cache(maxsize=1024)
def draw(design: Design) -> str:
    """Return the SVG of a poster."""
    canvas = Canvas(colors_of(design), design.series << 16 | design.own)
    {"top": _top, "bottom": _bottom, "frame": _framed}[design.layout](canvas, design)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(canvas.elements)}</svg>'


def colors_of(design: Design) -> Palette:
    style = design.style
    second = GENRES.get(design.second, OTHER)
    # The series decides, so that sequels of a decade look related.
    hue = style.hue + (design.series >> 3) % 41 - 20
    return palette(hue, second.hue, design.decade, style.chroma, is_light(design), design.own)


def is_light(design: Design) -> bool:
    era = ERAS[min(max(design.decade, 1920), 2020)]
    return (design.series >> 4) % 100 < 100 * era.light * design.style.light


def _stage(canvas: Canvas, design: Design, transform: str) -> None:
    # Sequels face the other way or not.
    mirrored = f"{transform} translate({STAGE} 0) scale(-1 1)" if design.own & 8 else transform
    with canvas.group(mirrored):
        design.motif(canvas)


def _top(canvas: Canvas, design: Design) -> None:
    """A title on the sky, the scene below it."""
    p = canvas.colors
    sky = canvas.gradient((0, p.deep, 1), (0.36, p.deep, 1), (0.85, p.glow, 1))
    canvas.rect(0, 0, WIDTH, HEIGHT, sky)
    _stage(canvas, design, f"translate(0 {HEIGHT - STAGE})")
    # Motifs that reach up fade out behind the title.
    veil = canvas.gradient((0, p.deep, 0.97), (0.68, p.deep, 0.9), (1, p.deep, 0))
    canvas.rect(0, 0, WIDTH, 165, veil)


def _bottom(canvas: Canvas, design: Design) -> None:
    """The scene, a title on its foreground."""
    p = canvas.colors
    sky = canvas.gradient((0, p.deep, 1), (0.62, p.glow, 1))
    canvas.rect(0, 0, WIDTH, HEIGHT, sky)
    _stage(canvas, design, "translate(0 4)")
    canvas.rect(0, STAGE + 3, WIDTH, HEIGHT, p.near)
    veil = canvas.gradient((0, p.near, 0), (0.75, p.near, 1), (1, p.near, 1))
    canvas.rect(0, 128, WIDTH, 80, veil)


def _framed(canvas: Canvas, design: Design) -> None:
    """The scene in a window, a title below it."""
    p = canvas.colors
    canvas.rect(0, 0, WIDTH, HEIGHT, p.spark if p.light else p.near)
    sky = canvas.gradient((0, p.deep, 1), (0.9, p.glow, 1))
    shapes = (
        '<rect x="14" y="14" width="172" height="162" rx="3"/>',
        '<circle cx="100" cy="96" r="82"/>',
        '<path d="M14 176V100a86 86 0 0 1 172 0v76z"/>',
    )
    shape = shapes[(design.series >> 5) % len(shapes)]
    canvas.elements.append(f'<clipPath id="w">{shape}</clipPath><g clip-path="url(#w)">')
    canvas.rect(0, 0, WIDTH, HEIGHT, sky)
    _stage(canvas, design, "translate(8 -2) scale(.92)")
    canvas.elements.append("</g>")
