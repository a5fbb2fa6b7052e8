"""Evaluation protocols by name: how ratings are split and what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float64
from recsys.errors import EvaluationError
from recsys.evaluation.leakage import check_split
from recsys.evaluation.splits import (
    Split,
    entries_of,
    given_split,
    k_folds,
    leave_last_out,
    random_split,
    stratified_split,
    temporal_split,
)

DEFAULT_SEED = 42
TEMPORAL_SHARE = 0.1

Need = Literal["times", "pairs"]
Pairs = tuple[NDArray[np.integer], NDArray[np.integer]]


@dataclass(frozen=True, slots=True)
class Material:
    """The input of a protocol."""

    ratings: csr_matrix
    """Users x items, float64, canonical."""
    rated_at: Float64 | None = None
    """Unix seconds of each stored entry; NaN where unknown."""
    pairs: Pairs | None = None
    """Positions (users, items) of the official test ratings of a data set."""
    order: Pairs | None = None
    """Positions (users, items) of all ratings in the order of the lines of their file. Random
    numbers drawn in this order give the split of the recommenders library."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One evaluation protocol; the measured lists never contain train movies."""

    name: str
    description: str
    kind: Literal["ranking", "rating", "both"]
    """The metrics it is meant for."""
    divide: Callable[[Material, int], Iterator[Split]]
    """Yield the splits of the material for a seed; call `splits`, which validates both."""
    needs: frozenset[Need] = frozenset()
    uses: frozenset[Need] = frozenset()
    """Optional material, used if given."""
    k: int = 10
    """Length of the lists measured."""

    def splits(self, material: Material, seed: int = DEFAULT_SEED) -> Iterator[Split]:
        """Yield the splits; each is checked to have no rating on both sides.

        Raises EvaluationError if required material is missing or a side of a split is empty.
        """
        missing = self.needs - _given(material)
        if missing:
            words = " and ".join(sorted(_WORDS[need] for need in missing))
            raise EvaluationError(f"protocol {self.name} needs {words}")
        for split in self.divide(material, seed):
            check_split(split)
            if split.test.nnz == 0 or split.train.nnz == 0:
                raise EvaluationError(
                    f"protocol {self.name} leaves {split.train.nnz} ratings to train on "
                    f"and {split.test.nnz} to test",
                    hint="There are too few ratings, or too few with different times.",
                )
            yield split


_WORDS = {"times": "the times of the ratings", "pairs": "the test pairs of the data set"}


def _given(material: Material) -> frozenset[Need]:
    times = material.rated_at is not None and not np.isnan(material.rated_at).all()
    given: dict[Need, bool] = {"times": times, "pairs": material.pairs is not None}
    return frozenset(need for need, there in given.items() if there)


def _by_item(material: Material, seed: int) -> Iterator[Split]:
    order = None
    if material.order is not None:
        order = entries_of(material.ratings, *material.order)
        if (order < 0).any():
            raise EvaluationError("the file names ratings that are not in the database")
    # Share and grouping of the published benchmark: figures compare only with these.
    yield stratified_split(material.ratings, 0.75, seed, by="item", order=order)


def _by_rating(material: Material, seed: int) -> Iterator[Split]:
    yield random_split(material.ratings, 0.1, seed)


def _in_folds(material: Material, seed: int) -> Iterator[Split]:
    return k_folds(material.ratings, 5, seed)


def _by_time(material: Material, seed: int) -> Iterator[Split]:
    assert material.rated_at is not None
    yield temporal_split(material.ratings, material.rated_at, TEMPORAL_SHARE)


def _last(material: Material, seed: int) -> Iterator[Split]:
    assert material.rated_at is not None
    yield leave_last_out(material.ratings, material.rated_at, seed)


def _before_last(material: Material, seed: int) -> Iterator[Split]:
    assert material.rated_at is not None
    yield leave_last_out(material.ratings, material.rated_at, seed, before=True)


def _official(material: Material, seed: int) -> Iterator[Split]:
    assert material.pairs is not None
    yield given_split(material.ratings, *material.pairs)


_TIMES: frozenset[Need] = frozenset({"times"})
_PAIRS: frozenset[Need] = frozenset({"pairs"})

_ALL = (
    Protocol(
        "recommenders-ml100k",
        "of each movie's ratings a random 75 % to train on, the others relevant at any "
        "value, lists of 10 (benchmark of the recommenders library)",
        "ranking",
        _by_item,
        uses=frozenset({"pairs"}),
    ),
    *(
        Protocol(
            f"ml100k-{name}", f"the official {name}.base and {name}.test", "both", _official, _PAIRS
        )
        for name in ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
    ),
    Protocol("surprise-5fold", "5 random folds of the ratings, averaged", "rating", _in_folds),
    Protocol("random-90-10", "a random 90 % of the ratings to train on", "both", _by_rating),
    Protocol(
        "temporal",
        "everything before one moment to train on, the newest 10 % to test",
        "both",
        _by_time,
        _TIMES,
    ),
    Protocol(
        "leave-last-out",
        "the last rating of every user with at least two to test; of ratings of the same time the "
        "seed decides",
        "ranking",
        _last,
        _TIMES,
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def before_last(protocol: Protocol) -> Protocol:
    """Return the variant that tests the rating before the last one, which it drops.

    Parameters can be chosen by it before the last ratings are tested. Raises EvaluationError unless
    the protocol tests last ratings.
    """
    if protocol.divide is not _last:
        raise EvaluationError(
            f"protocol {protocol.name} has no rating before the last",
            hint="only leave-last-out tests the last rating of each user",
        )
    return replace(
        protocol,
        name=f"{protocol.name}-before",
        description="the rating before the last of every user with at least three to test; the "
        "last is left out",
        divide=_before_last,
    )


def protocol_named(name: str) -> Protocol:
    """Return the protocol; raise EvaluationError with the known names if there is none."""
    if name not in PROTOCOLS:
        raise EvaluationError(
            f"there is no protocol {name!r}", hint=f"There are: {', '.join(PROTOCOLS)}."
        )
    return PROTOCOLS[name]
