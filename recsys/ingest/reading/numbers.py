"""Kinds of numeric columns: each says what it takes, for one text and for a whole array."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.domain import NO_TIME, Int32, RatingScale

Array = NDArray[Any]

MAX_ID = 2**31 - 1
MILLISECONDS_FROM = 10**11
"""As seconds this is the year 5138, as milliseconds 1973."""

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_SECONDS = re.compile(r"-?[0-9]+(?:\.[0-9]*)?")
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?) ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_MOMENT_BYTES = rb"(?:[0-9]{1,18}(?:\.[0-9]*)?|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T0-9:.Z+-]{0,40})"


class BadField(ValueError):
    """The text of a column cannot be taken; the message is the plain reason."""


class Column(Protocol):
    """One numeric column of a file, `position` counted from 0.

    `parse` reads one text or says why not. For bulk, `dtype` is what the C parser is told,
    `adjust` follows it; `convert` reads texts that `pattern` matches. `good` marks the values of
    either that `parse` gives too. `final` is the type of what is kept.
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


class _Bulk:
    """A column whose bulk values need no second look."""

    __slots__ = ()

    def adjust(self, values: Array) -> Array:
        return values


@dataclass(frozen=True, slots=True)
class IdColumn(_Bulk):
    """Ids from 0 to 2^31-1, and only `known` ones (ascending) where those are given."""

    position: int
    name: str
    known: Int32 | None = None
    decimal: bool = False
    dtype: str = "int64"
    final: str = "int32"
    pattern: bytes = rb"[0-9]{1,18}"

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
class ValueColumn(_Bulk):
    """Finite numbers, on the `scale` where there is one; its step 0 allows all between."""

    position: int
    name: str
    scale: RatingScale | None = None
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
            # A value that fails the range may be infinite: its step is not worth a warning.
            steps = (np.where(good, values, scale.minimum) - scale.minimum) / scale.step
            good &= steps == np.floor(steps)
        return good


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """Moments from 1970 to `latest`, in unix seconds.

    A `flexible` column takes milliseconds, fractions, ISO 8601 and nothing at all as well.
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
        read = _moment_or_bad if self.flexible else int
        return np.array(list(map(read, texts)), np.int64)

    def adjust(self, values: Array) -> Array:
        if not self.flexible:
            return values
        return np.where(values >= MILLISECONDS_FROM, values // 1000, values)

    def good(self, values: Array) -> Array:
        good: Array = (values >= 0) & (values <= self.latest)
        return good


def contains(ids: Int32, value: int) -> bool:
    """Tell whether the ascending `ids` hold the value."""
    place = int(np.searchsorted(ids, value))
    return place < len(ids) and int(ids[place]) == value


def parse_integer(text: str, name: str) -> int:
    """Return a whole number in decimal digits, blanks around it allowed."""
    digits = text.strip()
    if not digits:
        raise BadField(f"{name} is empty")
    if not _INTEGER.fullmatch(digits):
        raise BadField(f"{name} {shown(digits)} is not a whole number")
    magnitude = digits.lstrip("-").lstrip("0")
    if len(magnitude) > 100:
        raise BadField(f"{name} {shown(digits)} has too many digits")
    value = int(magnitude or "0")
    return -value if digits.startswith("-") else value


def parse_id(text: str, name: str) -> int:
    """Return an id from 0 to 2^31-1."""
    value = parse_integer(text, name)
    if value < 0:
        raise BadField(f"{name} {shown(text.strip(), '')} is negative")
    if value > MAX_ID:
        raise BadField(f"{name} {shown(text.strip(), '')} is larger than {MAX_ID}")
    return value


def parse_number(text: str, name: str) -> float:
    """Return a finite number."""
    digits = text.strip()
    if not digits:
        raise BadField(f"{name} is empty")
    if _NOT_FINITE.fullmatch(digits):
        raise BadField(f"{name} {shown(digits)} is not a finite number")
    if not _NUMBER.fullmatch(digits):
        raise BadField(f"{name} {shown(digits)} is not a number")
    value = float(digits)
    if not math.isfinite(value):
        raise BadField(f"{name} {shown(digits)} is not a finite number")
    return value


def parse_moment(text: str) -> int:
    """Return unix seconds from seconds, milliseconds or ISO 8601 (UTC where it names no zone)."""
    moment = text.strip()
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


def _moment_or_bad(text: bytes) -> int:
    """Return what `parse_moment` gives, and -1, which no column takes, where it gives nothing."""
    try:
        return max(parse_moment(text.decode()), -1)
    except BadField:
        return -1


def shown(text: str, quote: str = '"') -> str:
    """Return the text short and printable, for a reason."""
    kept = text if len(text) <= 40 else text[:40] + "…"
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return f"{quote}{safe}{quote}"
