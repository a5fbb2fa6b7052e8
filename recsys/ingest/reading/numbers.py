"""Parse and validate numeric fields: ids, ratings and times.

Each kind of field has two readers that accept the same values. `parse` reads one text and raises
`BadField` with the reason; `convert` and `good` read and check whole arrays. The array readers are
fast and reject without a reason, so rejected rows are parsed once more by `parse`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recsys.domain import NO_TIME, Int32, RatingScale

Array = NDArray[Any]

MAX_ID = 2**31 - 1
_OFF_STEP = 1e-9
MILLISECONDS_FROM = 10**11
"""Larger timestamps are milliseconds: as seconds this is the year 5138, as milliseconds 1973."""

# `[0-9]` and not `\d`: `int` and `float` also accept the digits of other scripts.
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_SECONDS = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?) ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?"
)
# As in Goodreads: `Fri Aug 25 13:55:02 -0700 2017`.
_CTIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} [+-][0-9]{4} [0-9]{4}")
# Looser than `parse_moment`, which checks each match; the lengths bound the work per line.
_MOMENT_BYTES = rb"(?:[0-9]{1,18}(?:\.[0-9]*)?|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T0-9:.Z+-]{0,40})"


class BadField(ValueError):
    """A field is invalid; the message gives the reason."""


class NumericField(Protocol):
    """One numeric field of a row; `position` is its column, from 0.

    `parse` reads one text and raises `BadField` if it is invalid. In bulk, the C parser reads the
    column as `dtype` and `adjust` corrects its values; `convert` reads texts that match `pattern`.
    `good` marks the values that `parse` accepts. Values are stored as `final`.
    """

    @property
    def position(self) -> int: ...
    @property
    def decimal(self) -> bool: ...
    @property
    def dtype(self) -> str: ...
    @property
    def final(self) -> str: ...
    @property
    def pattern(self) -> bytes: ...
    def parse(self, text: str) -> float: ...
    def convert(self, texts: Sequence[bytes]) -> Array: ...
    def adjust(self, values: Array) -> Array: ...
    def good(self, values: Array) -> Array: ...


class _ExactField:
    """A field whose bulk values need no correction."""

    __slots__ = ()

    def adjust(self, values: Array) -> Array:
        return values


@dataclass(frozen=True, slots=True)
class IdField(_ExactField):
    """Ids from 0 to 2^31-1; with `known` (ascending), only these ids."""

    position: int
    name: str
    known: Int32 | None = None
    decimal: bool = False
    dtype: str = "int64"
    final: str = "int32"
    pattern: bytes = rb"[0-9]{1,18}"  # 18 digits always fit into int64

    def parse(self, text: str) -> int:
        value = parse_id(text, f"{self.name} id")
        if self.known is not None and not contains(self.known, value):
            raise BadField(f"{self.name} {value} is unknown")
        return value

    def convert(self, texts: Sequence[bytes]) -> Array:
        return np.array(list(map(int, texts)), np.int64)

    def good(self, values: Array) -> Array:
        good = (values >= 0) & (values <= MAX_ID)
        if self.known is not None:
            good &= np.isin(values, self.known)
        return good


@dataclass(frozen=True, slots=True)
class ValueField(_ExactField):
    """Finite numbers; with a `scale`, on its steps. Step 0 allows every value in its range.

    `unrated` is allowed beside the scale.
    """

    position: int
    name: str
    scale: RatingScale | None = None
    unrated: float | None = None
    decimal: bool = True
    dtype: str = "float64"
    final: str = "float64"
    pattern: bytes = rb"-?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})"

    def parse(self, text: str) -> float:
        value = parse_number(text, self.name)
        scale = self.scale
        if scale is None or self.good(np.array([value]))[0]:
            return value
        given = f"{self.name} {shown(text.strip(), '')}"
        if not scale.minimum <= value <= scale.maximum:
            raise BadField(f"{given} is outside {scale.minimum:g} to {scale.maximum:g}")
        raise BadField(f"{given} is not a step of {scale.step:g}")

    def convert(self, texts: Sequence[bytes]) -> Array:
        return np.array(list(map(float, texts)), np.float64)

    def good(self, values: Array) -> Array:
        scale = self.scale
        if scale is None:
            return np.isfinite(values)
        good = (values >= scale.minimum) & (values <= scale.maximum)
        if scale.step:
            # Values out of range may be infinite, and infinity divided by the step warns.
            steps = (np.where(good, values, scale.minimum) - scale.minimum) / scale.step
            # Steps such as 0.1 are no sums of powers of 2.
            good &= np.abs(steps - np.rint(steps)) < _OFF_STEP
        return good if self.unrated is None else good | (values == self.unrated)


@dataclass(frozen=True, slots=True)
class TimeField:
    """Unix seconds from 1970 to `latest`.

    A `flexible` field also accepts milliseconds, fractions, ISO 8601 and an empty text.
    """

    position: int
    latest: int
    flexible: bool = False
    decimal: bool = False
    dtype: str = "int64"
    final: str = "int64"

    @property
    def pattern(self) -> bytes:
        return _MOMENT_BYTES if self.flexible else rb"[0-9]{1,18}"

    def parse(self, text: str) -> int:
        if self.flexible and not text.strip():
            return NO_TIME
        value = parse_moment(text) if self.flexible else parse_integer(text, "timestamp")
        if value < 0:
            raise BadField(f"timestamp {shown(text.strip(), '')} is negative, before 1970")
        if value > self.latest:
            raise BadField(f"timestamp {shown(text.strip(), '')} lies in the future")
        return value

    def convert(self, texts: Sequence[bytes]) -> Array:
        if not self.flexible:
            return np.array(list(map(int, texts)), np.int64)
        return np.array([_moment_or_bad(text.decode()) for text in texts], np.int64)

    def adjust(self, values: Array) -> Array:
        if not self.flexible:
            return values
        if values.dtype == object:
            return self._moments(values)
        # The C parser reads plain integers only, so milliseconds still have to be scaled.
        return np.where(values >= MILLISECONDS_FROM, values // 1000, values)

    def _moments(self, texts: Array) -> Array:
        """Read times of any form; a file of dates has few different ones."""
        codes, unique = pd.factorize(texts)
        seconds = [_moment_or_bad(text) for text in unique]
        return np.array(seconds, np.int64)[codes]

    def good(self, values: Array) -> Array:
        good: Array = (values >= 0) & (values <= self.latest)
        return good | (values == NO_TIME) if self.flexible else good


def contains(ids: Int32, value: int) -> bool:
    """Tell whether the ascending `ids` contain the value."""
    place = int(np.searchsorted(ids, value))
    return place < len(ids) and int(ids[place]) == value


def parse_integer(text: str, name: str) -> int:
    """Parse a whole number; surrounding blanks are allowed."""
    digits = text.strip()
    if not digits:
        raise BadField(f"{name} is empty")
    if not _INTEGER.fullmatch(digits):
        raise BadField(f"{name} {shown(digits)} is not a whole number")
    magnitude = digits.lstrip("+-").lstrip("0")
    # Python refuses to convert more than 4,300 digits, with an error of its own.
    if len(magnitude) > 100:
        raise BadField(f"{name} {shown(digits)} has too many digits")
    value = int(magnitude or "0")
    return -value if digits.startswith("-") else value


def parse_id(text: str, name: str) -> int:
    """Parse an id from 0 to 2^31-1."""
    value = parse_integer(text, name)
    if value < 0:
        raise BadField(f"{name} {shown(text.strip(), '')} is negative")
    if value > MAX_ID:
        raise BadField(f"{name} {shown(text.strip(), '')} is larger than {MAX_ID}")
    return value


def parse_number(text: str, name: str) -> float:
    """Parse a finite number."""
    digits = text.strip()
    if not digits:
        raise BadField(f"{name} is empty")
    if _NOT_FINITE.fullmatch(digits):
        raise BadField(f"{name} {shown(digits)} is not a finite number")
    if not _NUMBER.fullmatch(digits):
        raise BadField(f"{name} {shown(digits)} is not a number")
    value = float(digits)  # 1e999 matches the pattern and becomes infinite
    if not math.isfinite(value):
        raise BadField(f"{name} {shown(digits)} is not a finite number")
    return value


def parse_moment(text: str) -> int:
    """Parse seconds, milliseconds, ISO 8601 (UTC without a zone) or `ctime` into unix seconds."""
    moment = text.strip()
    if _CTIME.fullmatch(moment):
        return _ctime_seconds(moment)
    if date := _DATE.fullmatch(moment):
        return _date_seconds(date)
    if not _SECONDS.fullmatch(moment):
        raise BadField(f"timestamp {shown(moment)} is neither a number of seconds nor a date")
    seconds = parse_integer(moment.partition(".")[0], "timestamp")
    return seconds // 1000 if seconds >= MILLISECONDS_FROM else seconds


def _date_seconds(date: re.Match[str]) -> int:
    day, time, zone = date.groups()
    zone = "+00:00" if zone in (None, "Z", "UTC") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone}")
        return math.floor(moment.timestamp())
    except (ValueError, OverflowError):
        raise BadField(f"timestamp {shown(date[0])} is not a date of the calendar") from None


def _ctime_seconds(moment: str) -> int:
    try:
        return math.floor(datetime.strptime(moment, "%a %b %d %H:%M:%S %z %Y").timestamp())
    except (ValueError, OverflowError):
        raise BadField(f"timestamp {shown(moment)} is not a date of the calendar") from None


def _moment_or_bad(text: str) -> int:
    """Return the result of `parse_moment`, or -1, which `good` rejects, for an invalid text."""
    if not text.strip():
        return NO_TIME
    try:
        return max(parse_moment(text), -1)
    except BadField:
        return -1


def shown(text: str, quote: str = '"') -> str:
    """Quote a text in a message, shortened and with unprintable characters escaped."""
    kept = text if len(text) <= 40 else text[:40] + "…"
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return f"{quote}{safe}{quote}"
