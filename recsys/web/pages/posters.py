"""Drawn posters for movies without a picture: the colours of the genres and the title."""

from __future__ import annotations

import re
from collections.abc import Sequence

BY_CHARACTER = (
    "Film-Noir",
    "Western",
    "Documentary",
    "Horror",
    "Animation",
    "Musical",
    "Sci-Fi",
    "War",
    "Mystery",
    "Fantasy",
    "Children",
    "Crime",
    "Adventure",
    "Action",
    "Thriller",
    "Romance",
    "Comedy",
    "Drama",
)
"""Genres in the order in which they decide the colour, the most characteristic first."""
VARIANTS = 4
LONG_WORD, LONG_TITLE, LONGER_TITLE = 10, 18, 42


def poster_classes(movie_id: int, title: str, genres: Sequence[str]) -> str:
    """Return the CSS classes of a drawn poster: two colours, a motif and the size of the title."""
    first, second = _leading_genres(genres)
    # By id, so that a movie looks the same on every page.
    return f"g-{first} h-{second} v{movie_id % VARIANTS} {_size(title)}"


def _leading_genres(genres: Sequence[str]) -> tuple[str, str]:
    known = [genre for genre in BY_CHARACTER if genre in genres] or list(genres) or ["none"]
    return _slug(known[0]), _slug(known[min(1, len(known) - 1)])


def _slug(genre: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", genre.lower()).strip("-")


def _size(title: str) -> str:
    longest = max((len(word) for word in title.split()), default=0)
    if len(title) > LONGER_TITLE or longest > LONG_WORD + 3:
        return "t-s"
    return "t-m" if len(title) > LONG_TITLE or longest > LONG_WORD else "t-l"
