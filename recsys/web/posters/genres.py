"""Which hue, motifs and lettering a genre has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recsys.web.posters.canvas import Canvas
from recsys.web.posters.motifs import city, dark, land, show, signs, space

Motif = Callable[[Canvas], None]
SANS, WIDE, SERIF, ITALIC = "sans", "wide", "serif", "italic"
"""Letters: heavy capitals, spaced capitals, a book face, and its italic."""


@dataclass(frozen=True, slots=True)
class Genre:
    hue: float
    """In degrees of OKLCH: red 25, yellow 95, green 145, blue 255, magenta 340."""
    motifs: tuple[Motif, ...]
    faces: tuple[str, ...] = (SANS,)
    chroma: float = 1.0
    light: float = 1.0
    """Factor on the share of light posters of a decade."""


GENRES: Mapping[str, Genre] = {
    "film-noir": Genre(
        265,
        (city.street_lamp, city.blinds, city.stairs, city.skyline, dark.keyhole,
         city.umbrella),
        (SERIF, WIDE), chroma=0.45, light=0,
    ),
    "western": Genre(
        50,
        (land.desert, land.mesas, land.lone_tree, land.mountains, land.road),
        (SERIF, SANS),
    ),
    "documentary": Genre(
        160,
        (land.globe, land.contours, signs.film, signs.aperture, signs.strata, show.equalizer,
         signs.ripples, dark.eye),
        (WIDE, SANS, SERIF), chroma=0.8, light=1.3,
    ),
    "horror": Genre(
        18,
        (dark.house, dark.claws, dark.drips, land.forest, dark.eye, city.doorway, city.stairs),
        (SERIF, SANS), light=0.1,
    ),
    "animation": Genre(
        190,
        (space.cubes, show.kite, show.rainbow, show.moon_and_stars, space.rocket, show.checks,
         land.sea, show.castle),
        (SANS,), chroma=1.2, light=1.5,
    ),
    "musical": Genre(
        350,
        (show.curtain, show.keys, show.vinyl, show.rays, city.arches, show.equalizer),
        (SANS, ITALIC), chroma=1.1,
    ),
    "sci-fi": Genre(
        250,
        (space.planet, space.dawn, space.orbits, space.warp, space.rocket, space.grid,
         space.saucer),
        (WIDE, SANS), light=0.3,
    ),
    "war": Genre(
        110,
        (dark.searchlights, dark.barbed_wire, dark.smoke, land.contours, city.bridge),
        (SANS, SERIF), chroma=0.6, light=0.6,
    ),
    "mystery": Genre(
        280,
        (dark.keyhole, dark.eye, dark.fingerprint, city.doorway, dark.spiral,
         city.street_lamp, land.forest),
        (SERIF, WIDE), light=0.5,
    ),
    "fantasy": Genre(
        305,
        (show.castle, show.moon_and_stars, land.forest, land.mountains, land.jungle,
         signs.ripples),
        (SERIF, ITALIC),
    ),
    "children": Genre(
        345,
        (show.balloons, show.blocks, show.kite, show.rainbow, show.moon_and_stars, show.smile),
        (SANS,), chroma=1.2, light=2,
    ),
    "crime": Genre(
        225,
        (dark.fingerprint, dark.bullet_holes, city.skyline, city.headlights, city.blinds,
         city.street_lamp, city.bridge, signs.maze),
        (SANS, WIDE), chroma=0.8, light=0.6,
    ),
    "adventure": Genre(
        75,
        (land.mountains, land.compass, land.sea, land.jungle, land.globe, land.road),
        (SANS, SERIF),
    ),
    "action": Genre(
        30,
        (dark.smoke, signs.speed, signs.shards, dark.crosshair, city.headlights, signs.clock,
         city.bridge),
        (SANS,), light=0.7,
    ),
    "thriller": Genre(
        40,
        (dark.spiral, city.stairs, city.doorway, dark.eye, signs.clock, signs.maze,
         dark.keyhole),
        (SANS, WIDE), chroma=0.7, light=0.6,
    ),
    "romance": Genre(
        5,
        (show.hearts, show.circles, show.flower, city.umbrella, land.sea, city.window),
        (ITALIC, SERIF), light=1.4,
    ),
    "comedy": Genre(
        85,
        (show.smile, show.checks, show.confetti, show.balloons, show.rays, show.curtain),
        (SANS,), chroma=1.1, light=1.7,
    ),
    "drama": Genre(
        275,
        (city.window, land.lone_tree, signs.profile, land.road, signs.tiles, signs.monolith,
         city.umbrella, land.sea),
        (SERIF, WIDE, ITALIC, SANS),
    ),
    "imax": Genre(
        240,
        (signs.aperture, land.globe, land.mountains, signs.film),
        (WIDE,),
    ),
}  # fmt: skip
"""By slug, in the order in which they decide: the most characteristic first."""
OTHER = Genre(
    210, (signs.film, signs.tiles, show.circles, signs.strata, signs.ripples, signs.monolith,
          signs.aperture), (SANS, WIDE, SERIF), chroma=0.8,
)  # fmt: skip
"""For movies without genres and for genres of other data sets."""
