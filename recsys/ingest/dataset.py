"""One data set from files: every row typed and checked, or rejected with its reason."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from recsys.domain import (
    NO_TIME,
    Dataset,
    Float32,
    Genome,
    Int32,
    Int64,
    Movie,
    Progress,
    Ratings,
    RatingScale,
    RejectedRow,
    Tags,
)
from recsys.errors import DataError
from recsys.ingest.duplicates import OnDuplicate, pair_keys, resolve
from recsys.ingest.editions import edition_of, find_plan
from recsys.ingest.movielens import rows
from recsys.ingest.movielens.dialects import Plan, RatingsFile
from recsys.ingest.movielens.tables import Table, read_movies, read_tag_names, read_tags, read_users
from recsys.ingest.movielens.tables import with_links as add_links
from recsys.ingest.reading.blocks import NumericFile, Rows, read_numeric
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.numbers import Column, IdColumn, TimeColumn, ValueColumn
from recsys.ingest.reading.sources import open_folders

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
    progress: Progress | None = None,
) -> Dataset:
    """Read a folder, a zip or a single ratings CSV.

    `format` forces one of `ml-100k`, `ml-1m`, `ml-10m`, `ml-csv`, `csv`. Movies may be rated that
    the files describe or that are known already; where there is neither a movies file nor any
    known movie, the rated ones are made up from their ids. `progress` is called for each
    file with the bytes read and its size. Raises `DataError` where nothing can be loaded.
    """
    intake = Intake(progress)
    with open_folders(path) as folders:
        folder, plan = find_plan(folders, path, format)
        name = edition or edition_of(plan, folder, path, intake)
        return _read(plan, name, np.unique(known_movie_ids).astype(np.int32), on_duplicate, intake)


def _read(
    plan: Plan, edition: str, known: Int32, on_duplicate: OnDuplicate, intake: Intake
) -> Dataset:
    latest = int(time.time()) + _DAY
    movies = {} if plan.movies is None else read_movies(intake, plan.movies)
    described = np.array(sorted(movies), np.int32)
    catalogue = np.union1d(described, known)
    if plan.links is not None:
        movies = add_links(intake, plan.links, movies, known)
    users = {} if plan.users is None else read_users(intake, plan.users)
    open_catalogue = plan.movies is None and not len(known)
    ratings, duplicates = _ratings(
        plan, None if open_catalogue else catalogue, latest, on_duplicate, intake
    )
    if open_catalogue:
        catalogue = np.unique(ratings.movie_ids)
        movies = {id_: _unnamed(id_) for id_ in catalogue.tolist()}
    return Dataset(
        edition=edition,
        dialect=plan.dialect,
        scale=plan.scale,
        movies=[movies[id_] for id_ in sorted(movies)],
        users=[users[id_] for id_ in sorted(users)],
        ratings=ratings,
        tags=_tags(plan, catalogue, latest, intake),
        genome=_genome(plan, catalogue, intake),
        rejected=intake.rejected,
        rows_read=intake.rows_read,
        duplicates=duplicates,
        files=tuple(intake.files),
    )


def _unnamed(movie_id: int) -> Movie:
    return Movie(movie_id, f"Movie {movie_id}", f"Movie {movie_id}")


def _ratings(
    plan: Plan, catalogue: Int32 | None, latest: int, on_duplicate: OnDuplicate, intake: Intake
) -> tuple[Ratings, int]:
    file, before, rejected = plan.ratings, intake.rows_read, len(intake.rejected)
    columns = rating_columns(file, plan.scale, catalogue, latest)
    table = read_numeric(intake, NumericFile(file.entry, file.grammar, file.header, columns))
    if not len(table):
        raise _no_ratings(file, intake, intake.rows_read - before, rejected)
    lines, ratings = table.lines, _as_ratings(table)
    del table
    return resolve(ratings, lines, on_duplicate, file.entry.name)


def rating_columns(
    file: RatingsFile, scale: RatingScale | None, catalogue: Int32 | None, latest: int
) -> tuple[Column, ...]:
    """Return what the columns of a ratings file must hold; the time comes last, if at all."""
    columns: tuple[Column, ...] = (
        IdColumn(file.user, "user"),
        IdColumn(file.movie, "movie", catalogue),
        ValueColumn(file.rating, "rating", scale),
    )
    if file.time is None:
        return columns
    return (*columns, TimeColumn(file.time, latest, file.flexible_time))


def _as_ratings(table: Rows) -> Ratings:
    users, movies, values, *times = table.columns
    rated_at: Int64 = times[0] if times else np.full(len(users), NO_TIME, np.int64)
    return Ratings(users, movies, values, rated_at)


def _no_ratings(file: RatingsFile, intake: Intake, rows_read: int, rejected: int) -> DataError:
    name = file.entry.name
    if not rows_read:
        what = "is empty" if not file.entry.size else "holds no ratings"
        return DataError(f"{name} {what}", hint="Check that the file is complete.")
    first = intake.rejected[rejected]
    return DataError(
        f"{name}: none of {rows_read} rows can be loaded; line {first.line}: {first.reason}",
        hint="Check that the file is what its name says, or name its form with --format.",
    )


def _tags(plan: Plan, catalogue: Int32, latest: int, intake: Intake) -> Tags | None:
    file = plan.tags
    if file is None:
        return None
    parse = rows.tag(frozenset(catalogue.tolist()), TimeColumn(3, latest))
    return read_tags(intake, Table(file.entry, file.grammar, file.header, parse))


def _genome(plan: Plan, catalogue: Int32, intake: Intake) -> Genome | None:
    """Read the tag genome where both of its files are there."""
    file = plan.genome_scores
    if plan.genome_tags is None or file is None:
        return None
    names = read_tag_names(intake, plan.genome_tags)
    tag_ids = np.array(sorted(names), np.int32)
    columns = (
        IdColumn(0, "movie", catalogue),
        IdColumn(1, "tag", tag_ids),
        ValueColumn(2, "relevance", _RELEVANCE),
    )
    numeric = NumericFile(file.entry, file.grammar, file.header, columns)
    table = read_numeric(intake, numeric)
    movie_ids, tags, relevance = table.columns
    kept = _first_scores(table, file.entry.name, intake)
    scores: Float32 = relevance[kept].astype(np.float32)
    return Genome(
        tag_ids, [names[id_] for id_ in tag_ids.tolist()], movie_ids[kept], tags[kept], scores
    )


def _first_scores(table: Rows, file: str, intake: Intake) -> slice | Int64:
    """Return which rows to keep, in the order of (movie, tag); a pair's first score counts."""
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
        intake.rejected.append(
            RejectedRow(file, int(table.lines[row]), f"{pair},{relevance[row]:g}", reason)
        )
    return first
