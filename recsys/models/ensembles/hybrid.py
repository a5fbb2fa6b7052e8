"""What the hybrids share: the entries that the models of a chain offer, and the lists made of them.

Users are taken in blocks; within one, all entries are columns of one length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_matrix

from recsys.domain import (
    Chart,
    Float64,
    Int32,
    Int64,
    Interactions,
    ModelOutput,
    RankedLists,
    TopN,
)
from recsys.errors import ConfigError
from recsys.models.base import FitOptions, making_lists
from recsys.numerics.topk import empty, joined, over_blocks

_BYTES_AN_ENTRY = 100
"""Its columns, a sort key, the order, and those of them that are kept."""
_BYTES_A_PLACE = 8
"""Of a chart: whether it is free for the user, and a running count."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What the models of a chain offer to a block of users; places count from 0."""

    rows: Int64
    parts: Int64
    """Position of the model in the chain."""
    places: Int64
    items: Int32
    scores: Float64


Choice = Callable[[Offers, Int64], Int64]
"""From offers and the number of ratings of each user to the entries wanted: by user, best first."""


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


@making_lists
def hybrid(
    data: Interactions, chain: Sequence[str], choose: Choice, options: FitOptions
) -> ModelOutput:
    """Make each user's list of the first n entries that `choose` takes of those offered.

    A model with lists offers the user's own; a chart, the overall one, offers itself to everybody,
    without the movies the user has rated.
    """
    outputs = [data.parts[name] for name in chain]
    ratings = np.diff(data.user_items.indptr).astype(np.int64)

    def work(start: int, stop: int) -> TopN:
        seen = data.user_items[start:stop]
        offers = _offers([_offered(output, seen, start, options.n) for output in outputs])
        return _listed(offers, choose(offers, ratings[start:stop]), stop - start, options.n)

    reach = min(data.user_items.shape[1], options.n + int(ratings.max(initial=0)))
    row_bytes = _BYTES_AN_ENTRY * options.n * len(chain) + _BYTES_A_PLACE * reach
    blocks = cast("list[TopN]", over_blocks(len(ratings), row_bytes, options, work))
    return ModelOutput(recommendations=_joined(blocks), sources=tuple(chain))


def _offered(output: ModelOutput, seen: csr_matrix, start: int, n: int) -> RankedLists:
    """Return a model's lists for the users from `start` on whose ratings `seen` holds.

    A chart is cut to n; lists of a run have that length already.
    """
    if output.recommendations is not None:
        lists = output.recommendations
        bounds = lists.indptr[start : start + seen.shape[0] + 1]
        own = slice(bounds[0], bounds[-1])
        return RankedLists(bounds - bounds[0], lists.indices[own], lists.scores[own])
    overall = next((chart for chart in output.charts if chart.genre is None), None)
    if overall is None:
        return empty(RankedLists, seen.shape[0])
    return _not_rated(overall, seen, n)


def _not_rated(chart: Chart, seen: csr_matrix, n: int) -> RankedLists:
    """List for each user the first n of a chart that are not rated."""
    lengths = np.diff(seen.indptr)
    # Nobody's list reaches further: all before it are listed or rated.
    reach = min(len(chart.items), n + int(lengths.max(initial=0)))
    place = np.full(seen.shape[1], reach)
    place[chart.items[:reach]] = np.arange(reach)
    rows, rated = np.repeat(np.arange(len(lengths)), lengths), place[seen.indices]
    free = np.ones((len(lengths), reach + 1), bool)
    free[rows, rated] = False
    free[:, reach] = False
    free &= np.cumsum(free, axis=1, dtype=np.int32) <= n
    places = np.nonzero(free)[1]
    indptr = np.concatenate(([0], np.cumsum(np.count_nonzero(free, axis=1))))
    return RankedLists(indptr, chart.items[places], chart.scores[places])


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
    kept = entries[np.arange(len(rows)) - np.searchsorted(rows, rows) < n]
    indptr = np.zeros(users + 1, np.int64)
    np.cumsum(np.bincount(offers.rows[kept], minlength=users), out=indptr[1:])
    return TopN(
        indptr, offers.items[kept], offers.scores[kept], offers.parts[kept].astype(np.int16)
    )


def _joined(blocks: Sequence[TopN]) -> TopN:
    """Put the lists of consecutive blocks of users under one another, with their sources."""
    lists = joined(TopN, blocks)
    sources = [block.sources for block in blocks if block.sources is not None]
    return replace(lists, sources=np.concatenate([np.zeros(0, np.int16), *sources]))
