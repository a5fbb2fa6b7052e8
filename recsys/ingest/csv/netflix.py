"""The Netflix Prize: ratings below a line with the number of their movie."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recsys.domain import RatingScale, SourceMovie
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.movielens.rows import MovieColumns
from recsys.ingest.movielens.tables import Table
from recsys.ingest.reading.intake import Block, Intake
from recsys.ingest.reading.records import Grammar
from recsys.ingest.reading.sources import Entry, Folder

_NAME = re.compile(r"(?:combined_data_|mv_)[0-9]+\.txt")
_START = re.compile(rb"[0-9]+:\r?\n[0-9]+,[1-5],[0-9]{4}-[0-9]{2}-[0-9]{2}\r?\n")
_MOVIE = re.compile(rb"^([0-9]+):[ \t]*\n", re.MULTILINE)
_RATINGS = Grammar(",", 4)
_MOVIES = Grammar("\t", 3)


def netflix_prize(folder: Folder) -> DatasetLayout | None:
    """Detect `combined_data_1.txt` and the like, `mv_0000001.txt` and the like, or one of them."""
    names = sorted(name for name in folder.files if _NAME.fullmatch(name))
    if len(folder.files) == 1 and not names:
        names = list(folder.files)
    parts = [folder.files[name] for name in names]
    if not parts or not _START.match(parts[0].head()):
        return None
    titles = folder.files.get("movie_titles.csv") or folder.files.get("movie_titles.txt")
    return DatasetLayout(
        "netflix-prize",
        RatingScale(1.0, 5.0, 1.0),
        tuple(_ratings(part) for part in parts),
        movies=titles and _titles(titles),
        all_movies=False,
    )


def _ratings(entry: Entry) -> RatingsFile:
    return RatingsFile(entry, _RATINGS, False, 0, 3, 1, 2, True, _with_movies)


def _with_movies(intake: Intake, entry: Entry) -> Iterator[Block]:
    """Yield the ratings of one movie after the other, with its number as their last column."""
    movie = b""
    for block in intake.blocks(entry, header=False):
        start, line = 0, block.first_line
        for found in [*_MOVIE.finditer(block.data), None]:
            stop = len(block.data) if found is None else found.start()
            ratings = block.data[start:stop]
            if ratings:
                yield Block(ratings.replace(b"\n", b"," + movie + b"\n"), line)
            line += ratings.count(b"\n") + 1
            if found is not None:
                movie, start = found[1], found.end()


def _titles(entry: Entry) -> Table[SourceMovie]:
    parse = MovieColumns(0, 2, None, 1, lenient=True)
    return Table(entry, _MOVIES, False, parse, _title_lines)


def _title_lines(intake: Intake, entry: Entry) -> Iterator[Block]:
    """Yield id, year and title as columns; a title may have commas, the file is in Latin-1."""
    for block in intake.blocks(entry, header=False):
        text = block.data.decode("latin-1").replace("\t", " ")
        lines = (line.replace(",", "\t", 2) for line in text.split("\n"))
        yield Block("\n".join(lines).encode(), block.first_line)
