"""Size and break the title of a poster, so that no word is cut."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from markupsafe import Markup, escape

from recsys.web.posters.genres import ITALIC, SANS, SERIF, WIDE

SIZES = (20, 18, 16, 14.5, 13, 12, 11, 10, 9, 8)
"""Letters in hundredths of the width of a poster; each has a class in the style sheet."""
MINIMUM = len(SIZES) - 1
ROOM = {"top": (86, 62), "bottom": (86, 56), "frame": (86, 39)}
"""Width and height for the title by layout, in the same unit."""
LEADING = 1.1
TAIL = 0.62
"""Size of a subtitle relative to the title, and at least the smallest size."""
MEASURED = 160
"""Longer titles are cut by the style sheet anyway."""
# The wider of Arial Bold and DejaVu Sans Condensed Bold, in thousandths of the size of the letters.
_CAPITALS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    722, 722, 722, 747, 667, 615, 778, 753, 335, 556, 722, 611, 896,
    753, 778, 667, 778, 722, 667, 614, 731, 697, 993, 694, 667, 653), strict=True))  # fmt: skip
_SMALL = dict(zip("abcdefghijklmnopqrstuvwxyz", (
    607, 644, 556, 644, 610, 392, 644, 641, 308, 308, 599, 308, 938,
    641, 618, 644, 644, 444, 556, 430, 641, 587, 831, 581, 587, 524), strict=True))  # fmt: skip
WIDTHS = _CAPITALS | _SMALL | dict.fromkeys("0123456789", 626) | dict.fromkeys(".,:;'!|/()-", 390)
SPACING = {SANS: 0.01, WIDE: 0.09}
SAFETY = {SANS: 1.0, WIDE: 1.0, SERIF: 1.05, ITALIC: 1.05}
_SUBTITLE = re.compile(r"(?<=\S)(?:: | - | – | (?=\())")


# A vowel, then a consonant and a vowel: ba|na|na.
_SYLLABLE = re.compile(r"(?i)(?<=[aeiouyäöüáéíóúàèåø])(?=[b-df-hj-np-tv-xz][aeiouyäöüáéíóúàèåø])")
_IDEOGRAPH = re.compile(
    "[{0}]|[^{0}]+".format("\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef")
)


@dataclass(frozen=True, slots=True)
class Lettering:
    """A title in HTML, and the index of its size."""

    size: int
    capitals: bool
    html: Markup


@lru_cache(maxsize=4096)
def lettering(title: str, face: str, layout: str) -> Lettering:
    """Choose the largest letters with which a title fits, and hyphenate words that never do."""
    head, tail = _split(title)
    width, height = ROOM[layout]
    # Capitals need more room: long words get small letters before they get smaller ones.
    wanted = (True, False) if face in (SANS, WIDE) else (False,)
    for capitals in wanted:
        for index, size in enumerate(SIZES):
            small = max(size * TAIL, SIZES[MINIMUM])
            lines = _lines(head, width / size, face, capitals)
            below = _lines(tail, width / small, face, capitals) if tail else 0
            if lines and (below or not tail) and LEADING * (lines * size + below * small) <= height:
                return Lettering(index, capitals, _marked(head, tail))
    room = width / SIZES[MINIMUM]
    return Lettering(MINIMUM, False, _marked(_soft(head, room, face), _soft(tail, room, face)))


def _split(title: str) -> tuple[str, str]:
    """Split a subtitle off: two words or more after a colon or a dash, or a parenthesis."""
    for found in _SUBTITLE.finditer(title):
        tail = title[found.end() :]
        if tail.startswith("(") or len(_SUBTITLE.split(tail)[0].split()) > 1:
            return title[: found.end()], tail
    return title, ""


def _marked(head: str, tail: str) -> Markup:
    """Mark a subtitle, and the colon or dash before it, which the larger letters make needless."""
    head, tail = (_breakable(text) for text in (head, tail))
    if not tail:
        return escape(head)
    cut = re.search(r"(?:|\u00a0-| –|:) $", head)
    name, mark = (head[: cut.start()], head[cut.start() :]) if cut else (head, "")
    return Markup("{}<i>{}</i><small>{}</small>").format(name, mark, tail)


def _breakable(text: str) -> str:
    """Let lines end, but not begin, with a dash, and end after a slash between words."""
    return re.sub(r"(?<=\w)/(?=\w)", "/\u200b", text.replace(" - ", "\u00a0- "))


def _lines(text: str, room: float, face: str, capitals: bool) -> int:
    """Return the number of lines in which words fill the room, 0 if a word is too long."""
    lines, filled = 1, 0.0
    space = 0.3 + SPACING.get(face, 0.0)
    for word in text[:MEASURED].split():
        for piece in _pieces(word):
            length = measure(piece, face, capitals)
            if length > room:
                return 0
            if filled and filled + length > room:
                lines, filled = lines + 1, 0.0
            filled += length
        filled += space
    return lines


def _pieces(word: str) -> list[str]:
    """Split where a line may end: after hyphens and slashes, and between ideographs."""
    if word.isascii():
        return re.split(r"(?<=\w[-/])(?=\w)", word)
    return _IDEOGRAPH.findall(word)


def measure(word: str, face: str, capitals: bool) -> float:
    """Estimate the width of a word from above, in units of the size of its letters."""
    shown = word.upper() if capitals else word
    width = sum(WIDTHS.get(letter) or _wide(letter) for letter in shown) / 1000
    return SAFETY[face] * width + len(shown) * SPACING.get(face, 0.0)


def _wide(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1000
    base = unicodedata.normalize("NFD", letter)[0]
    return WIDTHS.get(base, 780)


def _soft(text: str, room: float, face: str) -> str:
    """Insert soft hyphens into words that are longer than the room."""
    return " ".join(
        word if _lines(word, room, face, False) else _hyphenated(word) for word in text.split(" ")
    )


def _hyphenated(word: str) -> str:
    """Insert soft hyphens between syllables, at least three letters from both ends."""
    places = [m.start() for m in _SYLLABLE.finditer(word) if 3 <= m.start() <= len(word) - 3]
    return "\u00ad".join(word[a:b] for a, b in pairwise([0, *places, len(word)]))
