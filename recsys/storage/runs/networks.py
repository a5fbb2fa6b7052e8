"""Read the networks that runs stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from recsys.domain import IdMap, Int32, StoredNetwork
from recsys.storage.load.copy import driver

NETWORK = """
SELECT n.network, n.movie_ids, coalesce(n.user_ids, '{}')
FROM recsys_store.networks AS n
JOIN recsys_store.models AS m ON m.model_id = n.model_id
WHERE n.run_id = %s AND m.name = %s
"""


@dataclass(frozen=True, slots=True)
class RunNetwork:
    """A network, and the ids of the rows of its arrays over movies and over users."""

    network: bytes
    movie_ids: Int32
    user_ids: Int32

    def placed(self, users: IdMap, movies: IdMap) -> StoredNetwork:
        """Return the network beside the positions of these users and movies."""
        of_movies = IdMap(self.movie_ids).positions(movies.ids)
        return StoredNetwork(self.network, of_movies, IdMap(self.user_ids).positions(users.ids))


def read(connection: sa.Connection, run_id: int, model: str) -> RunNetwork | None:
    """Return the network that a run stored of a model; None if there is none."""
    # In binary: as text it would take twice the memory, and could not be larger than 512 MiB.
    with driver(connection).cursor(binary=True) as cursor:
        row = cursor.execute(NETWORK, (run_id, model)).fetchone()
    if row is None:
        return None
    network, movie_ids, user_ids = row
    return RunNetwork(network, np.array(movie_ids, np.int32), np.array(user_ids, np.int32))
