"""Published data sets whose files need more than the names of their columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from recsys.domain import RatingScale

_LINES = 20
_FIVE_STARS = RatingScale(1.0, 5.0, 1.0)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A ratings file without a header, known by the form of its lines."""

    name: str
    separator: str
    order: tuple[str, ...]
    """What each column is: `user`, `movie`, `rating`, `strength`, `time`, or empty."""
    line: re.Pattern[str]
    scale: RatingScale | None = None
    keys_are_titles: bool = False
    """Movies are named in the file, so that their names serve as keys."""


@dataclass(frozen=True, slots=True)
class KnownHeader:
    """A ratings file with these columns, which say more than their names do."""

    name: str
    columns: frozenset[str]
    scale: RatingScale | None = None
    unrated: float | None = None
    """The value that stands for no rating."""
    encoding: str = "utf-8"
    some_movies: bool = field(default=False, kw_only=True)
    """The movies file does not describe all movies."""


HEADERLESS = (
    KnownFile(
        "amazon-2014",
        ",",
        ("user", "movie", "rating", "time"),
        re.compile(r"A[0-9A-Z]{9,},[0-9A-Z]{10},[1-5](?:\.0)?,[0-9]{9,10}"),
        _FIVE_STARS,
    ),
    KnownFile(
        "amazon-2018",
        ",",
        ("movie", "user", "rating", "time"),
        re.compile(r"[0-9A-Z]{10},A[0-9A-Z]{9,},[1-5](?:\.0)?,[0-9]{9,10}"),
        _FIVE_STARS,
    ),
    KnownFile(
        "lastfm-360k",
        "\t",
        # A few per cent of the artists have no id, all have a name.
        ("user", "", "movie", "strength"),
        re.compile(r"[0-9a-f]{40}\t[0-9a-f-]{0,36}\t[^\t]+\t *[0-9]+"),
        keys_are_titles=True,
    ),
    KnownFile(
        "lastfm-1k",
        "\t",
        ("user", "time", "", "movie", "", ""),
        re.compile(r"user_[0-9]{6}\t[0-9-]{10}T[0-9:]{8}Z\t[^\t]*\t[^\t]+\t[^\t]*\t[^\t]*"),
        keys_are_titles=True,
    ),
    KnownFile(
        "steam-200k",
        ",",
        ("user", "movie", "", "", ""),
        re.compile(r'[0-9]+,(?:"[^"]+"|[^",]+),(?:purchase|play),[0-9.]+,0'),
        keys_are_titles=True,
    ),
    KnownFile(
        "jester",
        "\t\t",
        ("user", "movie", "rating"),
        re.compile(r"[0-9]+\t\t[0-9]+\t\t-?[0-9.]+"),
        RatingScale(-10.0, 10.0, 0.0),
    ),
)

HEADERS = (
    KnownHeader(
        "amazon-2018",
        frozenset({"reviewerid", "asin", "overall"}),
        _FIVE_STARS,
        some_movies=True,
    ),
    KnownHeader(
        "amazon-2023",
        frozenset({"userid", "parentasin", "rating"}),
        _FIVE_STARS,
        some_movies=True,
    ),
    KnownHeader(
        "goodreads",
        frozenset({"userid", "bookid", "rating", "isread"}),
        _FIVE_STARS,
        0.0,
        some_movies=True,
    ),
    KnownHeader(
        "goodreads",
        frozenset({"userid", "bookid", "rating", "dateadded"}),
        _FIVE_STARS,
        0.0,
        some_movies=True,
    ),
    KnownHeader(
        "yelp", frozenset({"userid", "businessid", "stars"}), _FIVE_STARS, some_movies=True
    ),
    KnownHeader(
        "book-crossing",
        frozenset({"userid", "isbn", "bookrating"}),
        RatingScale(1.0, 10.0, 1.0),
        0.0,
        some_movies=True,
    ),
)


def headerless(text: str) -> KnownFile | None:
    """Return the data set whose lines all of the first lines are like, None if there is none."""
    lines = [line for line in text.splitlines()[:_LINES] if line.strip()]
    for known in HEADERLESS:
        if lines and all(known.line.fullmatch(line) for line in lines):
            return known
    return None


def with_header(columns: frozenset[str]) -> KnownHeader | None:
    """Return the data set with these columns, None if there is none."""
    return next((known for known in HEADERS if known.columns <= columns), None)
