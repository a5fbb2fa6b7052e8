"""What a caller says about files that do not say it themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from recsys.domain import RatingScale
from recsys.errors import InvalidArgument

ROLES = ("user", "movie", "rating", "time")
_SCALE = re.compile(r"(-?[0-9.]+)\.\.(-?[0-9.]+)(?::([0-9.]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnNames:
    """The columns of a ratings file, for one whose header is missing or not recognized."""

    order: tuple[str, ...] = ()
    """What each column of a file without a header is: one of `ROLES`, or anything else."""
    user: str | None = None
    movie: str | None = None
    rating: str | None = None
    time: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """Return the given names of columns by role."""
        given = {role: getattr(self, role) for role in ROLES}
        return {role: name for role, name in given.items() if name is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    columns: ColumnNames = field(default_factory=ColumnNames)
    implicit: bool = False
    """Count each row as one interaction and ignore its rating."""
    scale: RatingScale | None = None
    """The scale of the ratings; None: that of the format, if it has one."""


NO_COLUMNS = ColumnNames()
DEFAULTS = ReadOptions()


def columns_in_order(text: str) -> tuple[str, ...]:
    """Parse `user,movie,rating,time`. Raises InvalidArgument unless it names user and movie."""
    order = tuple(part.strip().lower() for part in text.split(","))
    wrong = [role for role in ROLES if order.count(role) > 1]
    if wrong or not {"user", "movie"} <= set(order):
        raise InvalidArgument(
            f"the columns {text!r} do not name user and movie once each",
            hint="for example user,movie,rating,time; name columns to skip with -",
        )
    return order


def parse_scale(text: str) -> RatingScale:
    """Parse `0.5..5` or, with the distance of two ratings, `0.5..5:0.5`.

    Raises InvalidArgument for any other text.
    """
    try:
        found = _SCALE.fullmatch(text.strip())
        low, high, step = (
            (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
        )
    except ValueError:
        low = high = step = 0.0
    if not low < high or step > high - low:
        raise InvalidArgument(
            f"{text!r} is not a scale of ratings",
            hint="for example 1..5, or 0.5..5:0.5 if only half stars are allowed",
        )
    return RatingScale(low, high, step)
