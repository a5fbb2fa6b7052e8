"""Read one data set from files; each row is validated, or rejected with a reason."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recsys.domain import (
    Dataset,
    Float32,
    Genome,
    Int32,
    Int64,
    Progress,
    RatingScale,
    SourceFile,
    SourceMovie,
    Tags,
)
from recsys.ingest.duplicates import OnDuplicate, pair_keys
from recsys.ingest.editions import edition_of, find_layout
from recsys.ingest.movielens import rows
from recsys.ingest.movielens.dialects import MOVIELENS, DatasetLayout
from recsys.ingest.movielens.rows import MovieColumns
from recsys.ingest.movielens.tables import Table, read_movies, read_tag_names, read_tags, read_users
from recsys.ingest.movielens.tables import with_links as add_links
from recsys.ingest.options import DEFAULTS, ReadOptions
from recsys.ingest.ratings import RatingFields, read_ratings
from recsys.ingest.reading.blocks import NumericFile, NumericTable, read_numeric
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.keys import IdReader, NotNumbers
from recsys.ingest.reading.numbers import IdField, TimeField, ValueField
from recsys.ingest.reading.rejects import RejectLimit, Rejects
from recsys.ingest.reading.sources import Entry, open_folders, source_file

_DAY = 86_400
_RELEVANCE = RatingScale(0.0, 1.0, 0.0)


def read_dataset(
    path: Path,
    *,
    format: str | None = None,
    edition: str | None = None,
    known_movie_keys: Sequence[str] = (),
    on_duplicate: OnDuplicate | None = None,
    options: ReadOptions = DEFAULTS,
    max_rejects: RejectLimit | None = None,
    max_unpacked_mb: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read a folder, a zip or a single ratings CSV.

    `format` forces one of `ml-100k`, `ml-1m`, `ml-10m`, `ml-csv`, `csv`. Rated movies must be in
    the movies file or have `known_movie_keys`. Without both, movies are created from the rated ids.
    Ids that are not whole numbers are read as keys, in files other than those of MovieLens.
    Only the first rejected rows of each file are kept. `progress` is called for each file with the
    bytes read and its size.

    Raises `DataError` if nothing can be loaded, if more than `max_rejects` rows are bad, which is
    noticed as early as possible, and for an archive that would unpack to more than
    `max_unpacked_mb`, by default 100 times its size or 1 GB.
    """
    with open_folders(path, max_unpacked_mb) as folders:
        folder, layout = find_layout(folders, path, format, options)

        def read(*, keyed: bool) -> Dataset:
            intake = Intake(progress, rejects=Rejects(max_rejects))
            name = edition or edition_of(layout, folder, path, intake)
            intake.bytes_left = layout.size
            reading = _Reading(layout, options, on_duplicate, intake, keyed)
            return _read(reading, name, known_movie_keys)

        try:
            return read(keyed=False)
        # All files of the data set are read again: no half of a column has another meaning.
        except NotNumbers:
            return read(keyed=True)


def source_files(
    path: Path,
    format: str | None = None,
    max_unpacked_mb: int | None = None,
    options: ReadOptions = DEFAULTS,
) -> list[SourceFile]:
    """Return the files that `read_dataset` would read from a path, except a README.

    Raises DataError if there is no data set.
    """
    with open_folders(path, max_unpacked_mb) as folders:
        _, layout = find_layout(folders, path, format, options)
        return [source_file(entry) for entry in layout.entries()]


@dataclass(frozen=True, slots=True)
class _Reading:
    layout: DatasetLayout
    options: ReadOptions
    on_duplicate: OnDuplicate | None
    intake: Intake
    keyed: bool
    """Whether users and movies are read as keys."""


def _read(reading: _Reading, edition: str, known_movie_keys: Sequence[str]) -> Dataset:
    layout, intake = reading.layout, reading.intake
    # A day of tolerance for clocks and time zones of the systems that wrote the file.
    latest = int(time.time()) + _DAY
    strict = layout.dialect in MOVIELENS
    user_ids = IdReader("user", keyed=reading.keyed, strict=strict)
    movie_ids = IdReader("movie", keyed=reading.keyed, strict=strict)
    movies = _movies(layout, movie_ids, intake)
    described = np.array(sorted(movies), np.int32)
    known = movie_ids.of(known_movie_keys)
    catalogue = np.union1d(described, known)
    if layout.links is not None:
        movies = add_links(intake, layout.links, movies, known)
    users = {} if layout.users is None else read_users(intake, layout.users)
    none_described = layout.movies is None and not known_movie_keys
    open_catalogue = none_described or not layout.all_movies or layout.keys_are_titles
    if not open_catalogue:
        movie_ids.allow_only(catalogue)
    scale = reading.options.scale or layout.scale
    fields = RatingFields(user_ids, movie_ids, layout, scale, latest)
    found = read_ratings(layout, fields, reading.on_duplicate, intake)
    if open_catalogue:
        others = np.setdiff1d(found.ratings.movie_ids, catalogue)
        # The foreign key of the ratings needs the movies, even without titles.
        movies |= {id_: _unnamed(id_, movie_ids, layout) for id_ in others.tolist()}
        catalogue = np.union1d(catalogue, others)
    tags = _tags(layout, catalogue, latest, intake)
    genome = _genome(layout, catalogue, intake)
    if intake.rejects.limit is not None:
        intake.rejects.check_all(intake.rows_read, intake.rejects.limit)
    return Dataset(
        edition=edition,
        dialect=layout.dialect,
        scale=scale,
        movies=[movies[id_] for id_ in sorted(movies)],
        users=[users[id_] for id_ in sorted(users)],
        ratings=found.ratings,
        tags=tags,
        genome=genome,
        rejected=intake.rejects.rows,
        rejected_count=intake.rejects.count,
        rows_read=intake.rows_read,
        duplicates=found.merged,
        files=tuple(intake.files),
        user_keys=user_ids.texts,
        movie_keys=movie_ids.texts,
        feedback="implicit" if layout.implicit else "explicit",
        on_duplicate=found.policy,
        unrated=found.unrated,
    )


def _movies(layout: DatasetLayout, movie_ids: IdReader, intake: Intake) -> dict[int, SourceMovie]:
    table = layout.movies
    if table is None:
        return {}
    if isinstance(table.parse, MovieColumns):
        table = replace(table, parse=replace(table.parse, read_id=movie_ids.parse))
    return read_movies(intake, table, movie_ids.shown)


def _unnamed(movie_id: int, movie_ids: IdReader, layout: DatasetLayout) -> SourceMovie:
    key = movie_ids.key(movie_id)
    title = key if layout.keys_are_titles else f"Movie {key}"
    return SourceMovie(movie_id, title, title)


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
