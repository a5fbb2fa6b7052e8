"""Networks as bytes: the arguments they are built with, and their weights in order."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recsys.domain import Float32, Float64, Int64
from recsys.errors import RunError

Weights = list[Float32]
_ARGUMENTS = "arguments"


def dump(arguments: Mapping[str, Any], weights: Sequence[NDArray[Any]]) -> bytes:
    """Return an uncompressed `.npz`; arguments must fit into JSON."""
    file = io.BytesIO()
    described = np.frombuffer(json.dumps(dict(arguments)).encode(), np.uint8)
    arrays: dict[str, Any] = {f"{place}": np.asarray(each) for place, each in enumerate(weights)}
    np.savez(file, **{_ARGUMENTS: described, **arrays})
    return file.getvalue()


def load(network: bytes) -> tuple[dict[str, Any], Weights]:
    """Return the arguments and weights; raises RunError for bytes that hold none."""
    try:
        with np.load(io.BytesIO(network), allow_pickle=False) as file:
            arguments = json.loads(file[_ARGUMENTS].tobytes())
            weights = [file[str(place)] for place in range(len(file.files) - 1)]
    except (ValueError, KeyError, OSError) as exc:
        raise RunError(f"a stored network cannot be read: {exc}") from exc
    return arguments, weights


def taken_over(fresh: Weights, stored: Weights, rows: Mapping[int, Int64]) -> Weights:
    """Return the stored weights where their shape fits, the fresh ones elsewhere.

    `rows` has, by place among the weights, those over items or users: for each row of the fresh
    array its row in the stored one, -1 if it has none.
    """
    if len(fresh) != len(stored):
        return fresh
    result = [
        old if old.shape == new.shape else new for new, old in zip(fresh, stored, strict=True)
    ]
    for place, origin in rows.items():
        new, old = fresh[place], stored[place]
        if new.shape[1:] == old.shape[1:]:
            known = origin >= 0
            result[place] = new.copy()
            result[place][known] = old[origin[known]]
        else:
            result[place] = new
    return result


def behind_padding(rows: Int64) -> Int64:
    """Return the rows of an array whose row 0 stands for no movie."""
    return np.concatenate([[0], np.where(rows >= 0, rows + 1, -1)])


def in_network(
    ratings: csr_matrix, rated_at: Float64 | None, rows: Int64, items: int
) -> tuple[csr_matrix, Float64 | None]:
    """Return ratings at the positions of a network with so many items, and their times.

    `rows` has for each item of the ratings its row in the network; those with -1 are left out.
    """
    places = rows[ratings.indices]
    known = places >= 0
    ends = np.concatenate(([0], np.cumsum(known)))[ratings.indptr]
    found = csr_matrix((ratings.data[known], places[known], ends), shape=(ratings.shape[0], items))
    return found, None if rated_at is None else rated_at[known]
