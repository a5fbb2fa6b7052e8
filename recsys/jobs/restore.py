"""Models as a run stored them, completed for some users, who need not be those it knew.

Similarities, factors and biases of movies are read from the results of the run. Factors of users
are folded in, and their neighbours found among all users. Models of content are fitted again, and
ensembles take their restored parts. The rest of a model is its own: `rank` makes the lists, as
after a fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from scipy.sparse import csr_matrix

from recsys.domain import (
    Chart,
    Charts,
    Fitted,
    FittedModel,
    IdMap,
    Int32,
    Int64,
    Interactions,
    Neighbours,
    RatingWeights,
    TrainedItems,
    UserRows,
)
from recsys.jobs.plan import Plan
from recsys.jobs.training import fit_model, fit_options, needs_of
from recsys.models.base import LIVE_SCORINGS, FitOptions, ModelSpec
from recsys.models.grades import rating_weights
from recsys.models.registry import candidates
from recsys.numerics.weighting import on_scale_of
from recsys.storage.runs.stored_models import (
    StoredChart,
    StoredFactors,
    StoredModels,
    StoredScale,
    StoredSimilarities,
)
from recsys.storage.snapshot.matrices import positions_of, read_snapshot, read_users

Stored = StoredChart | StoredFactors | StoredSimilarities


@dataclass(frozen=True, slots=True)
class Restored:
    """The models that could be restored, and the users they were completed for."""

    users: IdMap
    movies: IdMap
    """Movies of the catalogue, and those that only the results still hold."""
    rows: UserRows
    models: Mapping[str, FittedModel]

    @property
    def listed(self) -> IdMap:
        """Return the ids of the users in `rows`, which the lists are for."""
        return IdMap(self.users.ids[self.rows.positions])


def restore(stored: StoredModels, chosen: Plan, user_ids: Int32) -> Restored:
    """Restore the models of a plan for some users, whose ids ascend and who have ratings.

    The transaction of the connection must be a snapshot. Models that cannot be restored, and
    ensembles of them, are left out.
    """
    specs = _with_lists(chosen)
    users, catalogue, data, positions = _read(stored.connection, chosen, specs, user_ids)
    rows = data.user_items[positions]
    rated = catalogue.ids[np.unique(rows.indices)]
    raw = {
        spec.name: _stored(spec, bool(spec.parts(chosen.configs[spec.name])), stored, rated)
        for spec in specs
    }
    movies = IdMap(np.unique(np.concatenate([catalogue.ids, *map(_movie_ids, raw.values())])))
    data = _widened(data, catalogue, movies)
    scale = stored.scale()
    data = replace(
        data,
        rating_range=(scale.low, scale.high),
        rating_mean=scale.mean,
        item_counts=_item_counts(stored, chosen, specs, raw, movies),
    )
    users_rows = UserRows.some(data, positions)
    restoring = _Restoring(stored, chosen, users_rows, users, movies, data, scale)
    models: dict[str, FittedModel] = {}
    for spec in specs:
        fitted = restoring.fitted(spec, raw[spec.name], models)
        if fitted is not None:
            models[spec.name] = FittedModel(spec.name, fitted, spec.rank)
    return Restored(users, movies, users_rows, models)


def _with_lists(chosen: Plan) -> list[ModelSpec]:
    """Return the models with lists for users and the parts of these, parts first."""
    wanted = {spec.name for spec in chosen.specs if spec.kind == "personal"}
    for spec in reversed(chosen.specs):
        if spec.name in wanted:
            wanted.update(spec.parts(chosen.configs[spec.name]))
    return [spec for spec in chosen.specs if spec.name in wanted]


def _read(
    connection: sa.Connection, chosen: Plan, specs: Sequence[ModelSpec], user_ids: Int32
) -> tuple[IdMap, IdMap, Interactions, Int64]:
    """Return all users that are read, the movies, the data, and the positions of `user_ids`."""
    needs: set[str] = set(
        needs_of([spec for spec in specs if spec.scoring == "profile"], chosen.configs)
    )
    folding = [spec for spec in specs if spec.fold_in]
    by_age = any(term.weights.by_age for terms in chosen.terms.values() for term in terms)
    if by_age or "times" in needs_of(folding, chosen.configs):
        needs.add("times")
    if any(spec.fit_users for spec in specs):
        snapshot = read_snapshot(connection, needs)
        positions = np.searchsorted(snapshot.users.ids, user_ids)
        return snapshot.users, snapshot.movies, snapshot.interactions, positions
    movies, data = read_users(connection, user_ids, needs)
    return IdMap(user_ids), movies, data, np.arange(len(user_ids))


def _stored(spec: ModelSpec, composed: bool, stored: StoredModels, rated: Int32) -> Stored | None:
    """Read what the run stored of a model; None if its lists do not follow from that."""
    if spec.kind == "chart":
        return stored.chart(spec.name)
    if spec.scoring in LIVE_SCORINGS and not composed:
        return stored.similarities(spec.name, rated)
    return stored.factors(spec.name) if spec.fold_in or spec.fit_users else None


def _movie_ids(stored: Stored | None) -> Int32:
    if isinstance(stored, StoredSimilarities):
        return np.concatenate([stored.movie_ids, stored.similar_ids])
    return stored.movie_ids if stored is not None else np.zeros(0, np.int32)


def _widened(data: Interactions, catalogue: IdMap, movies: IdMap) -> Interactions:
    """Move the data of the catalogue's movies to their positions among more movies."""
    if len(movies) == len(catalogue):
        return data
    places, ratings, genres = positions_of(movies, catalogue.ids), data.user_items, data.item_genres
    lengths = np.zeros(len(movies) + 1, np.int64)
    lengths[places + 1] = np.diff(genres.indptr)
    texts = data.item_texts
    if texts is not None:
        spread = [""] * len(movies)
        for place, text in zip(places, texts, strict=True):
            spread[place] = text
        texts = tuple(spread)
    return replace(
        data,
        user_items=csr_matrix(
            (ratings.data, places[ratings.indices], ratings.indptr),
            shape=(ratings.shape[0], len(movies)),
        ),
        item_genres=csr_matrix(
            (genres.data, genres.indices, np.cumsum(lengths)),
            shape=(len(movies), genres.shape[1]),
        ),
        item_texts=texts,
        item_years=None,
    )


def _item_counts(
    stored: StoredModels,
    chosen: Plan,
    specs: Sequence[ModelSpec],
    raw: Mapping[str, Stored | None],
    movies: IdMap,
) -> Int64:
    """Return the number of ratings of each movie that the run learned from.

    Without a chart of them these are the current ones, of the movies that all factors know.
    """
    counts = np.zeros(len(movies), np.int64)
    if not any(spec.fold_in or spec.parts(chosen.configs[spec.name]) for spec in specs):
        return counts
    charts = [name for name in candidates("popularity") if name in chosen.configs]
    if charts:
        chart = stored.chart(charts[0])
        known = np.isin(chart.movie_ids, movies.ids)
        counts[positions_of(movies, chart.movie_ids[known])] = chart.votes[known]
        return counts
    ids, current = stored.rating_counts()
    counts[positions_of(movies, ids)] = current
    for spec in specs:
        each = raw[spec.name]
        if spec.fold_in and isinstance(each, StoredFactors):
            counts[~np.isin(movies.ids, each.movie_ids)] = 0
    return counts


@dataclass(frozen=True, slots=True)
class _Restoring:
    stored: StoredModels
    chosen: Plan
    rows: UserRows
    users: IdMap
    movies: IdMap
    data: Interactions
    scale: StoredScale
    """That of the ratings that the run learned from."""

    def fitted(
        self, spec: ModelSpec, raw: Stored | None, models: Mapping[str, FittedModel]
    ) -> Fitted | None:
        """Return what the fit of the run returned, for the users; None if that is not possible."""
        config = self.chosen.configs[spec.name]
        options = fit_options(self.chosen.settings)
        if isinstance(raw, StoredChart):
            return self._chart(raw)
        if isinstance(raw, StoredSimilarities):
            return self._neighbours(raw, rating_weights(config))
        if isinstance(raw, StoredFactors):
            return self._of_users(spec, raw, config, options)
        parts = set(spec.parts(config))
        if spec.scoring == "profile" or (parts and models.keys() >= parts):
            return fit_model(spec, config, self.data, options, models).fitted
        return None

    def _chart(self, stored: StoredChart) -> Charts:
        if not len(stored.movie_ids):
            return Charts()
        items = positions_of(self.movies, stored.movie_ids)
        return Charts((Chart(None, items, stored.scores, stored.votes, stored.means),))

    def _neighbours(self, stored: StoredSimilarities, weights: RatingWeights) -> Neighbours:
        lengths = np.zeros(len(self.movies) + 1, np.int64)
        lengths[positions_of(self.movies, stored.movie_ids) + 1] = np.diff(stored.indptr)
        items = positions_of(self.movies, stored.similar_ids)
        scaled = on_scale_of(self.data, weights)
        return Neighbours(np.cumsum(lengths), items, stored.scores, scaled)

    def _of_users(
        self, spec: ModelSpec, stored: StoredFactors, config: Any, options: FitOptions
    ) -> Fitted:
        """Learn about the users what the fit of the run learned about all."""
        known = positions_of(self.movies, stored.movie_ids)
        items = np.zeros((len(self.movies), stored.factors.shape[1]), np.float32)
        bias = np.full(len(self.movies), np.nan)
        items[known], bias[known] = stored.factors, stored.bias
        network = self.stored.network(spec.name)
        error = self.stored.errors().get(self.stored.model_ids[spec.name])
        trained = TrainedItems(
            items,
            bias,
            self.scale.mean,
            self.scale.deviation,
            (self.scale.low, self.scale.high),
            self.data.item_counts,
            error,
            network.placed(self.users, self.movies) if network else None,
        )
        if spec.fit_users is not None:
            return spec.fit_users(self.data, self.rows.positions, trained, config, options)
        assert spec.fold_in is not None
        found = spec.fold_in(trained, self.rows, config, options)
        if len(found.users) == len(self.users):
            return found
        users = np.zeros((len(self.users), found.users.shape[1]), np.float32)
        users[self.rows.positions] = found.users
        biases = None
        if found.user_bias is not None:
            biases = np.full(len(self.users), np.nan)
            biases[self.rows.positions] = found.user_bias
        return replace(found, users=users, user_bias=biases)
