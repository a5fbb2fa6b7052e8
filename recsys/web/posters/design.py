"""What a drawn poster shows, derived from the facts about a movie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

from recsys.web.posters.genres import GENRES, OTHER, Genre, Motif

ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10}
_NUMBER = r"(\d{1,2}|i{1,3}|iv|vi{0,3}|ix|x)"
_PART = re.compile(rf"\b(?:part|episode|chapter|volume|vol\.?) {_NUMBER}\b")
_LAST = re.compile(rf" {_NUMBER}$")
# "Harry Potter and the ...", but not "Beauty and the Beast" or "Me and the ...".
_AND_THE = re.compile(r"^(\w+ \w+) and the \S+ \S+.*")
LAYOUTS = ("top", "bottom", "top", "frame", "bottom")
ALIASES = {
    "science-fiction": "sci-fi", "music": "musical", "family": "children", "history": "drama",
    "noir": "film-noir",
}  # fmt: skip
"""Names of genres in other data sets."""
NO_DECADE = 1990
"""The colors of movies without a year."""


@dataclass(frozen=True, slots=True)
class Design:
    """What decides the picture of a poster. Equal designs give equal pictures."""

    genre: str
    second: str
    decade: int
    series: int
    """A hash that sequels share: it decides motif, layout and lettering."""
    own: int
    """A hash of the movie: it decides the hue within the series, and the details."""

    @property
    def style(self) -> Genre:
        return GENRES.get(self.genre, OTHER)

    @property
    def motif(self) -> Motif:
        """One of the motifs of the first genre or, for one series in six, of the second.

        A third of the sequels have the motif after it, so that long series stay interesting.
        """
        borrowed = GENRES.get(self.second)
        style = borrowed if borrowed is not None and self.series % 6 == 0 else self.style
        place = (self.series >> 2) + ((self.own >> 4) % 3 == 0)
        return style.motifs[place % len(style.motifs)]

    @property
    def layout(self) -> str:
        """Where the title is: at the top, at the bottom, or below a framed picture."""
        return LAYOUTS[(self.series >> 7) % len(LAYOUTS)]

    @property
    def face(self) -> str:
        return self.style.faces[(self.series >> 11) % len(self.style.faces)]

    @property
    def path(self) -> str:
        return f"{self.genre}/{self.second}/{self.decade}/{self.series:04x}{self.own:04x}.svg"


@lru_cache(maxsize=4096)
def design_of(movie_id: int, title: str, year: int | None, genres: tuple[str, ...]) -> Design:
    """Choose the design of a movie, the same one on every page."""
    slugs = {_slug(genre) for genre in genres}
    known = [slug for slug in GENRES if slug in slugs] or ["other"]
    name, number = series_of(title)
    series = crc32(name.encode()) & 0xFFFF
    own = crc32(f"{title} {year} {movie_id}".encode()) & 0xFFFF
    if number:
        # The hues of consecutive parts differ for certain, and not only by chance.
        own = own & ~7 | (series + 3 * number) & 7
    decade = year // 10 * 10 if year else NO_DECADE
    return Design(known[0], known[1] if len(known) > 1 else known[0], decade, series, own)


def _slug(genre: str) -> str:
    slug = re.sub(r"[^a-z]+", "-", genre.lower().removesuffix("'s"))
    return ALIASES.get(slug, slug)


def series_of(title: str) -> tuple[str, int]:
    """Return the name that sequels share, and the number of the part, 0 if it has none."""
    words = " ".join(title.casefold().split())
    part = _PART.search(words)
    head = re.split(r": | - | – | \(", words)[0]
    last = _LAST.search(head)
    number = part or last
    name = head[: last.start()] if last else head
    name = _PART.sub("", _AND_THE.sub(r"\1", name)).rstrip(" ,")
    return name or words, _value(number[1]) if number else 0


def _value(number: str) -> int:
    return ROMAN[number] if number in ROMAN else int(number)
