"""Word clouds: the words of titles and the names of genres, the frequent ones large."""

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

FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
WIDTH, HEIGHT, SCALE = 520, 300, 2
WORDS, SEED = 80, 42
COLOURS = ("#2a7ab8", "#c2590f", "#0f8a6a", "#a3598c", "#6f7780")
"""Each can be read on white and on black."""
LITTLE = {
    "ii", "iii", "iv", "vi", "vii", "part", "vol", "aka", "la", "le", "les", "un", "une", "des",
    "du", "de", "et", "il", "lo", "una", "el", "los", "las", "der", "das", "dem", "den", "ein",
    "eine", "und",
}  # fmt: skip
"""Words that say nothing of what a movie is about, beside the English ones of the library."""


@dataclass(frozen=True)
class Cloud:
    image: Image.Image
    """On a transparent ground."""
    alt: str
    words: Mapping[str, int]
    """The most frequent words that could be drawn, most frequent first."""
    left_out: int
    """Words in letters that the picture's font lacks, or that run from right to left."""

    def png(self, *, transparent: bool) -> bytes:
        """Return the picture, on white if not transparent."""
        image = self.image
        if not transparent:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        buffer = BytesIO()
        image.quantize(64).save(buffer, format="PNG")  # a third of the size, and much faster
        return buffer.getvalue()


def cloud_of_titles(titles: Sequence[str]) -> Cloud | None:
    """Return the words of titles, each title counted as often as it says them."""
    words = WordCloud(stopwords=STOPWORDS | LITTLE, collocations=False, min_word_length=2)
    return cloud("words of the titles", words.process_text("\n".join(titles)))


def cloud(what: str, counts: Mapping[str, int]) -> Cloud | None:
    """Return a cloud of words by how often they occur, None where none can be drawn."""
    letters = FT2Font(str(FONT)).get_charmap()
    named = {short(word): count for word, count in counts.items() if short(word) and count > 0}
    fit = {
        word: count
        for word, count in named.items()
        if all(ord(c) in letters and _runs_rightwards(c) for c in word)
    }
    if not fit:
        return None
    words = dict(sorted(fit.items(), key=lambda item: (-item[1], item[0]))[:WORDS])
    drawn = _drawing().generate_from_frequencies(words)
    first = ", ".join(f"{word} ({count:,})" for word, count in list(words.items())[:5])
    alt = f"Word cloud of the {what}; most frequent: {first}."
    return Cloud(drawn.to_image(), alt, words, len(named) - len(fit))


def _runs_rightwards(character: str) -> bool:
    return unicodedata.bidirectional(character) not in ("R", "AL")


def _drawing() -> Any:
    return WordCloud(
        font_path=str(FONT),
        width=WIDTH,
        height=HEIGHT,
        scale=SCALE,
        mode="RGBA",
        background_color=None,
        prefer_horizontal=1.0,
        color_func=lambda *_, random_state, **__: random_state.choice(COLOURS),
        random_state=SEED,
    )
