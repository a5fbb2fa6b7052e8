"""Read the (user, movie) pairs of a ratings file in the order of its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from recsys.domain import Int32
from recsys.errors import DataError

SEPARATORS = ("\t", "::", ",", ";")


def read_pairs(path: Path) -> tuple[Int32, Int32]:
    """Read user and movie ids, the first two columns; the header is optional.

    Reads the official test ratings of ml-100k (`u1.test`) and the ratings files of all MovieLens
    editions. Raises DataError for any other file.
    """
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
        separator = next(mark for mark in SEPARATORS if mark in first)
        header = 0 if not first.split(separator)[0].strip().isdecimal() else None
        table = pd.read_csv(
            path, sep=separator, header=header, usecols=[0, 1], engine=_engine(separator)
        )
        users, movies = (table.iloc[:, column].to_numpy(np.int64) for column in (0, 1))
    except OSError as exc:
        raise DataError(f"{path}: {exc.strerror}") from exc
    except (StopIteration, ValueError) as exc:
        raise DataError(
            f"{path} does not begin with a user and a movie id on every line",
            hint="as the file u1.test of ml-100k, or a ratings.csv",
        ) from exc
    if (
        not len(users)
        or min(users.min(), movies.min()) < 0
        or max(users.max(), movies.max()) >= 2**31
    ):
        raise DataError(f"{path}: no ids, or ids outside 0 to {2**31 - 1}")
    return users.astype(np.int32), movies.astype(np.int32)


def _engine(separator: str) -> Literal["python", "c"]:
    # The C parser takes a separator of one character only.
    return "python" if len(separator) > 1 else "c"
