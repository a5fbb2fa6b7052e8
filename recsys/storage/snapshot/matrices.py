"""Read the training snapshot: all ratings as one CSR matrix, by binary COPY.

PostgreSQL groups the ratings by user along the primary key. Each COPY message holds the movies and
ratings of one user as two arrays, which numpy reads without a Python loop over their elements.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64, IdMap, Int32, Int64, Interactions, Progress
from recsys.errors import NothingLoaded
from recsys.storage.load.copy import HEADER, TRAILER, copy_ids, driver
from recsys.storage.snapshot import feedback, item_features
from recsys.storage.snapshot.checksum import input_checksum, row_hashes

# This must precede the first query, which takes the snapshot. Rows frozen by an ingest are visible
# to every snapshot, the other rows of that ingest only to later ones: without the lock a snapshot
# could see half of an ingest.
WAIT_FOR_INGEST = """
LOCK TABLE recsys_store.movies, recsys_store.genres, recsys_store.movie_genres,
    recsys_store.users, recsys_store.ratings, recsys_store.tags IN ACCESS SHARE MODE
"""
USER_IDS = "SELECT user_id FROM recsys_store.users ORDER BY user_id"
MOVIE_IDS = "SELECT movie_id FROM recsys_store.movies ORDER BY movie_id"
RATINGS = """
COPY (
    SELECT
        user_id, bit_xor(recsys.rating_hash(movie_id, rating)),
        array_agg(movie_id), array_agg(rating){times}
    FROM (
        SELECT user_id, movie_id, rating{plain_times}
        FROM recsys_store.ratings{where}
        ORDER BY user_id, movie_id
    ) AS in_order
    GROUP BY user_id
    ORDER BY user_id
) TO STDOUT (FORMAT binary)
"""
WITHIN = " WHERE user_id BETWEEN %(first)s AND %(last)s"
# As float8 an unknown time is NaN, so arrays contain no NULL and have a fixed layout.
PLAIN_TIMES = ", COALESCE(date_part('epoch', rated_at), 'NaN') AS at"
RATINGS_OF = """
COPY (
    SELECT
        r.user_id, CAST(0 AS bigint), array_agg(r.movie_id ORDER BY r.movie_id),
        array_agg(r.rating ORDER BY r.movie_id),
        array_agg(COALESCE(date_part('epoch', r.rated_at), 'NaN') ORDER BY r.movie_id)
    FROM recsys_store.ratings AS r
    WHERE r.user_id = ANY (%(ids)s)
    GROUP BY r.user_id
    ORDER BY r.user_id
) TO STDOUT (FORMAT binary)
"""
GENRES = """
SELECT mg.movie_id, g.name
FROM recsys_store.movie_genres AS mg
JOIN recsys_store.genres AS g ON g.genre_id = mg.genre_id
ORDER BY mg.movie_id, g.name
"""
SCALE = """
SELECT min(rating_min), max(rating_max) FROM recsys_store.ingests WHERE ingest_id > coalesce(
    (SELECT max(i.ingest_id) - 1 FROM recsys_store.ingests AS i WHERE i.replaced), 0
)
"""
DIRECT_TABLE_LIMIT = 1 << 24
"""Largest id for which positions come from a lookup table (64 MB) instead of a search."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Training data from one state of the database, and the ids of its positions."""

    users: IdMap
    movies: IdMap
    interactions: Interactions
    ratings_hashes: Int64
    """Hash of each user's ratings, to detect later changes; 0 without ratings."""
    taken_at: datetime
    checksum: str
    """sha256 over all that was read."""


def read_snapshot(
    connection: sa.Connection,
    needs: Collection[str] = (),
    *,
    progress: Progress | None = None,
) -> Snapshot:
    """Read the training data; the transaction of the connection must be a snapshot.

    Ratings, genres and years are always read; `needs` selects times, texts (untagged_texts: without
    users' tags), votes and attributes. Raises NothingLoaded if there are no movies.
    """
    connection.execute(sa.text(WAIT_FOR_INGEST))
    users, movies = IdMap(copy_ids(connection, USER_IDS)), IdMap(copy_ids(connection, MOVIE_IDS))
    total = connection.scalar(sa.text("SELECT count(*) FROM recsys_store.ratings")) or 0
    if not len(movies):
        raise NothingLoaded("there are no ratings in the database", hint="load some first")
    times = "times" in needs
    matrix, rated_at, hashes = read_ratings(connection, users, movies, total, times, progress)
    interactions = replace(
        read_features(connection, movies, needs),
        user_items=matrix,
        rated_at=rated_at,
        user_attributes=item_features.attributes(connection, users)
        if "attributes" in needs
        else None,
        rating_range=_rating_range(connection, matrix),
    )
    if feedback.is_implicit(connection):
        interactions = alike(interactions)
    taken_at = connection.scalar(sa.text("SELECT now()"))
    assert isinstance(taken_at, datetime)
    ratings = row_hashes(interactions.user_items, movies.ids, interactions.rated_at)
    checksum = input_checksum(users, movies, ratings, interactions, interactions.rating_range)
    return Snapshot(users, movies, interactions, hashes, taken_at, checksum)


def read_features(connection: sa.Connection, movies: IdMap, needs: Collection[str]) -> Interactions:
    """Read the features of movies: interactions without users."""
    genres, item_genres = _read_genres(connection, movies)
    return Interactions(
        csr_matrix((0, len(movies))),
        item_genres,
        genres,
        np.zeros(0) if "times" in needs else None,
        item_years=item_features.years(connection, movies),
        item_texts=_texts(connection, movies, needs),
        item_votes=item_features.votes(connection, movies) if "votes" in needs else None,
    )


def read_users(
    connection: sa.Connection, user_ids: Int32, needs: Collection[str] = ()
) -> tuple[IdMap, Interactions]:
    """Read the movies, and as interactions the ratings of some users, whose ids ascend.

    Rows are these users. Genres are always read, and texts if `needs` selects them.
    """
    movies = IdMap(copy_ids(connection, MOVIE_IDS))
    found = read_lists(connection, RATINGS_OF, {"ids": user_ids}, columns=2)
    raters, indptr, movie_ids, (values, rated_at) = found
    lengths = np.zeros(len(user_ids), np.int64)
    lengths[np.searchsorted(user_ids, raters)] = np.diff(indptr)
    matrix = csr_matrix(
        (values, positions_of(movies, movie_ids), np.concatenate(([0], np.cumsum(lengths)))),
        shape=(len(user_ids), len(movies)),
    )
    genres, item_genres = _read_genres(connection, movies)
    texts = _texts(connection, movies, needs)
    read = Interactions(matrix, item_genres, genres, rated_at, item_texts=texts)
    return movies, alike(read) if feedback.is_implicit(connection) else read


def alike(interactions: Interactions) -> Interactions:
    """Return interactions that count the same, however strong they are."""
    return replace(
        interactions, user_items=alike_ratings(interactions.user_items), rating_range=(1.0, 1.0)
    )


def alike_ratings(given: csr_matrix) -> csr_matrix:
    """Return a matrix with 1 at every stored entry."""
    return csr_matrix((np.ones(given.nnz), given.indices, given.indptr), shape=given.shape)


def read_lists(
    connection: sa.Connection, statement: str, params: Mapping[str, Any], columns: int = 1
) -> tuple[Int32, Int64, Int32, tuple[Float64, ...]]:
    """Run a COPY of (id, bigint, int4[], float8[], ...) and return the ids and the lists.

    List l is `indptr[l]` to `indptr[l + 1]` of the items and of each of the `columns` of values.
    Arrays are passed as params.
    """
    given = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in params.items()
    }
    ids: list[int] = []
    items = [np.zeros(0, np.int32)]
    values = [[np.zeros(0)] for _ in range(columns)]
    with driver(connection).cursor().copy(statement, given) as copy:
        for id_, _, (of_list, *of_columns) in _grouped_rows(copy):
            ids.append(id_)
            items.append(of_list)
            for column, part in zip(values, of_columns, strict=True):
                column.append(part)
    indptr = np.cumsum(np.array(list(map(len, items)), np.int64))
    return (
        np.array(ids, np.int32),
        indptr,
        np.concatenate(items).astype(np.int32),
        tuple(np.concatenate(column).astype(np.float64) for column in values),
    )


def read_ratings(
    connection: sa.Connection,
    users: IdMap,
    movies: IdMap,
    total: int,
    times: bool,
    progress: Progress | None = None,
    *,
    within: tuple[int, int] | None = None,
) -> tuple[csr_matrix, Float64 | None, Int64]:
    """Read `total` ratings: those of all users, or of ids `within` a first and a last one.

    Return the matrix, the times in its order if they are asked for, and the hash of each user.
    """
    statement = RATINGS.format(
        times=", array_agg(at)" if times else "",
        plain_times=PLAIN_TIMES if times else "",
        where="" if within is None else WITHIN,
    )
    given = None if within is None else {"first": within[0], "last": within[1]}
    raters: list[int] = []
    hashes: list[int] = []
    counts: list[int] = []
    movie_ids, values = np.empty(total, np.int32), np.empty(total, np.float64)
    rated_at = np.empty(total, np.float64) if times else None
    position = 0
    with driver(connection).cursor().copy(statement, given) as copy:
        for user_id, hashed, arrays in _grouped_rows(copy):
            end = position + len(arrays[0])
            movie_ids[position:end], values[position:end] = arrays[0], arrays[1]
            if rated_at is not None:
                rated_at[position:end] = arrays[2]
            raters.append(user_id)
            hashes.append(hashed)
            counts.append(end - position)
            position = end
            if progress and len(raters) % 1024 == 0:
                progress(position, total)
    if progress:
        progress(position, total)
    rows = np.searchsorted(users.ids, np.array(raters, np.int32))
    lengths, hash_of = np.zeros(len(users), np.int64), np.zeros(len(users), np.int64)
    lengths[rows], hash_of[rows] = counts, hashes
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    columns = positions_of(movies, movie_ids)
    matrix = csr_matrix((values, columns, indptr), shape=(len(users), len(movies)))
    matrix.has_canonical_format = True
    return matrix, rated_at, hash_of


ELEMENTS = {
    4: np.dtype([("length", ">i4"), ("value", ">i4")]),
    8: np.dtype([("length", ">i4"), ("value", ">f8")]),
}


def _grouped_rows(parts: Any) -> Iterator[tuple[int, int, list[NDArray[Any]]]]:
    """Yield (user id, hash, arrays) of each message: movies (4-byte), then 8-byte columns.

    A message is: int16 fields, int32 length, int32 user id, int32 length, int64 hash, then for
    each array int32 length, five int32 of header of which the fourth is the size, the elements.
    """
    first = True
    for part in parts:
        message = bytes(part)
        if first:
            message, first = message[len(HEADER) :], False
        if len(message) <= len(TRAILER):
            continue
        user_id = int.from_bytes(message[6:10], "big")
        hashed = int.from_bytes(message[14:22], "big", signed=True)
        size = int.from_bytes(message[38:42], "big")
        arrays: list[NDArray[Any]] = []
        offset = 22
        while offset < len(message):
            width = 4 if not arrays else 8
            arrays.append(np.frombuffer(message, ELEMENTS[width], size, offset + 24)["value"])
            offset += 24 + size * (4 + width)
        yield user_id, hashed, arrays


def positions_of(ids: IdMap, values: Int32, table_limit: int = DIRECT_TABLE_LIMIT) -> Int32:
    """Return the positions of ids, all of which must be in the map."""
    if not len(ids) or ids.ids[-1] > table_limit:
        return np.searchsorted(ids.ids, values).astype(np.int32)
    table = np.zeros(int(ids.ids[-1]) + 1, np.int32)
    table[ids.ids] = np.arange(len(ids), dtype=np.int32)
    return table[values]


def _read_genres(connection: sa.Connection, movies: IdMap) -> tuple[tuple[str, ...], csr_matrix]:
    rows = connection.execute(sa.text(GENRES)).all()
    names = tuple(sorted({name for _, name in rows}))
    column = {name: position for position, name in enumerate(names)}
    items = positions_of(movies, np.array([movie for movie, _ in rows], np.int32))
    genres = np.array([column[name] for _, name in rows], np.int32)
    ones = np.ones(len(rows))
    return names, csr_matrix((ones, (items, genres)), shape=(len(movies), len(names)))


def _texts(
    connection: sa.Connection, movies: IdMap, needs: Collection[str]
) -> tuple[str, ...] | None:
    if "texts" in needs:
        return item_features.texts(connection, movies)
    if "untagged_texts" in needs:
        return item_features.texts(connection, movies, tags=False)
    return None


def _rating_range(connection: sa.Connection, ratings: csr_matrix) -> tuple[float, float] | None:
    """Return the rating scale of the edition, widened to the stored ratings; None without any."""
    if not ratings.nnz:
        return None
    low, high = promised_range(connection)
    return min(float(ratings.data.min()), low), max(float(ratings.data.max()), high)


def promised_range(connection: sa.Connection) -> tuple[float, float]:
    """Return the rating scale of the edition; infinities the wrong way round if it has none."""
    low, high = connection.execute(sa.text(SCALE)).one()
    return np.inf if low is None else float(low), -np.inf if high is None else float(high)
