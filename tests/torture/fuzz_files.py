"""Read broken data sets of every format, and check what each of them leaves in the database.

.venv/bin/python tests/torture/fuzz_files.py --seed 1 --seconds 600
"""

from __future__ import annotations

import argparse
import io
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from recsys.domain import NO_TIME, Dataset, MetadataSet
from recsys.errors import DataError
from recsys.ingest import read_dataset
from recsys.ingest.reading.rejects import RejectLimit
from recsys.ingest.tmdb.dataset import read_metadata
from recsys.ingest.tmdb.fields import MOVIE_COLUMNS
from recsys.jobs.ingest import ingest, ingest_metadata
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

Files = dict[str, bytes]
LONGEST_S = 60
LARGEST_FILE = 4 << 20
MOST_MEMORY_MB = 1500
EVERY_ROW = RejectLimit(share=1.0)
IN_DATABASE = 4
"""One case of so many is loaded as well as read."""
NAMES = ("Amélie", "Heat", 'Say "No"', "Matrix, The", "東京物語", "M", "8½", "Léon: The, Pro")
STRANGE = (
    "", " ", "-", "0", "-1", "1e3", "1e999", "NaN", "inf", "2147483648", "9" * 400, "1.5", "٣",
    "\0", "\x1b[31m", "\x9b", "\x7f", "\t", '"', '""', '"a', 'a"b', "a,b", "a::b", "|", "\r",
    "2020-02-30", "2020-01-01T00:00:00Z", "é" * 3000, "\u2028", "\u202e", "\ufeff", "None",
    "[{'id': 1, 'name': 'x'}]", "[" * 500, "|".join(f"g{n}" for n in range(1200)),
)  # fmt: skip
PIECES = (
    b'"', b'""', b"\0", b"\r", b"\n", b"\r\n", b"\x1b]0;x\x07", b"\xff", b"\xc3", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\x85", b",", b"::", b"\t", b"|", b",,,,", b'"' * 99, b"\\",
)  # fmt: skip
ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig", "cp1252")
ODD_NAMES = (
    "../../ratings.csv", "/etc/ratings.csv", "a\\b\\ratings.csv", "x\x1b[31m/ratings.csv", "..",
    "__MACOSX/ratings.csv", "RATINGS.CSV", "ratings.csv/", "a/b/c/d/e/f/movies.csv", "\n.csv",
)  # fmt: skip
TABLES = ("movies", "genres", "movie_genres", "users", "ratings", "tags", "genome_tags",
          "genome_scores", "movie_metadata", "keywords", "movie_keywords", "people",
          "movie_credits")  # fmt: skip
CONTENTS = " UNION ALL ".join(
    f"SELECT '{table}', count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') "
    f"FROM recsys_store.{table} AS t"
    for table in (*TABLES, "ingests", "rejected_rows")
)
STEERING = """
SELECT text FROM (
    SELECT title FROM recsys_store.movies UNION ALL SELECT original_title FROM recsys_store.movies
    UNION ALL SELECT name FROM recsys_store.genres UNION ALL SELECT tag FROM recsys_store.tags
    UNION ALL SELECT occupation FROM recsys_store.users
    UNION ALL SELECT zip_code FROM recsys_store.users
    UNION ALL SELECT name FROM recsys_store.keywords UNION ALL SELECT name FROM recsys_store.people
    UNION ALL SELECT edition || source || files::text FROM recsys_store.ingests
    UNION ALL SELECT file || content || reason FROM recsys_store.rejected_rows
) AS found (text)
WHERE text ~ '[\\x01-\\x08\\x0b-\\x1f\\x7f-\\x9f]'
"""
ODD_LINE = re.compile(rb'["\0\x0b-\x1f\x7f+eE]')
"""Quotes, controls and exponents, which a simple parser leaves to the real one."""
STEERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Violation(AssertionError):
    """A guarantee that does not hold."""


# --- sound data sets ------------------------------------------------------------------------------


def _lines(rows: Sequence[Sequence[object]], separator: str) -> str:
    def quoted(value: object) -> str:
        text = str(value)
        needed = separator in (",", ";") and re.search(rf'["\n{separator}]', text)
        return '"' + text.replace('"', '""') + '"' if needed else text

    return "".join(separator.join(map(quoted, row)) + "\n" for row in rows)


def _ratings(draw: random.Random, values: Sequence[object]) -> list[tuple[object, ...]]:
    return [
        (user, movie, draw.choice(values), 10**9 + draw.randrange(10**8))
        for user in range(1, draw.randint(2, 12))
        for movie in draw.sample(range(1, 9), draw.randint(1, 6))
    ]


def _titles() -> list[tuple[int, str, str]]:
    return [(n, f"{name} ({1940 + 7 * n})", "Drama|War") for n, name in enumerate(NAMES, 1)]


HALVES = (0.5, 1.0, 2.5, 3.0, 4.5, 5.0)


def ml_csv(draw: random.Random) -> Files:
    titles = _titles()
    tags = [(1, movie, draw.choice(NAMES), 10**9) for movie in range(1, 9)]
    tables: dict[str, tuple[str, list[tuple[object, ...]]]] = {
        "ratings.csv": ("userId,movieId,rating,timestamp", _ratings(draw, HALVES)),
        "movies.csv": ("movieId,title,genres", list(titles)),
        "links.csv": ("movieId,imdbId,tmdbId", [(n, f"{n:07}", n + 100) for n in range(1, 9)]),
        "tags.csv": ("userId,movieId,tag,timestamp", list(tags)),
        "genome-tags.csv": ("tagId,tag", [(1, "noir"), (2, "quiet, dark")]),
        "genome-scores.csv": ("movieId,tagId,relevance", [(n, 1, n / 9) for n in range(1, 9)]),
    }
    files = {name: f"{head}\n{_lines(rows, ',')}" for name, (head, rows) in tables.items()}
    files["README.txt"] = "This dataset (ml-25m) describes ratings\n"
    return {name: text.encode() for name, text in files.items()}


def ml_100k(draw: random.Random) -> Files:
    flags = "|".join("0" * 18) + "|1"
    items = "".join(
        f"{n}|{title}|01-Jan-1995||http://x|{flags}\n" for n, title, _ in _titles() if n != 5
    )
    users = "".join(f"{n}|{20 + n}|F|artist|{n:05}\n" for n in range(1, 13))
    rows = [row for row in _ratings(draw, (1, 2, 3, 4, 5)) if row[1] != 5]
    files = {"u.data": _lines(rows, "\t"), "u.item": items, "u.user": users}
    return {name: text.encode("latin-1") for name, text in files.items()}


def ml_1m(draw: random.Random) -> Files:
    movies = [row for row in _titles() if row[0] != 5]
    users = [(n, "F", 25, 3, "48067") for n in range(1, 13)]
    rows = [row for row in _ratings(draw, (1, 2, 3, 4, 5)) if row[1] != 5]
    tables = {"ratings.dat": rows, "movies.dat": movies, "users.dat": users}
    return {name: _lines(rows, "::").encode("latin-1") for name, rows in tables.items()}


def ml_10m(draw: random.Random) -> Files:
    tags = [(1, movie, draw.choice(NAMES), 10**9) for movie in range(1, 9)]
    tables = {"ratings.dat": _ratings(draw, HALVES), "movies.dat": _titles(), "tags.dat": tags}
    return {name: _lines(rows, "::").encode() for name, rows in tables.items()}


def other_csv(draw: random.Random) -> Files:
    separator = draw.choice(",;\t")
    header = draw.choice(
        (["User ID", "film", "stars", "rated_at"], ["customer", "item-id", "Score", "date"])
    )
    rows = _ratings(draw, HALVES)
    if draw.random() < 0.5:
        header, rows = [*header, "review"], [(*row, draw.choice(NAMES)) for row in rows]
    if draw.random() < 0.3:
        return {"mine.csv": _lines([header, *rows], separator).encode()}
    movies = [("id", "name", "genre", "year"), *((n, t, g, 1990) for n, t, g in _titles())]
    files = {"ratings.csv": [header, *rows], "movies.csv": movies}
    return {name: _lines(rows, separator).encode() for name, rows in files.items()}


def the_movies_dataset(draw: random.Random) -> Files:
    films = [
        (
            "{'id': 1, 'name': 'Series'}", 10, n + 100, f"tt{n:07}", "en", name,
            f"A plot\nof {name}", 1.5, "/p.jpg", "1995-10-30", 20, 81.0, "", name, 7.5,
            draw.randrange(99),
        )
        for n, name in enumerate(NAMES, 1)
    ]  # fmt: skip
    keywords = [(n + 100, "[{'id': 7, 'name': \"it's\"}]") for n in range(1, 9)]
    people = "[{'id': 3, 'name': 'Ann', 'order': 0, 'character': 'M', 'job': 'Director'}]"
    credits_ = [(people, people, n + 100) for n in range(1, 9)]
    tables: dict[str, list[Sequence[object]]] = {
        "movies_metadata.csv": [MOVIE_COLUMNS, *films],
        "keywords.csv": [("id", "keywords"), *keywords],
        "credits.csv": [("cast", "crew", "id"), *credits_],
    }
    return {name: _lines(rows, ",").encode() for name, rows in tables.items()}


FORMATS: tuple[Callable[[random.Random], Files], ...] = (
    ml_csv, ml_100k, ml_1m, ml_10m, other_csv, the_movies_dataset,
)  # fmt: skip


# --- mutations of one file ------------------------------------------------------------------------


def _place(draw: random.Random, data: bytes) -> int:
    return draw.randrange(len(data) + 1)


def flip_bytes(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 3, 30)) if data else 0):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def insert_piece(draw: random.Random, data: bytes) -> bytes:
    place = _place(draw, data)
    return data[:place] + draw.choice(PIECES) * draw.choice((1, 1, 2, 50)) + data[place:]


def cut(draw: random.Random, data: bytes) -> bytes:
    start, stop = sorted((_place(draw, data), _place(draw, data)))
    return draw.choice((data[:start], data[start:], data[:start] + data[stop:], b""))


def change_lines(draw: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    line = draw.randrange(len(lines))
    match draw.randrange(5):
        case 0:
            del lines[line]
        case 1:
            lines.insert(line, draw.choice(lines))
        case 2:
            draw.shuffle(lines)
        case 3:
            lines[line] = lines[line].strip() * draw.choice((1, 2, 2000))
        case _:
            lines *= draw.choice((2, 5, 400))
    return b"".join(lines)


def change_field(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    for _ in range(draw.choice((1, 1, 4))):
        line = draw.randrange(len(lines))
        fields = re.split(rb"(::|[,;\t|])", lines[line])
        fields[draw.randrange(len(fields))] = draw.choice(STRANGE).encode()
        lines[line] = b"".join(fields)
    return b"\n".join(lines)


def change_ends(draw: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n", b"\n \n", b"\r\r\n")))


def encode(draw: random.Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(draw.choice(ENCODINGS), "replace")


def change_header(draw: random.Random, data: bytes) -> bytes:
    head, newline, rest = data.partition(b"\n")
    names = head.split(b",")
    match draw.randrange(4):
        case 0:
            draw.shuffle(names)
        case 1:
            names.append(draw.choice(names))
        case 2:
            names.pop()
        case _:
            return head.upper() + newline + rest
    return b",".join(names) + newline + rest


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip_bytes, insert_piece, cut, change_lines, change_field, change_ends, encode, change_header,
)  # fmt: skip


def mutate(draw: random.Random, files: Files) -> Files:
    """Change some files; sometimes drop, rename or add one."""
    changed = dict(files)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        name = draw.choice(sorted(changed))
        changed[name] = draw.choice(MUTATIONS)(draw, changed[name])[:LARGEST_FILE]
    if draw.random() < 0.1 and len(changed) > 1:
        del changed[draw.choice(sorted(changed))]
    if draw.random() < 0.1:
        name = draw.choice(sorted(changed))
        changed[draw.choice((name.upper(), "other.csv", "ratings.csv"))] = changed.pop(name)
    if draw.random() < 0.1:
        junk = draw.choice((b"", b"\0" * 99, b"notes\n", "a,b\n".encode("utf-16"), b"\x1f\x8b\x08"))
        changed[draw.choice(("notes.txt", "zz.csv", "\x1b[31m.csv", "tags.csv"))] = junk
    return changed


# --- folders and archives -------------------------------------------------------------------------


def write_folder(draw: random.Random, files: Files, place: Path) -> Path:
    folder = place / draw.choice(("ml-x", "ml-latest-small", "a b", "\x1b[31m", "é"))
    inner = folder / draw.choice(("", "", "inner", "a/b"))
    inner.mkdir(parents=True)
    for name, data in files.items():
        (inner / name).write_bytes(data)
    match draw.randrange(12):
        case 0:
            (inner / "loop").symlink_to(folder)
        case 1:
            (inner / "gone.csv").symlink_to(place / "nothing")
        case 2:
            (inner / "movies.csv").unlink(missing_ok=True)
            (inner / "movies.csv").mkdir()
        case 3:
            (inner / "linked.csv").symlink_to(inner / sorted(files)[0])
    single = sorted(inner.glob("*.csv"))
    return draw.choice(single) if single and draw.random() < 0.2 else folder


def write_archive(draw: random.Random, files: Files, place: Path) -> Path:
    kept = io.BytesIO()
    method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    folder = draw.choice(("", "ml-x/", "a/b/c/", "../../", "/abs/", "w\\"))
    with zipfile.ZipFile(kept, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(folder + name, data)
        if draw.random() < 0.2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the name may be there already
                archive.writestr(draw.choice(ODD_NAMES), draw.choice(sorted(files.values())))
    data = kept.getvalue()
    match draw.randrange(10):
        case 0:
            data = flip_bytes(draw, data)
        case 1:
            data = cut(draw, data)
        case 2:
            data = b"junk" * draw.randrange(99) + data
        case 3:
            data = _with_flag(draw, data)
        case 4:
            data = _in_another(data)
    path = place / draw.choice(("ml-x.zip", "the.zip", "x.csv", "\x1b[31m.zip"))
    path.write_bytes(data)
    return path


def _with_flag(draw: random.Random, data: bytes) -> bytes:
    """Change the headers of the first member: encrypted, other sizes, another method."""
    changed = bytearray(data)
    start = data.find(b"PK\1\2")
    if start >= 0:
        changed[start + draw.choice((8, 10, 20, 24, 25, 26, 27, 42))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _in_another(data: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("inner.zip", data)
    return kept.getvalue()


# --- guarantees -----------------------------------------------------------------------------------


@dataclass
class Outcomes:
    """What the cases came to."""

    counts: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0


@contextmanager
def _in_time() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise Violation(f"it takes more than {LONGEST_S} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


def check_error(error: DataError) -> None:
    message = f"{error} {error.hint}"
    expect(len(message) < 3000, "the message of the error is long")
    # Paths are shown as given; the command line escapes them.
    shown = re.sub(r"/\S*", "", message)
    expect("Traceback" not in shown and "\0" not in shown, f"the error is raw: {shown!r}")


def check_dataset(found: Dataset, files: Files) -> None:
    ratings = found.ratings
    keys = ratings.user_ids.astype(np.int64) << 32 | ratings.movie_ids
    expect(len(np.unique(keys)) == len(keys), "a pair occurs twice")
    expect(bool(np.isfinite(ratings.values).all()), "a rating is not finite")
    movies = {movie.movie_id for movie in found.movies}
    expect(set(ratings.movie_ids.tolist()) <= movies, "a rated movie is unknown")
    expect(min((row.line for row in found.rejected), default=1) > 0, "a line is not counted from 1")
    expect(len(found.rejected) <= found.rejected_count, "more rows are kept than rejected")
    steering = [text for text in texts_of(found) if STEERS.search(text)]
    expect(not steering, f"control characters are read: {steering[:3]!r}")
    loaded = len(ratings) + found.duplicates + found.rejected_count
    if len(found.files) == 1:
        expect(found.rows_read == loaded, f"{found.rows_read} rows read, {loaded} accounted for")
    else:
        loaded += len(found.movies) + len(found.users) + len(found.tags or ())
        loaded += len(found.genome.relevance) + len(found.genome.names) if found.genome else 0
        # Movies that are made from ratings are in no file; equal rows of a table are merged.
        named = any("movies" in file.name.lower() or file.name == "u.item" for file in found.files)
        expect(not named or found.rows_read >= loaded, "more rows are loaded than read")
    expected = parsed_apart(found, files)
    if expected is not None:
        got = dict(zip(keys.tolist(), ratings.values.tolist(), strict=True))
        expect(got == expected, f"other ratings than parsed apart: {got} and {expected}")


def texts_of(found: Dataset) -> Iterator[str]:
    for movie in found.movies:
        yield from (movie.title, movie.original_title, *movie.genres)
    for user in found.users:
        yield from filter(None, (user.gender, user.occupation, user.zip_code))
    yield from found.tags.tags if found.tags else ()
    yield from found.genome.names if found.genome else ()
    for row in found.rejected:
        yield from (row.file, row.reason, re.sub(r"[\t\n]", "", row.content))


def parsed_apart(found: Dataset, files: Files) -> dict[int, float] | None:
    """Parse the ratings line by line; None if the file is too odd for a simple parser."""
    separator = {"ml-csv": ",", "ml-100k": "\t", "ml-1m": "::", "ml-10m": "::"}.get(found.dialect)
    name = {"ml-csv": "ratings.csv", "ml-100k": "u.data"}.get(found.dialect, "ratings.dat")
    same = [data for other, data in files.items() if other.lower() == name]
    if separator is None or len(same) != 1 or b"\r" in same[0]:
        return None
    lines = same[0].split(b"\n")[found.dialect == "ml-csv" :]
    if any(not line.isascii() or ODD_LINE.search(line) for line in lines):
        return None
    movies = {movie.movie_id for movie in found.movies}
    latest: dict[int, tuple[int, float]] = {}
    for line in lines:
        fields = [text.strip() for text in line.decode().split(separator)]
        if len(fields) != 4 or not all(re.fullmatch(r"-?[0-9.]+", text) for text in fields):
            continue
        user, movie, rating, at = fields
        if not all(re.fullmatch(r"[0-9]{1,18}", text) for text in (user, movie, at)):
            continue
        if re.fullmatch(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", rating) is None:
            continue
        value, moment = float(rating), int(at)
        step = found.scale.step if found.scale else 1.0
        low, high = (found.scale.minimum, found.scale.maximum) if found.scale else (0.0, 0.0)
        good = low <= value <= high and ((value - low) / step).is_integer()
        if good and int(movie) in movies and int(user) < 2**31 and moment <= time.time() + 86_400:
            key = int(user) << 32 | int(movie)
            if key not in latest or moment >= latest[key][0]:
                latest[key] = (moment, value)
    return {key: value for key, (_, value) in latest.items()}


def check_metadata(found: MetadataSet) -> None:
    ids = {movie.tmdb_id for movie in found.movies}
    expect(len(ids) == len(found.movies), "a movie occurs twice")
    expect(found.rows_read >= len(ids) + found.rejected_count, "more rows are loaded than read")
    expect(len(set(found.movie_keywords)) == len(found.movie_keywords), "a keyword occurs twice")


class Loader:
    """A database that holds the data set of the last case that could be loaded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def contents(self) -> dict[str, tuple[int, str]]:
        with self._database.transaction() as connection:
            rows = connection.execute(sa.text(CONTENTS.replace("::", r"\:\:")))
            return {table: (count, digest) for table, count, digest in rows}

    def check(self, path: Path, found: Dataset) -> None:
        """Load what could be read; the store has it, and a repetition changes nothing."""
        report = ingest(self._database, path, max_rejects=EVERY_ROW, replace=True)
        expect(report.rows_read == found.rows_read, "other rows are read than before")
        expect(report.rejected_count == found.rejected_count, "other rows are rejected than before")
        before = self.contents()
        expect(before["ratings"][0] == len(found.ratings), "other ratings are in the store")
        expect(before["movies"][0] == len(found.movies), "other movies are in the store")
        self._check_texts()
        if (found.ratings.rated_at == NO_TIME).all() or not found.duplicates:
            again = ingest(self._database, path, max_rejects=EVERY_ROW)
            expect(again.no_change, f"loading it again changes {again.counts}")
            self._same(before, {"ingests", "rejected_rows"})

    def check_refused(self, path: Path) -> None:
        before = self.contents()
        try:
            ingest(self._database, path, max_rejects=EVERY_ROW, replace=True)
        except DataError:
            self._same(before, set())
            return
        raise Violation("it is loaded, but cannot be read")

    def check_metadata(self, path: Path) -> None:
        before = self.contents()
        try:
            ingest_metadata(self._database, path)
        except DataError:
            self._same(before, set())
            return
        self._check_texts()
        loaded = self.contents()
        again = ingest_metadata(self._database, path)
        expect(again.ingest.no_change, f"loading it again changes {again.ingest.counts}")
        self._same(loaded, {"ingests", "rejected_rows"})

    def _same(self, before: dict[str, tuple[int, str]], but: set[str]) -> None:
        after = self.contents()
        changed = [table for table in before if table not in but and before[table] != after[table]]
        expect(not changed, f"changed: {', '.join(changed)}")

    def _check_texts(self) -> None:
        with self._database.transaction() as connection:
            found = connection.scalars(sa.text(STEERING)).all()
        expect(not found, f"control characters in the store: {found[:3]!r}")


def run_case(seed: int, number: int, place: Path, loader: Loader) -> str:
    """Make, read and sometimes load one data set; return what became of it."""
    draw = random.Random(f"{seed} {number}")
    make = draw.choice(FORMATS)
    files = mutate(draw, make(draw))
    path = draw.choice((write_folder, write_archive))(draw, files, place)
    in_database = number % IN_DATABASE == 0
    if make is the_movies_dataset:
        return _read_metadata(path, loader if in_database else None)
    try:
        found = read_dataset(path, max_rejects=EVERY_ROW)
    except DataError as exc:
        check_error(exc)
        if in_database:
            loader.check_refused(path)
        return "refused"
    check_dataset(found, files if path.is_dir() else {})
    if in_database:
        loader.check(path, found)
    return "loaded" if not found.rejected else "loaded in part"


def _read_metadata(path: Path, loader: Loader | None) -> str:
    try:
        found = read_metadata(path)
    except DataError as exc:
        check_error(exc)
        return "refused"
    check_metadata(found)
    if loader is not None:
        loader.check_metadata(path)
    return "loaded" if not found.rejected else "loaded in part"


def fuzz(
    database: Database, seed: int, place: Path, *, seconds: float = 1e9, cases: int = 10**9
) -> Outcomes:
    """Run cases until the time is up. Raises Violation, which names the case."""
    start = place / "start"
    start.mkdir()
    for name, data in ml_csv(random.Random(seed)).items():
        (start / name).write_bytes(data)
    ingest(database, start, replace=True)
    loader, outcomes = Loader(database), Outcomes()
    ends, number = time.monotonic() + seconds, 0
    while number < cases and time.monotonic() < ends:
        folder = place / f"case-{number}"
        folder.mkdir()
        began = time.monotonic()
        try:
            with _in_time():
                outcomes.counts[run_case(seed, number, folder, loader)] += 1
        except Exception as exc:
            raise Violation(f"seed {seed}, case {number}: {exc}; files in {folder}") from exc
        outcomes.longest = max(outcomes.longest, time.monotonic() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        expect(peak < MOST_MEMORY_MB, f"seed {seed}, case {number}: {peak} MB of memory")
        shutil.rmtree(folder)
        number += 1
    return outcomes


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="recsys-fuzz-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home).running() as url:
            found = fuzz(Database(url), given.seed, home, seconds=given.seconds)
    except Violation:
        # The folder stays for inspection.
        traceback.print_exc()
        raise SystemExit(1) from None
    shutil.rmtree(home, ignore_errors=True)
    sys.stdout.write(
        f"{sum(found.counts.values()):,} data sets: {dict(found.counts)}; "
        f"the slowest took {found.longest:.1f} s; everything held\n"
    )


if __name__ == "__main__":
    main()
