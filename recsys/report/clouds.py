"""Word clouds of title words and genres, sized by frequency."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import Image
from wordcloud import STOPWORDS, WordCloud

from recsys.report.figures import short

# Comes with matplotlib, so that pictures do not depend on the fonts of the machine.
FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
WIDTH, HEIGHT, SCALE = 520, 300, 2
WORDS, SEED = 80, 42
COLORS = ("#2a7ab8", "#c2590f", "#0f8a6a", "#a3598c", "#6f7780")
"""Each is readable on white and on black."""
EXTRA_STOPWORDS = {
    "ii", "iii", "iv", "vi", "vii", "part", "vol", "aka", "la", "le", "les", "un", "une", "des",
    "du", "de", "et", "il", "lo", "una", "el", "los", "las", "der", "das", "dem", "den", "ein",
    "eine", "und",
}  # fmt: skip
"""Words without meaning in titles, in addition to the English ones of the library."""


@dataclass(frozen=True)
class Cloud:
    image: Image.Image
    """With a transparent background."""
    alt: str
    words: Mapping[str, int]
    """The drawn words with their counts, most frequent first."""
    left_out: int
    """Number of words that cannot be drawn: missing glyphs or right-to-left text."""

    def png(self, *, transparent: bool) -> bytes:
        """Return the picture as PNG, with a white or a transparent background."""
        image = self.image
        if not transparent:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        buffer = BytesIO()
        image.quantize(64).save(
            buffer, format="PNG"
        )  # a third of the size, and much faster to encode
        return buffer.getvalue()


def cloud_of_titles(titles: Sequence[str]) -> Cloud | None:
    """Draw the words of titles by how often they occur; None if no word can be drawn."""
    # Collocations would count a word again in the pairs that contain it.
    words = WordCloud(stopwords=STOPWORDS | EXTRA_STOPWORDS, collocations=False, min_word_length=2)
    return cloud("words of the titles", words.process_text("\n".join(titles)))


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
    first = ", ".join(f"{word} ({count:,})" for word, count in list(words.items())[:5])
    alt = f"Word cloud of the {what}; most frequent: {first}."
    return Cloud(drawn.to_image(), alt, words, len(labels) - len(fit))


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
        color_func=lambda *_, random_state, **__: random_state.choice(COLORS),
        random_state=SEED,
    )
