"""Parse rows of the MovieLens tables into typed values."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace

from recsys.domain import SourceMovie, User
from recsys.ingest.movielens.tables import Link, Tag, TagName
from recsys.ingest.movielens.titles import split_title
from recsys.ingest.reading.characters import one_line
from recsys.ingest.reading.keys import numeric_id
from recsys.ingest.reading.numbers import (
    BadField,
    TimeField,
    parse_id,
    parse_integer,
    shown,
)

LONGEST_KEY = 2000
"""Bytes of a tag or genre; a B-tree entry of PostgreSQL holds at most about 2,700."""

Fields = Sequence[str]

# In the order of the flags in u.item.
GENRES_100K = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)

AGES_1M = (1, 18, 25, 35, 45, 50, 56)
"""The lower bounds of the age groups, which are their codes."""

OCCUPATIONS_1M = (
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)

_NO_GENRE = frozenset({"", "unknown", "(no genres listed)"})
_ANY_GENRE_SEPARATOR = re.compile(r"[|,;]")
_OLDEST = 150
_YES, _NO = frozenset({"true", "t", "yes", "1"}), frozenset({"false", "f", "no", "0"})


def movie_from(
    movie_id: int, original: str, genres: Sequence[str], year: int | None
) -> SourceMovie:
    """Return a movie; `year` takes precedence over the year in the title."""
    original = one_line(original, "title").strip()
    title, title_year = split_title(original)
    if not title:
        raise BadField("title is empty")
    # Each genre once: movie and genre are a key of the store.
    named = dict.fromkeys(one_line(genre, "genre").strip() for genre in genres)
    kept = tuple(genre for genre in named if genre.lower() not in _NO_GENRE)
    if any(len(genre.encode()) > LONGEST_KEY for genre in kept):
        raise BadField(f"genre is longer than {LONGEST_KEY} bytes")
    return SourceMovie(movie_id, title, original, title_year if year is None else year, kept)


def movie_100k(genres: Sequence[str]) -> Callable[[Fields], SourceMovie]:
    """Return a parser of `u.item`, whose last columns are flags for these genres."""

    def parse(fields: Fields) -> SourceMovie:
        flags = fields[5:]
        wrong = [flag for flag in flags if flag.strip() not in ("0", "1")]
        if wrong:
            raise BadField(f"genre flag {shown(wrong[0])} is neither 0 nor 1")
        named = [genre for genre, flag in zip(genres, flags, strict=True) if flag.strip() == "1"]
        movie_id = parse_id(fields[0], "movie id")
        year = None if split_title(fields[1])[1] else _release_year(fields[2])
        return movie_from(movie_id, fields[1], named, year)

    return parse


def _release_year(date: str) -> int | None:
    """Return the year of a date such as `01-Jan-1995`; the column may be empty."""
    year = date.strip()[-4:]
    if not (year.isascii() and year.isdecimal() and len(year) == 4):
        return None
    return int(year) if 1800 <= int(year) <= 2200 else None


def movie_piped(fields: Fields) -> SourceMovie:
    """Parse id, title and genres separated by bars (ml-1m and later editions)."""
    return movie_from(parse_id(fields[0], "movie id"), fields[1], fields[2].split("|"), None)


@dataclass(frozen=True, slots=True)
class MovieColumns:
    """Parse rows of a movies file by the positions of its columns."""

    movie_id: int
    title: int
    genres: int | None
    year: int | None
    available: int | None = None
    read_id: Callable[[str], int] = lambda text: numeric_id(text, "movie")
    """Return the id of a movie, or its position among the keys."""
    lenient: bool = False
    """A missing title, and a year in no film's range, cost the row nothing but that."""

    def __call__(self, fields: Fields) -> SourceMovie:
        movie_id = self.read_id(fields[self.movie_id])
        genres = "" if self.genres is None else fields[self.genres]
        year = "" if self.year is None else fields[self.year].strip()
        # pandas writes whole numbers as floats if values are missing in the column.
        given = self._year(year.removesuffix(".0")) if year else None
        title = fields[self.title]
        if self.lenient and not title.strip():
            title = f"Movie {fields[self.movie_id].strip()}"
        movie = movie_from(movie_id, title, _ANY_GENRE_SEPARATOR.split(genres), given)
        if self.available is None:
            return movie
        return replace(movie, available=_flag(fields[self.available], "available"))

    def _year(self, text: str) -> int | None:
        try:
            year = parse_integer(text, "year")
            if not 1800 <= year <= 2200:
                raise BadField(f"year {year} is outside 1800 to 2200")
        except BadField:
            if self.lenient:
                return None
            raise
        return year


def _flag(text: str, what: str) -> bool | None:
    """Parse yes or no in the ways that programs write them; an empty field tells nothing."""
    word = text.strip().lower()
    if word and word not in _YES | _NO:
        raise BadField(f"{what} {shown(text)} is neither true nor false")
    return word in _YES if word else None


def link(fields: Fields) -> Link:
    """Parse movieId, imdbId and tmdbId; the last two may be empty."""
    imdb, tmdb = fields[1].strip().removeprefix("tt"), fields[2].strip()
    return (
        parse_id(fields[0], "movie id"),
        parse_id(imdb, "IMDb id") if imdb else None,
        parse_id(tmdb, "TMDB id") if tmdb else None,
    )


def user_100k(fields: Fields) -> User:
    """Parse id, age, gender, occupation and zip code."""
    age = parse_integer(fields[1], "age")
    if not 0 <= age <= _OLDEST:
        raise BadField(f"age {age} is outside 0 to {_OLDEST}")
    user_id = parse_id(fields[0], "user id")
    return User(user_id, age, _gender(fields[2]), _text(fields[3], "occupation"), _zip(fields[4]))


def user_1m(fields: Fields) -> User:
    """Parse id, gender, age group, occupation code and zip code."""
    user_id = parse_id(fields[0], "user id")
    age = parse_integer(fields[2], "age")
    if age not in AGES_1M:
        raise BadField(f"age group {age} is none of {', '.join(map(str, AGES_1M))}")
    code = parse_integer(fields[3], "occupation")
    if not 0 <= code < len(OCCUPATIONS_1M):
        raise BadField(f"occupation {code} is outside 0 to {len(OCCUPATIONS_1M) - 1}")
    return User(user_id, age, _gender(fields[1]), OCCUPATIONS_1M[code], _zip(fields[4]))


def _gender(text: str) -> str:
    gender = text.strip()
    if gender not in ("F", "M"):
        raise BadField(f"gender {shown(gender)} is neither F nor M")
    return gender


def _text(text: str, what: str) -> str | None:
    return one_line(text, what).strip() or None


def _zip(text: str) -> str | None:
    return _text(text, "zip code")


def tag(known: Container[int], times: TimeField) -> Callable[[Fields], Tag]:
    """Return a parser of user, movie, tag and time."""

    def parse(fields: Fields) -> Tag:
        user_id, movie_id = parse_id(fields[0], "user id"), parse_id(fields[1], "movie id")
        if movie_id not in known:
            raise BadField(f"movie {movie_id} is unknown")
        text = one_line(fields[2], "tag").strip()
        if not text:
            raise BadField("tag is empty")
        if len(text.encode()) > LONGEST_KEY:
            raise BadField(f"tag is longer than {LONGEST_KEY} bytes")
        return user_id, movie_id, text, times.parse(fields[3])

    return parse


def tag_name(fields: Fields) -> TagName:
    """Parse tagId and tag."""
    tag_id, name = parse_id(fields[0], "tag id"), one_line(fields[1], "tag").strip()
    if not name:
        raise BadField("tag is empty")
    return tag_id, name
