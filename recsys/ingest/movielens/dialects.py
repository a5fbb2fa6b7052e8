"""Detect the MovieLens formats by the names and the contents of the files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from recsys.domain import RatingScale, SourceMovie, User
from recsys.errors import DataError
from recsys.ingest.movielens import rows
from recsys.ingest.movielens.tables import Link, Table, TagName
from recsys.ingest.reading.intake import BlockReader
from recsys.ingest.reading.records import Grammar
from recsys.ingest.reading.sources import Entry, Folder

WHOLE_STARS = RatingScale(1.0, 5.0, 1.0)
HALF_STARS = RatingScale(0.5, 5.0, 0.5)

_TAB_LINE = re.compile(r"^\s*\d+\t\d+\t[\d.]+\t\d+\s*$", re.MULTILINE)
_COLON_LINE = re.compile(r"^\s*\d+::\d+::[\d.]+::\d+\s*$", re.MULTILINE)
_HALF_STAR = re.compile(r"::\d\.5::")


@dataclass(frozen=True, slots=True)
class RatingsFile:
    """A ratings file and the positions of its columns; `time` is None without a time column."""

    entry: Entry
    grammar: Grammar
    header: bool
    user: int = 0
    movie: int = 1
    rating: int | None = 2
    """None if each row is a rating without a value."""
    time: int | None = 3
    flexible_time: bool = False
    reader: BlockReader | None = None


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A file whose columns are fixed by its format."""

    entry: Entry
    grammar: Grammar
    header: bool


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """The files of a data set and how to read them."""

    dialect: str
    scale: RatingScale | None
    ratings: tuple[RatingsFile, ...]
    """One file, or the parts of one in their order."""
    movies: Table[SourceMovie] | None = None
    users: Table[User] | None = None
    links: Table[Link] | None = None
    tags: PlainFile | None = None
    genome_tags: Table[TagName] | None = None
    genome_scores: PlainFile | None = None
    readme: Entry | None = None
    implicit: bool = False
    """Each row is an interaction, of a strength if there is such a column."""
    unrated: float | None = None
    """The value of rows without a rating."""
    all_movies: bool = True
    """Whether a movie that the movies file leaves out is unknown."""
    keys_are_titles: bool = False

    @property
    def size(self) -> int | None:
        """Bytes of the files with rows, None if some are packed."""
        entries = self.entries()
        return None if any(e.packed for e in entries) else sum(e.size for e in entries)

    def entries(self) -> list[Entry]:
        """Return the files with rows."""
        files = (*self.ratings, self.movies, self.users, self.links, self.tags)
        genome = (self.genome_tags, self.genome_scores)
        return [file.entry for file in (*files, *genome) if file is not None]


def ml_100k(folder: Folder) -> DatasetLayout | None:
    """Detect ml-100k (1998): `u.data` with tabs, `u.item` and `u.user` with bars."""
    ratings = folder.files.get("u.data")
    if ratings is None or not _holds(ratings, _TAB_LINE):
        return None
    items, users = folder.files.get("u.item"), folder.files.get("u.user")
    genres = rows.GENRES_100K
    return DatasetLayout(
        "ml-100k",
        WHOLE_STARS,
        (RatingsFile(ratings, _old(ratings, "\t", 4), header=False),),
        movies=items
        and Table(items, _old(items, "|", 5 + len(genres)), False, rows.movie_100k(genres)),
        users=users and Table(users, _old(users, "|", 5), False, rows.user_100k),
    )


def ml_1m(folder: Folder) -> DatasetLayout | None:
    """Detect ml-1m (2003): double colons, latin-1, whole stars, a users file."""
    ratings = folder.files.get("ratings.dat")
    if ratings is None or not _holds(ratings, _COLON_LINE) or _is_10m(folder, ratings):
        return None
    movies, users = folder.files.get("movies.dat"), folder.files.get("users.dat")
    return DatasetLayout(
        "ml-1m",
        WHOLE_STARS,
        (RatingsFile(ratings, _old(ratings, "::", 4), header=False),),
        movies=movies and Table(movies, _old(movies, "::", 3), False, rows.movie_piped),
        users=users and Table(users, _old(users, "::", 5), False, rows.user_1m),
    )


def _old(entry: Entry, separator: str, columns: int) -> Grammar:
    """Return the grammar of an edition before ml-10m, which are in Latin-1."""
    return Grammar(separator, columns, entry.text_encoding("latin-1"))


def ml_10m(folder: Folder) -> DatasetLayout | None:
    """Detect ml-10m (2009): double colons, UTF-8, half stars, tags."""
    ratings = folder.files.get("ratings.dat")
    if ratings is None or not _holds(ratings, _COLON_LINE) or not _is_10m(folder, ratings):
        return None
    return _layout_10m(folder, ratings)


def _layout_10m(folder: Folder, ratings: Entry) -> DatasetLayout:
    movies, tags = folder.files.get("movies.dat"), folder.files.get("tags.dat")
    return DatasetLayout(
        "ml-10m",
        HALF_STARS,
        (RatingsFile(ratings, Grammar("::", 4), header=False),),
        movies=movies and Table(movies, Grammar("::", 3), False, rows.movie_piped),
        tags=tags and PlainFile(tags, Grammar("::", 4), header=False),
    )


def _is_10m(folder: Folder, ratings: Entry) -> bool:
    # ml-1m and ml-10m share the form of the ratings; only the files beside them differ.
    if "users.dat" in folder.files:
        return False
    return "tags.dat" in folder.files or bool(_HALF_STAR.search(_text(ratings)))


def ml_csv(folder: Folder) -> DatasetLayout | None:
    """Detect the editions since 2015: CSV with the MovieLens headers."""
    ratings = _with_header(folder, "ratings.csv", "userId,movieId,rating,timestamp")
    movies = _with_header(folder, "movies.csv", "movieId,title,genres")
    if ratings is None or movies is None:
        return None
    links = _expected(folder, "links.csv", "movieId,imdbId,tmdbId")
    tags = _expected(folder, "tags.csv", "userId,movieId,tag,timestamp")
    names = _expected(folder, "genome-tags.csv", "tagId,tag")
    scores = _expected(folder, "genome-scores.csv", "movieId,tagId,relevance")
    readmes = [entry for name, entry in folder.files.items() if name.startswith("readme")]
    return DatasetLayout(
        "ml-csv",
        HALF_STARS,
        (RatingsFile(ratings, _csv(4), header=True),),
        # Quoted titles and tags may contain line breaks.
        movies=Table(movies, _csv(3, multiline=True), True, rows.movie_piped),
        links=links and Table(links, _csv(3), True, rows.link),
        tags=tags and PlainFile(tags, _csv(4, multiline=True), header=True),
        genome_tags=names and Table(names, _csv(2, multiline=True), True, rows.tag_name),
        genome_scores=scores and PlainFile(scores, _csv(3), header=True),
        readme=readmes[0] if readmes else None,
    )


def _csv(columns: int, *, multiline: bool = False) -> Grammar:
    return Grammar(",", columns, quoted=True, multiline=multiline)


def _with_header(folder: Folder, name: str, header: str) -> Entry | None:
    entry = folder.files.get(name)
    if entry is None:
        return None
    return entry if entry.first_line().strip().replace('"', "") == header else None


def _expected(folder: Folder, name: str, header: str) -> Entry | None:
    """Return the file if present; raise DataError if its header is wrong."""
    entry = folder.files.get(name)
    if entry is not None and _with_header(folder, name, header) is None:
        raise DataError(
            f"{entry.name}, line 1: the header is {entry.first_line()[:80]!r}, not {header!r}",
            hint="Restore the file as MovieLens ships it, or move it out of the folder.",
        )
    return entry


def _holds(entry: Entry, line: re.Pattern[str]) -> bool:
    """Tell whether the start of the file has such a line; an empty file counts as a match."""
    text = _text(entry)
    return not text.strip() or line.search(text) is not None


def _text(entry: Entry) -> str:
    # Every byte is valid in latin-1, so a file of unknown encoding can be searched.
    return entry.head().decode("latin-1").replace("\r", "\n")


Detector = Callable[[Folder], DatasetLayout | None]
MOVIELENS: dict[str, Detector] = {
    "ml-100k": ml_100k,
    "ml-1m": ml_1m,
    "ml-10m": ml_10m,
    "ml-csv": ml_csv,
}
