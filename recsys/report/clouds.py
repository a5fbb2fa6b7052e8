"""Word clouds of the words of titles, sized by frequency."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import Image
from wordcloud import STOPWORDS, WordCloud

from recsys.report.figures import short

# Comes with matplotlib, so that pictures do not depend on the fonts of the machine.
FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
WIDTH, HEIGHT, SCALE, LEAST, MOST = 520, 300, 2, 13, 90
"""Sizes in pixels before scaling; the last two are those of letters, readable on a phone."""
WORDS, FEWEST, SEED = 60, 5, 42
"""The most words in a cloud, and the fewest."""
LIGHT = ("#0068a6", "#a84400", "#00674f", "#8a2f6d", "#4b545e")
DARK = ("#6cb8f0", "#f59d56", "#5ad0a8", "#e594c8", "#c3cad2")
"""Colors on a light and on a dark page."""
EXTRA_STOPWORDS = {
    "ii", "iii", "iv", "vi", "vii", "part", "vol", "aka", "la", "le", "les", "un", "une", "des",
    "du", "de", "et", "il", "lo", "una", "el", "los", "las", "der", "das", "dem", "den", "ein",
    "eine", "und",
}  # fmt: skip
"""Words without meaning in titles, in addition to the English ones of the library."""


@dataclass(frozen=True)
class Cloud:
    light: Image.Image
    """In colors for a light page, with a transparent background."""
    dark: Image.Image
    alt: str
    words: Mapping[str, int]
    """The drawn words with their counts, most frequent first."""
    left_out: int
    """Number of words that cannot be drawn: missing glyphs or right-to-left text."""

    def on_white(self) -> bytes:
        """Return the picture as PNG with a white background."""
        return _png(Image.alpha_composite(Image.new("RGBA", self.light.size, "white"), self.light))

    def transparent(self) -> tuple[bytes, bytes]:
        """Return the pictures for light and for dark pages as PNG."""
        return _png(self.light), _png(self.dark)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    # A third of the size, and much faster to encode.
    image.quantize(64).save(buffer, format="PNG")
    return buffer.getvalue()


def cloud_of_titles(titles: Sequence[str]) -> Cloud | None:
    """Draw the words of titles by how often they occur; None if there are too few words."""
    # Collocations would count a word again in the pairs that contain it.
    words = WordCloud(stopwords=STOPWORDS | EXTRA_STOPWORDS, collocations=False, min_word_length=2)
    found = cloud("words of the titles", words.process_text("\n".join(titles)))
    # Movies without a title are all called Movie.
    return found if found and len(found.words) >= FEWEST else None


def cloud(what: str, counts: Mapping[str, int]) -> Cloud | None:
    """Draw words by their counts; None if no word can be drawn."""
    letters = FT2Font(str(FONT)).get_charmap()
    labels = {short(word): count for word, count in counts.items() if short(word) and count > 0}
    fit = {
        word: count
        for word, count in labels.items()
        if all(ord(c) in letters and _is_left_to_right(c) for c in word)
    }
    if not fit:
        return None
    # Ties by word, so that the order of the rows does not change the picture.
    words = dict(sorted(fit.items(), key=lambda item: (-item[1], item[0]))[:WORDS])
    drawn = _word_cloud().generate_from_frequencies(words)
    # Words without room at a readable size are not drawn.
    placed = {word for (word, _), *_ in drawn.layout_}
    words = {word: count for word, count in words.items() if word in placed}
    first = ", ".join(f"{word} ({count:,})" for word, count in list(words.items())[:5])
    alt = f"Word cloud of the {what}; most frequent: {first}."
    light, dark = (
        drawn.recolor(random_state=SEED, color_func=_chooser(colors)).to_image()
        for colors in (LIGHT, DARK)
    )
    return Cloud(light, dark, alt, words, len(labels) - len(fit))


def _chooser(colors: Sequence[str]) -> Callable[..., str]:
    """Return a function that colors words; both schemes choose the same places."""

    def choose(*_: Any, random_state: Random, **__: Any) -> str:
        return random_state.choice(colors)

    return choose


def _is_left_to_right(character: str) -> bool:
    # Without the library raqm, Pillow draws right-to-left text backwards.
    return unicodedata.bidirectional(character) not in ("R", "AL")


def _word_cloud() -> Any:
    return WordCloud(
        font_path=str(FONT),
        width=WIDTH,
        height=HEIGHT,
        scale=SCALE,
        mode="RGBA",
        background_color=None,
        prefer_horizontal=1.0,
        min_font_size=LEAST,
        max_font_size=MOST,
        random_state=SEED,
    )
