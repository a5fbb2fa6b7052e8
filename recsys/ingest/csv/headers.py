"""Detect ratings and movies files in CSV form by the names of their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import PurePath

from recsys.domain import SourceMovie
from recsys.errors import DataError
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.movielens.rows import MovieColumns
from recsys.ingest.movielens.tables import Table
from recsys.ingest.reading.records import Grammar
from recsys.ingest.reading.sources import Entry, Folder

SEPARATORS = (",", ";", "\t")

# If several columns match, the name listed first is taken.
USER = (
    "userid",
    "user",
    "uid",
    "customerid",
    "customer",
    "reviewerid",
    "reviewer",
    "raterid",
    "rater",
    "memberid",
    "member",
    "personid",
    "person",
    "viewerid",
    "viewer",
    "accountid",
)
MOVIE = (
    "movieid",
    "movie",
    "mid",
    "filmid",
    "film",
    "itemid",
    "item",
    "iid",
    "productid",
    "product",
    "titleid",
    "showid",
    "contentid",
)
RATING = ("rating", "value", "score", "stars", "userrating", "ratingvalue")
TIME = (
    "timestamp",
    "ratedat",
    "time",
    "ts",
    "datetime",
    "unixtime",
    "unixtimestamp",
    "ratingtimestamp",
    "createdat",
    "ratingdate",
    "rateddate",
    "date",
)
TITLE = (
    "title",
    "movietitle",
    "filmtitle",
    "itemtitle",
    "producttitle",
    "name",
    "moviename",
)
GENRES = ("genres", "genre")
YEAR = ("year", "releaseyear", "movieyear")

_IGNORED = re.compile(r"[\s_\-]+")
_TEXT_FILES = (".csv", ".tsv", ".txt")
_CATALOGUES = ("movies", "movie", "films", "items", "products")

Header = dict[str, int]


def detect_csv(folder: Folder) -> DatasetLayout | None:
    """Detect a file with user, movie and rating columns, and a movies file beside it."""
    # A single file may have any name.
    names = [name for name in folder.files if len(folder.files) == 1 or name.endswith(_TEXT_FILES)]
    ratings = {
        name: found for name in sorted(names) if (found := _ratings(folder.files[name])) is not None
    }
    if not ratings:
        _refuse_empty(folder)
        return None
    name = _preferred(ratings, ("ratings", "rating"), folder.name, "ratings")
    movies = {
        other: table
        for other in sorted(names)
        if other not in ratings and (table := _movies(folder.files[other])) is not None
    }
    chosen = movies and movies[_preferred(movies, _CATALOGUES, folder.name, "movies")]
    return DatasetLayout("csv", None, (ratings[name],), movies=chosen or None)


def _refuse_empty(folder: Folder) -> None:
    for name, entry in folder.files.items():
        if entry.size == 0 and (len(folder.files) == 1 or PurePath(name).stem == "ratings"):
            raise DataError(f"{entry.name} is empty", hint="Check how the file was made.")


def _preferred(found: Mapping[str, object], stems: tuple[str, ...], folder: str, what: str) -> str:
    """Return the only name, or the only match of the first of `stems` that matches any."""
    if len(found) == 1:
        return next(iter(found))
    for stem in stems:
        exact = [name for name in found if PurePath(name).stem == stem]
        alike = exact or [name for name in found if name.startswith(stem)]
        if len(alike) == 1:
            return alike[0]
    raise DataError(
        f"{folder} holds several files that could be the {what}: {', '.join(found)}",
        hint="Give the ratings file itself, or leave only one of them in the folder.",
    )


def _ratings(entry: Entry) -> RatingsFile | None:
    separator, columns, header = _header(entry, (USER, MOVIE, RATING))
    if not header:
        return None
    positions = [_find(header, names) for names in (USER, MOVIE, RATING, TIME)]
    user, movie, rating, time = positions
    # Ids and numbers hold no line breaks; only files with other columns need the slower search.
    extra = columns > sum(position is not None for position in positions)
    grammar = Grammar(separator, columns, quoted=True, multiline=extra)
    if user is None or movie is None or rating is None:
        return None
    return RatingsFile(entry, grammar, True, user, movie, rating, time, flexible_time=True)


def _movies(entry: Entry) -> Table[SourceMovie] | None:
    catalogue = PurePath(entry.name).stem.lower() in _CATALOGUES
    # A column `id` is ambiguous: in TMDB's metadata it is not the movie id of the ratings.
    ids = (*MOVIE, "id") if catalogue else MOVIE
    separator, columns, header = _header(entry, (ids, TITLE))
    movie, title = _find(header, ids), _find(header, TITLE)
    # A title beside a user is a review or a tag, not a movie.
    if movie is None or title is None or _find(header, USER) is not None:
        return None
    if not catalogue and _find(header, RATING) is not None:
        return None
    parse = MovieColumns(movie, title, _find(header, GENRES), _find(header, YEAR))
    grammar = Grammar(separator, columns, quoted=True, multiline=True)
    return Table(entry, grammar, True, parse)


def _header(entry: Entry, needed: tuple[tuple[str, ...], ...]) -> tuple[str, int, Header]:
    """Return separator, number of columns and positions by name; no positions if one is missing."""
    line = entry.first_line()
    for separator in SEPARATORS:
        fields = next(csv.reader([line], delimiter=separator), [])
        header: Header = {}
        for position, field in enumerate(fields):
            header.setdefault(_IGNORED.sub("", field).lower(), position)
        if all(_find(header, names) is not None for names in needed):
            return separator, len(fields), header
    return ",", 0, {}


def _find(header: Header, names: tuple[str, ...]) -> int | None:
    return next((header[name] for name in names if name in header), None)
