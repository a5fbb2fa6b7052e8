"""Networks as bytes: the arguments they are built with, and arrays by name."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.domain import Float32, Int64
from recsys.errors import RunError

Arrays = dict[str, NDArray[Any]]
_ARGUMENTS = "arguments"


def dump(arguments: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an uncompressed `.npz`; arguments must fit into JSON."""
    file = io.BytesIO()
    described = np.frombuffer(json.dumps(dict(arguments)).encode(), np.uint8)
    named: dict[str, Any] = {_ARGUMENTS: described, **arrays}
    np.savez(file, **named)
    return file.getvalue()


def load(network: bytes) -> tuple[dict[str, Any], Arrays]:
    """Return the arguments and arrays; raises RunError for bytes that hold none."""
    try:
        with np.load(io.BytesIO(network), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        arguments = json.loads(arrays.pop(_ARGUMENTS).tobytes())
    except (ValueError, KeyError, OSError) as exc:
        raise RunError(f"a stored network cannot be read: {exc}") from exc
    return arguments, arrays


def moved(fresh: Float32, stored: Float32, places: Int64) -> Float32:
    """Return the fresh rows with those taken over that the stored array has; -1: it has none.

    All rows stay fresh if the widths differ.
    """
    known = places >= 0
    if fresh.shape[1:] != stored.shape[1:]:
        return fresh
    result = fresh.copy()
    result[known] = stored[places[known]]
    return result
