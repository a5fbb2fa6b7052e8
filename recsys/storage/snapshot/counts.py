"""Numbers of ratings, counted in the database: what a refresh would read."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from recsys.domain import Int64
from recsys.errors import NothingLoaded

OF_USERS = "SELECT count(*) FROM recsys_store.ratings GROUP BY user_id"
OF_MOVIES = "SELECT count(*) FROM recsys_store.ratings GROUP BY movie_id"


def count_ratings(connection: sa.Connection) -> tuple[Int64, Int64, int]:
    """Return how many ratings each user and each movie has, of those that have any, and all movies.

    Raises NothingLoaded if there are no movies.
    """
    users, movies = (
        np.array(list(connection.scalars(sa.text(query))), np.int64)
        for query in (OF_USERS, OF_MOVIES)
    )
    every = connection.scalar(sa.text("SELECT count(*) FROM recsys_store.movies"))
    if not every:
        raise NothingLoaded("there are no ratings in the database", hint="load some first")
    return users, movies, int(every or 0)
