"""Hybrids: lists composed of the lists of other models, each entry keeping its source.

Users are taken in blocks; within one, all entries are columns of one length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys.domain import (
    ComputeLimits,
    Ensemble,
    Float64,
    Int32,
    Int64,
    Interactions,
    RankedLists,
    TopN,
    UserRows,
)
from recsys.errors import ConfigError
from recsys.numerics.blocks import map_blocks
from recsys.numerics.topk import concatenate

_BYTES_AN_ENTRY = 100
"""Its columns, a sort key, the order, and those of them that are kept."""


@dataclass(frozen=True, slots=True)
class Offers:
    """Entries that the members of an ensemble offer to a block of users; places count from 0."""

    rows: Int64
    members: Int64
    """Position of the model in the chain."""
    places: Int64
    items: Int32
    scores: Float64


Selection = Callable[[Offers, Int64], Int64]
"""From offers and the number of ratings of each user to the chosen entries: by user, best first."""


def check_chain(config: Any, name: str) -> None:
    """Raise ConfigError unless `config.chain` names other models than `name`, each once."""
    chain = config.chain
    wrong = None
    if not chain:
        wrong = "names no model"
    elif name in chain:
        wrong = f"names {name} itself"
    elif len(set(chain)) < len(chain):
        wrong = "names a model twice"
    if wrong:
        raise ConfigError(
            f"chain = {chain!r} {wrong}",
            hint="chain must name one or more other models, each once",
            key=("chain",),
        )


def members_of(data: Interactions, chain: Sequence[str]) -> Ensemble:
    """Return the fitted models of a chain, in its order."""
    return Ensemble(tuple(data.parts[name] for name in chain))


def rank_by_selection(
    ensemble: Ensemble, users: UserRows, n: int, limits: ComputeLimits, select: Selection
) -> TopN:
    """List for each user the first n entries that `select` takes of those offered.

    A model with personal lists offers the user's own; a chart offers itself to every user,
    without the movies the user has rated.
    """
    names = tuple(member.name for member in ensemble.members)
    # Each member lists n: the others may have nothing for a user.
    lists = [member.rank(users, n, limits) for member in ensemble.members]
    ratings = np.diff(users.ratings.indptr).astype(np.int64)

    def work(start: int, stop: int) -> TopN:
        offers = _offers([_rows(each, start, stop) for each in lists])
        return _listed(offers, select(offers, ratings[start:stop]), stop - start, n)

    row_bytes = _BYTES_AN_ENTRY * n * len(names)
    blocks = map_blocks(len(users), row_bytes, limits, work)
    sources = [block.sources for block in blocks if block.sources is not None]
    # Without users there are no blocks, and concatenate needs an array.
    joined = np.concatenate([np.zeros(0, np.int16), *sources])
    return replace(concatenate(TopN, blocks), sources=joined, source_names=names)


def _rows(lists: RankedLists, start: int, stop: int) -> RankedLists:
    """Return the lists of some consecutive rows."""
    bounds = lists.indptr[start : stop + 1]
    own = slice(bounds[0], bounds[-1])
    return RankedLists(bounds - bounds[0], lists.indices[own], lists.scores[own])


def _offers(lists: Sequence[RankedLists]) -> Offers:
    lengths = [np.diff(one.indptr) for one in lists]
    rows = [np.repeat(np.arange(len(length)), length) for length in lengths]
    places = [np.arange(len(one)) - one.indptr[own] for one, own in zip(lists, rows, strict=True)]
    return Offers(
        np.concatenate(rows),
        np.repeat(np.arange(len(lists)), [len(one) for one in lists]),
        np.concatenate(places),
        np.concatenate([one.indices for one in lists]),
        np.concatenate([one.scores for one in lists]),
    )


def _listed(offers: Offers, entries: Int64, users: int, n: int) -> TopN:
    """Make lists of entries that are in order, user by user, n at most."""
    rows = offers.rows[entries]
    # searchsorted finds the first entry of the user: the difference is the place in the list.
    kept = entries[np.arange(len(rows)) - np.searchsorted(rows, rows) < n]
    indptr = np.zeros(users + 1, np.int64)
    np.cumsum(np.bincount(offers.rows[kept], minlength=users), out=indptr[1:])
    sources = offers.members[kept].astype(np.int16)
    return TopN(indptr, offers.items[kept], offers.scores[kept], sources)
