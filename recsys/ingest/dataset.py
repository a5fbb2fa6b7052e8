"""Read one data set from files; each row is validated, or rejected with a reason."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from recsys.domain import (
    NO_TIME,
    Dataset,
    Float32,
    Genome,
    Int32,
    Int64,
    Progress,
    Ratings,
    RatingScale,
    SourceFile,
    SourceMovie,
    Tags,
)
from recsys.errors import DataError
from recsys.ingest.duplicates import OnDuplicate, pair_keys, resolve
from recsys.ingest.editions import edition_of, find_layout
from recsys.ingest.movielens import rows
from recsys.ingest.movielens.dialects import DatasetLayout, RatingsFile
from recsys.ingest.movielens.tables import Table, read_movies, read_tag_names, read_tags, read_users
from recsys.ingest.movielens.tables import with_links as add_links
from recsys.ingest.reading.blocks import NumericFile, NumericTable, read_numeric
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.numbers import IdField, NumericField, TimeField, ValueField
from recsys.ingest.reading.rejects import RejectLimit, Rejects
from recsys.ingest.reading.sources import Entry, open_folders, source_file

_DAY = 86_400
_RELEVANCE = RatingScale(0.0, 1.0, 0.0)
NO_IDS: Int32 = np.empty(0, np.int32)


def read_dataset(
    path: Path,
    *,
    format: str | None = None,
    edition: str | None = None,
    known_movie_ids: Int32 = NO_IDS,
    on_duplicate: OnDuplicate = "latest",
    max_rejects: RejectLimit | None = None,
    max_unpacked_mb: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read a folder, a zip or a single ratings CSV.

    `format` forces one of `ml-100k`, `ml-1m`, `ml-10m`, `ml-csv`, `csv`. Rated movies must be in
    the movies file or among `known_movie_ids`. Without both, movies are created from the rated ids.
    Only the first rejected rows of each file are kept. `progress` is called for each file with the
    bytes read and its size.

    Raises `DataError` if nothing can be loaded, if more than `max_rejects` rows are bad, which is
    noticed as early as possible, and for an archive that would unpack to more than
    `max_unpacked_mb`, by default 100 times its size or 1 GB.
    """
    intake = Intake(progress, rejects=Rejects(max_rejects))
    with open_folders(path, max_unpacked_mb) as folders:
        folder, layout = find_layout(folders, path, format)
        name = edition or edition_of(layout, folder, path, intake)
        intake.bytes_left = layout.size
        return _read(
            layout, name, np.unique(known_movie_ids).astype(np.int32), on_duplicate, intake
        )


def source_files(
    path: Path, format: str | None = None, max_unpacked_mb: int | None = None
) -> list[SourceFile]:
    """Return the files that `read_dataset` would read from a path, except a README.

    Raises DataError if there is no data set.
    """
    with open_folders(path, max_unpacked_mb) as folders:
        _, layout = find_layout(folders, path, format)
        parts = (getattr(layout, each.name) for each in fields(layout))
        return [source_file(part.entry) for part in parts if hasattr(part, "entry")]


def _read(
    layout: DatasetLayout, edition: str, known: Int32, on_duplicate: OnDuplicate, intake: Intake
) -> Dataset:
    # A day of tolerance for clocks and time zones of the systems that wrote the file.
    latest = int(time.time()) + _DAY
    movies = {} if layout.movies is None else read_movies(intake, layout.movies)
    described = np.array(sorted(movies), np.int32)
    catalogue = np.union1d(described, known)
    if layout.links is not None:
        movies = add_links(intake, layout.links, movies, known)
    users = {} if layout.users is None else read_users(intake, layout.users)
    open_catalogue = layout.movies is None and not len(known)
    ratings, duplicates = _ratings(
        layout, None if open_catalogue else catalogue, latest, on_duplicate, intake
    )
    if open_catalogue:
        catalogue = np.unique(ratings.movie_ids)
        # The foreign key of the ratings needs the movies, even without titles.
        movies = {id_: _unnamed(id_) for id_ in catalogue.tolist()}
    tags = _tags(layout, catalogue, latest, intake)
    genome = _genome(layout, catalogue, intake)
    if intake.rejects.limit is not None:
        intake.rejects.check_all(intake.rows_read, intake.rejects.limit)
    return Dataset(
        edition=edition,
        dialect=layout.dialect,
        scale=layout.scale,
        movies=[movies[id_] for id_ in sorted(movies)],
        users=[users[id_] for id_ in sorted(users)],
        ratings=ratings,
        tags=tags,
        genome=genome,
        rejected=intake.rejects.rows,
        rejected_count=intake.rejects.count,
        rows_read=intake.rows_read,
        duplicates=duplicates,
        files=tuple(intake.files),
    )


def _unnamed(movie_id: int) -> SourceMovie:
    return SourceMovie(movie_id, f"Movie {movie_id}", f"Movie {movie_id}")


def _ratings(
    layout: DatasetLayout,
    catalogue: Int32 | None,
    latest: int,
    on_duplicate: OnDuplicate,
    intake: Intake,
) -> tuple[Ratings, int]:
    file, before, rejected = layout.ratings, intake.rows_read, len(intake.rejects.rows)
    columns = rating_columns(file, layout.scale, catalogue, latest)
    table = read_numeric(intake, NumericFile(file.entry, file.grammar, file.header, columns))
    if not len(table):
        raise _no_ratings(file, intake, intake.rows_read - before, rejected)
    # Without `del` the table would keep a second copy of the columns while they are sorted.
    lines, ratings = table.lines, _as_ratings(table)
    del table
    return resolve(ratings, lines, on_duplicate, file.entry.name)


def rating_columns(
    file: RatingsFile, scale: RatingScale | None, catalogue: Int32 | None, latest: int
) -> tuple[NumericField, ...]:
    """Return the fields of a ratings file; the time, if there is one, comes last."""
    columns: tuple[NumericField, ...] = (
        IdField(file.user, "user"),
        IdField(file.movie, "movie", catalogue),
        ValueField(file.rating, "rating", scale),
    )
    if file.time is None:
        return columns
    return (*columns, TimeField(file.time, latest, file.flexible_time))


def _as_ratings(table: NumericTable) -> Ratings:
    users, movies, values, *times = table.columns
    rated_at: Int64 = times[0] if times else np.full(len(users), NO_TIME, np.int64)
    return Ratings(users, movies, values, rated_at)


def _no_ratings(file: RatingsFile, intake: Intake, rows_read: int, rejected: int) -> DataError:
    name = file.entry.name
    if not rows_read:
        what = "is empty" if not file.entry.size else "holds no ratings"
        return DataError(f"{name} {what}", hint="Check that the file is complete.")
    first = intake.rejects.rows[rejected]
    return DataError(
        f"{name}: none of {rows_read} rows can be loaded; line {first.line}: {first.reason}",
        hint="Check that the file is what its name says, or name its form with --format.",
    )


def _tags(layout: DatasetLayout, catalogue: Int32, latest: int, intake: Intake) -> Tags | None:
    file = layout.tags
    if file is None:
        return None
    parse = rows.tag(frozenset(catalogue.tolist()), TimeField(3, latest))
    return read_tags(intake, Table(file.entry, file.grammar, file.header, parse))


def _genome(layout: DatasetLayout, catalogue: Int32, intake: Intake) -> Genome | None:
    """Read the tag genome if both of its files are present."""
    file = layout.genome_scores
    if layout.genome_tags is None or file is None:
        return None
    names = read_tag_names(intake, layout.genome_tags)
    tag_ids = np.array(sorted(names), np.int32)
    columns = (
        IdField(0, "movie", catalogue),
        IdField(1, "tag", tag_ids),
        ValueField(2, "relevance", _RELEVANCE),
    )
    numeric = NumericFile(file.entry, file.grammar, file.header, columns)
    table = read_numeric(intake, numeric)
    movie_ids, tags, relevance = table.columns
    kept = _first_scores(table, file.entry, intake)
    scores: Float32 = relevance[kept].astype(np.float32)
    return Genome(
        tag_ids, [names[id_] for id_ in tag_ids.tolist()], movie_ids[kept], tags[kept], scores
    )


def _first_scores(table: NumericTable, file: Entry, intake: Intake) -> slice | Int64:
    """Return the rows to keep, ordered by (movie, tag); the first score of a pair counts."""
    movie_ids, tag_ids, relevance = table.columns
    keys = pair_keys(movie_ids, tag_ids)
    if bool((keys[1:] > keys[:-1]).all()):
        return slice(None)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    for row in np.flatnonzero(relevance != relevance[first[group]]).tolist():
        pair = f"{movie_ids[row]},{tag_ids[row]}"
        reason = (
            f"tag {tag_ids[row]} of movie {movie_ids[row]} has another relevance "
            f"on line {table.lines[first[group[row]]]}"
        )
        raw = f"{pair},{relevance[row]:g}".encode()
        intake.reject(file, int(table.lines[row]), raw, "utf-8", reason)
    return first
