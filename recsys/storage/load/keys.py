"""Give the keys of users and movies their ids: those of the store, and new ones.

A key that is a whole number keeps it as its id, if that is free. Other new keys get the numbers
above the highest id, in the order of the keys, so that equal files give equal ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import sqlalchemy as sa

from recsys.domain import Dataset, IdMap, Int32, Ratings, SourceMovie, fault_of_key
from recsys.errors import DataError
from recsys.storage.load.copy import copy_ids, copy_rows
from recsys.storage.snapshot.matrices import positions_of

Kind = Literal["users", "movies"]
ID_COLUMNS: dict[Kind, str] = {"users": "user_id", "movies": "movie_id"}
OTHER_KEYS = "SELECT EXISTS (SELECT FROM recsys_store.{kind} WHERE key <> CAST({id} AS text))"
STAGE = """
CREATE TEMPORARY TABLE staged_keys (place integer, key text COLLATE "C") ON COMMIT DROP
"""
# The lowest free numbers are looked for only when those above the highest id are used up.
IDS = """
WITH known AS MATERIALIZED (
    SELECT s.place, s.key, t.{id} AS id
    FROM staged_keys AS s
    LEFT JOIN recsys_store.{kind} AS t ON t.key = s.key
),
own AS (
    SELECT
        k.place, k.key, k.id,
        CASE
            WHEN k.id IS NULL AND k.key ~ '^(0|[1-9][0-9]{{0,9}})$' THEN CAST(k.key AS bigint)
        END AS number
    FROM known AS k
),
settled AS MATERIALIZED (
    SELECT o.place, o.key, coalesce(o.id, CAST(t.number AS integer)) AS id
    FROM own AS o
    LEFT JOIN LATERAL (
        SELECT o.number
        WHERE o.number <= 2147483647
          AND NOT EXISTS (SELECT FROM recsys_store.{kind} AS t WHERE t.{id} = o.number)
    ) AS t ON true
),
ranked AS (
    SELECT s.place, dense_rank() OVER (ORDER BY s.key) AS rank
    FROM settled AS s
    WHERE s.id IS NULL
),
bounds AS MATERIALIZED (
    SELECT
        greatest(
            (SELECT coalesce(max(t.{id}), 0) FROM recsys_store.{kind} AS t),
            (SELECT coalesce(max(s.id), 0) FROM settled AS s)
        )::bigint AS highest,
        (SELECT count(*) FROM recsys_store.{kind}) + (SELECT count(*) FROM staged_keys) AS rows
),
gaps AS (
    SELECT n AS id, row_number() OVER (ORDER BY n) AS rank
    FROM generate_series(0, (
        SELECT CASE
            WHEN b.highest + (SELECT max(r.rank) FROM ranked AS r) > 2147483647 THEN b.rows ELSE -1
        END
        FROM bounds AS b
    )) AS n
    WHERE NOT EXISTS (SELECT FROM recsys_store.{kind} AS t WHERE t.{id} = n)
      AND NOT EXISTS (SELECT FROM settled AS s WHERE s.id = n)
)
SELECT coalesce(
    s.id,
    CAST(CASE
        WHEN b.highest + r.rank <= 2147483647 THEN b.highest + r.rank
        ELSE g.id
    END AS integer)
)
FROM settled AS s
CROSS JOIN bounds AS b
LEFT JOIN ranked AS r ON r.place = s.place
LEFT JOIN gaps AS g ON g.rank = b.highest + r.rank - 2147483647
ORDER BY s.place
"""


def are_ids(connection: sa.Connection, kind: Kind) -> bool:
    """Return whether every stored key is the id of its row as text."""
    query = OTHER_KEYS.format(kind=kind, id=ID_COLUMNS[kind])
    return not connection.scalar(sa.text(query))


def ids_of(connection: sa.Connection, kind: Kind, keys: Sequence[str]) -> Int32:
    """Return the ids of users or movies by their keys, known ones and new ones; store nothing.

    Raises DataError for a key that is empty, too long or has control characters.
    """
    for key in keys:
        if fault := fault_of_key(key):
            raise DataError(
                f"the key {key[:100]!r} of a {kind[:-1]} {fault}",
                hint="keys have 1 to 512 bytes and no control characters",
            )
    connection.execute(sa.text(STAGE))
    copy_rows(connection, "staged_keys", ("place", "key"), enumerate(keys))
    connection.execute(sa.text("ANALYZE staged_keys"))
    ids = copy_ids(connection, IDS.format(kind=kind, id=ID_COLUMNS[kind]))
    connection.execute(sa.text("DROP TABLE staged_keys"))
    return ids


@dataclass(frozen=True, slots=True)
class Identified:
    """A data set whose users and movies have the ids of the store."""

    dataset: Dataset
    user_ids: Int32
    """Every user who occurs in it."""
    user_keys: list[str] | None
    """The keys of `user_ids`; None: the ids as text."""
    movie_keys: list[str] | None
    """The keys of `dataset.movies`; None: the ids as text."""


def identify(connection: sa.Connection, dataset: Dataset) -> Identified:
    """Replace what a data set calls its users and movies by their ids in the store."""
    people, films = _users_in(dataset), _movies_in(dataset)
    users = _lookup(connection, "users", dataset.user_keys, people)
    movies = _lookup(connection, "movies", dataset.movie_keys, films)
    return Identified(
        _with_ids(dataset, users, movies),
        np.unique(np.concatenate(people)) if users is None else users.ids,
        None if users is None else users.keys,
        None if movies is None else movies.keys_of(_described(dataset.movies)),
    )


@dataclass(frozen=True, slots=True)
class _Lookup:
    found: IdMap
    """Positions in the keys of the data set, or ids that are keys."""
    ids: Int32
    """The id of each in the store."""
    keys: list[str]

    def ids_of(self, values: Int32) -> Int32:
        return self.ids[positions_of(self.found, values)]

    def keys_of(self, values: Int32) -> list[str]:
        return [self.keys[place] for place in positions_of(self.found, values).tolist()]


def _lookup(
    connection: sa.Connection, kind: Kind, keys: Sequence[str] | None, columns: Sequence[Int32]
) -> _Lookup | None:
    """Look up the ids for what occurs in some columns, None if they are those of the store."""
    if keys is None and are_ids(connection, kind):
        return None
    found = np.unique(np.concatenate(columns))
    places = found.tolist()
    named = list(map(str, places)) if keys is None else [keys[place] for place in places]
    return _Lookup(IdMap(found), ids_of(connection, kind, named), named)


def _users_in(dataset: Dataset) -> list[Int32]:
    columns = [np.array([user.user_id for user in dataset.users], np.int32)]
    columns += [] if dataset.tags is None else [dataset.tags.user_ids]
    return [*columns, dataset.ratings.user_ids]


def _movies_in(dataset: Dataset) -> list[Int32]:
    columns = [_described(dataset.movies)]
    columns += [] if dataset.tags is None else [dataset.tags.movie_ids]
    columns += [] if dataset.genome is None else [dataset.genome.score_movie_ids]
    return [*columns, dataset.ratings.movie_ids]


def _described(movies: Sequence[SourceMovie]) -> Int32:
    return np.array([movie.movie_id for movie in movies], np.int32)


def _with_ids(dataset: Dataset, users: _Lookup | None, movies: _Lookup | None) -> Dataset:
    if users is None and movies is None:
        return dataset

    def user_ids(values: Int32) -> Int32:
        return values if users is None else users.ids_of(values)

    def movie_ids(values: Int32) -> Int32:
        return values if movies is None else movies.ids_of(values)

    people = user_ids(np.array([user.user_id for user in dataset.users], np.int32)).tolist()
    films = movie_ids(_described(dataset.movies)).tolist()
    ratings, tags, genome = dataset.ratings, dataset.tags, dataset.genome
    return replace(
        dataset,
        movies=[
            replace(film, movie_id=id_) for film, id_ in zip(dataset.movies, films, strict=True)
        ],
        users=[replace(user, user_id=id_) for user, id_ in zip(dataset.users, people, strict=True)],
        ratings=_in_order(
            replace(
                ratings,
                user_ids=user_ids(ratings.user_ids),
                movie_ids=movie_ids(ratings.movie_ids),
            )
        ),
        tags=tags
        and replace(tags, user_ids=user_ids(tags.user_ids), movie_ids=movie_ids(tags.movie_ids)),
        genome=genome and replace(genome, score_movie_ids=movie_ids(genome.score_movie_ids)),
        user_keys=None,
        movie_keys=None,
    )


def _in_order(ratings: Ratings) -> Ratings:
    """Return the ratings by user and movie, so that those of a user are in few blocks."""
    pairs = ratings.user_ids.astype(np.int64) << 32 | ratings.movie_ids
    if bool((pairs[1:] > pairs[:-1]).all()):
        return ratings
    order = np.argsort(pairs)
    return Ratings(
        ratings.user_ids[order],
        ratings.movie_ids[order],
        ratings.values[order],
        ratings.rated_at[order],
    )
