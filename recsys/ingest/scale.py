"""Find values that cannot belong to the scale of the other ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.domain import Float64
from recsys.errors import DataError
from recsys.ingest.duplicates import Origins

_FEWEST = 3
"""Different ratings that make a range; two of them may be far apart, as 1 and 5."""
_SHOWN = 3


def outliers(values: Float64) -> Float64:
    """Return the different values that a gap separates from all others, ascending.

    The gap is wider than the range of the ratings on its other side, which has more of them.
    """
    # Hashing finds the few different values of many ratings faster than sorting.
    found = pd.Series(values).value_counts(sort=False).sort_index()
    distinct, counts = found.index.to_numpy(), found.to_numpy()
    low, high = 0, len(distinct)
    while True:
        gaps = np.diff(distinct[low:high])
        if not len(gaps):
            break
        cut = low + int(gaps.argmax()) + 1
        below, above = counts[low:cut].sum(), counts[cut:high].sum()
        start, stop = (low, cut) if below >= above else (cut, high)
        if stop - start < _FEWEST or gaps.max() <= distinct[stop - 1] - distinct[start]:
            break
        low, high = start, stop
    apart: Float64 = np.concatenate([distinct[:low], distinct[high:]])
    return apart


def check_outliers(values: Float64, origins: Origins) -> None:
    """Raise DataError that names the values far from all others, and where they are."""
    apart = outliers(values)
    if not len(apart):
        return
    kept = values[~np.isin(values, apart)]
    rows = np.flatnonzero(np.isin(values, apart))
    file, line = origins.of(int(rows[0]))
    shown = ", ".join(f"{value:g}" for value in apart[:_SHOWN]) + (", …" * (len(apart) > _SHOWN))
    low, high = f"{kept.min():g}", f"{kept.max():g}"
    raise DataError(
        f"{file}: {len(rows):,} ratings are far from all others, which go from {low} to {high}: "
        f"{shown}; the first is on line {line}",
        hint=f"--scale {low}..{high} rejects them; --scale LOW..HIGH with a wider range loads them",
    )
