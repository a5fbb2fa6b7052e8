"""Lists for visitors by the network of the published run, where its libraries are installed.

Only here the service uses models. They, and the packages that compute, are imported when a network
is published and asked for: programs that only read start quickly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from recsys.service.queries import networks as queries
from recsys.service.queries.query import Query, Rows
from recsys.service.types import Filters, Recommendation

if TYPE_CHECKING:
    from recsys.domain import IdMap, Int64, TrainedItems, UserRows
    from recsys.models.registry import ModelSpec

KEPT = 3
"""Networks in memory at most."""
SPARE = 1000
"""Candidates beyond those wanted, as some may be withdrawn."""
_HEADER, _ELEMENT = 20, [("length", ">i4"), ("value", ">f4")]
"""Bytes of an array in binary before its elements, and the fields of an element."""
# Keras builds and runs networks of one process one at a time.
_computing = Lock()

Step = Query[Any] | Callable[[], Any]
"""A query to run, or a computation of up to seconds."""


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    spec: ModelSpec
    config: Any
    movies: IdMap
    trained: TrainedItems

    def scores(self, rated: Mapping[int, float], n: int) -> tuple[list[int], list[float]]:
        """Return the best n movies that are not rated, best first, and their scores.

        Of the ratings the last is the newest. None of a movie that the network knows: empty.
        """
        import numpy as np

        from recsys.domain import ComputeLimits
        from recsys.models.registry import FitOptions

        places = self.movies.positions(np.array(list(rated), np.int32))
        known = np.flatnonzero(places >= 0)
        if not len(known):
            return [], []
        rows = self._rows(places[known], np.array(list(rated.values()), float)[known])
        with _computing:
            assert self.spec.fold_in is not None
            factors = self.spec.fold_in(self.trained, rows, self.config, FitOptions())
            found = self.spec.rank(factors, rows, n, ComputeLimits())
        return self.movies.ids[found.indices].tolist(), found.scores.tolist()

    def _rows(self, places: Int64, values: Any) -> UserRows:
        import numpy as np
        from scipy.sparse import csr_matrix

        from recsys.domain import UserRows

        order = np.argsort(places)
        shape = (1, len(self.movies))
        ratings = csr_matrix((values[order], places[order], [0, len(places)]), shape=shape)
        return UserRows(np.zeros(1, np.int64), ratings, order.astype(float))


class Networks:
    """The networks used last, for any number of threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[int, str], LoadedNetwork] = OrderedDict()

    def get(self, run_id: int, model: str) -> LoadedNetwork | None:
        with self._lock:
            found = self._kept.get((run_id, model))
            if found is not None:
                self._kept.move_to_end((run_id, model))
            return found

    def keep(self, run_id: int, model: str, loaded: LoadedNetwork) -> None:
        with self._lock:
            self._kept[run_id, model] = loaded
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def by_network(
    kept: Networks,
    ratings: Mapping[int, float] | Mapping[str, float],
    filters: Filters,
    by_sql: Rows[Recommendation],
) -> Generator[Step, Any, Rows[Recommendation]]:
    """Yield steps, be sent their results, and return the list of a visitor with these ratings.

    The list is `by_sql`, the one that SQL has for the visitor, unless the model has a network and
    its libraries are installed. If the network has fewer than n movies, those of SQL follow.
    """
    keys = [movie for movie in ratings if isinstance(movie, str)]
    published = (yield queries.published(filters.model, keys)) if ratings else None
    if published is None:
        return by_sql
    run_id, trained_in, model, parameters, ids = published
    loaded = kept.get(trained_in, model)
    if loaded is None:
        spec = yield lambda: usable_spec(model)
        if spec is None:
            return by_sql
        network, factors = yield queries.network(trained_in, model)
        if network is None:  # another run was published meanwhile
            return by_sql
        loaded = yield lambda: _loaded(spec, parameters, network, factors)
        kept.keep(trained_in, model, loaded)
    rated = dict(zip(ids or map(int, ratings), ratings.values(), strict=True))
    filtered = filters.genres or filters.year_from is not None or filters.year_to is not None
    most = len(loaded.movies) if filtered else filters.n + SPARE
    movie_ids, scores = yield lambda: loaded.scores(rated, most)
    found = yield queries.listed(run_id, model, movie_ids, scores, filters)
    return _filled(found, by_sql, filters.n)


def usable_spec(model: str) -> ModelSpec | None:
    """Return a model that makes factors of new ratings here; None without its libraries."""
    from recsys.models.registry import MODELS

    spec = MODELS.get(model)
    if spec is None or spec.fold_in is None:
        return None
    return spec if spec.requires is None or find_spec(spec.requires[0]) else None


def _loaded(
    spec: ModelSpec,
    parameters: Mapping[str, Any],
    network: tuple[Any, ...],
    factors: list[tuple[int, float, bytes]],
) -> LoadedNetwork:
    import numpy as np

    from recsys.domain import IdMap, StoredNetwork, TrainedItems
    from recsys.models.registry import make_config

    derived = parameters.get("derived", {}).get(spec.name, {})
    config = make_config(spec, {**parameters["models"][spec.name], **derived})
    saved, movie_ids, mean, deviation, low, high = network
    movies = IdMap(np.array(movie_ids, np.int32))
    known = movies.positions(np.array([movie_id for movie_id, _, _ in factors], np.int32))
    element = np.dtype(_ELEMENT)
    width = (len(factors[0][2]) - _HEADER) // element.itemsize if factors else 0
    items, bias = np.zeros((len(movies), width), np.float32), np.full(len(movies), np.nan)
    for place, (_, own, sent) in zip(known.tolist(), factors, strict=True):
        items[place] = np.frombuffer(sent, element, offset=_HEADER)["value"]
        bias[place] = own
    stored = StoredNetwork(saved, np.arange(len(movies)), np.full(1, -1))
    trained = TrainedItems(items, bias, mean, deviation, (low, high), network=stored)
    return LoadedNetwork(spec, config, movies, trained)


def _filled(
    found: Rows[Recommendation], by_sql: Rows[Recommendation], n: int
) -> Rows[Recommendation]:
    """Complete a list with the movies of another one that it does not have."""
    listed = {row.movie_id for row in found}
    rest = [row for row in by_sql if row.movie_id not in listed][: n - len(found)]
    more = [replace(row, rank=rank) for rank, row in enumerate(rest, len(found) + 1)]
    return Rows(Recommendation, [*found, *more])
