"""Read keys of users and movies: whole numbers as ids, any other texts as positions in a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.domain import Int32, fault_of_key, number_of_key
from recsys.ingest.reading.numbers import (
    Array,
    BadField,
    IdField,
    NumericField,
    parse_id,
    shown,
)


class NotNumbers(Exception):
    """A column holds a key that is no id; the whole data set has to be read with keys."""


def checked_key(text: str, name: str) -> str:
    """Return the key without surrounding blanks; raises BadField if it cannot be one."""
    key = text.strip()
    if fault := fault_of_key(key):
        raise BadField(f"{name} {shown(key)} {fault}" if key else f"{name} {fault}")
    return key


class _Positions(dict[str, int]):
    """Positions by text as in the file; a text that cannot be a key has -1."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __missing__(self, text: str) -> int:
        try:
            position = self._keys.position(text)
        except BadField:
            return -1
        # Few texts have blanks around the key; they are kept so that each is checked once.
        self[text] = position
        return position


class Keys:
    """The keys of all users or of all movies, each at its position; new ones are added.

    After `close`, any other key is unknown.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts: list[str] = []
        self._open = True
        self._position: dict[str, int] = {}
        self._seen = _Positions(self)

    def __len__(self) -> int:
        return len(self.texts)

    def close(self) -> None:
        self._open = False

    def position(self, text: str) -> int:
        """Return the position of a key; raises BadField for an invalid or unknown one."""
        key = checked_key(text, f"{self.name} id")
        found = self._position.get(key)
        if found is None:
            if not self._open:
                raise BadField(f"{self.name} {shown(key)} is unknown")
            found = self._position[key] = len(self.texts)
            self.texts.append(key)
        return found

    def positions(self, texts: Array) -> Array:
        """Return the positions of an array of texts, -1 for those that `position` refuses."""
        codes, unique = pd.factorize(texts)
        # Only different texts are looked up: a file has many rows for each user.
        found = np.fromiter(map(self._seen.__getitem__, unique), np.int64, len(unique))
        return found[codes]


class IdReader:
    """Reads the ids of users, or of movies, in all files of a data set.

    With `keys` they are positions; otherwise they are the ids, which `strict` formats require.
    """

    def __init__(self, name: str, *, keyed: bool, strict: bool = False) -> None:
        self.name = name
        self.strict = strict
        self.keys = Keys(name) if keyed else None
        self._known: Int32 | None = None

    def parse(self, text: str) -> int:
        """Read one id. Raises BadField, or NotNumbers if it has to be read as a key."""
        if self.keys is not None:
            return self.keys.position(text)
        return parse_id(text, f"{self.name} id") if self.strict else numeric_id(text, self.name)

    def field(self, position: int) -> NumericField:
        """Return the field of this id in a file."""
        if self.keys is not None:
            return KeyField(position, self.keys)
        kind = IdField if self.strict else NumberField
        return kind(position, self.name, self._known)

    def of(self, keys: Iterable[str]) -> Int32:
        """Return the ids of keys, without those that are no ids unless these are positions."""
        if self.keys is not None:
            return np.array([self.keys.position(key) for key in keys], np.int32)
        numbers = (number_of_key(key) for key in keys)
        return np.array([number for number in numbers if number is not None], np.int32)

    def allow_only(self, known: Int32) -> None:
        """Reject other ids from now on; with keys, all that have been read are known."""
        if self.keys is not None:
            self.keys.close()
        self._known = known

    @property
    def texts(self) -> list[str] | None:
        """All keys that have been read, None if the ids are the keys."""
        return None if self.keys is None else self.keys.texts

    def key(self, id_: int) -> str:
        """Return the key of an id."""
        return str(id_) if self.keys is None else self.keys.texts[id_]

    def shown(self, id_: int) -> str:
        """Return the key of an id, for a message."""
        return shown(self.key(id_), "" if self.keys is None else '"')


@dataclass(frozen=True, slots=True)
class NumberField(IdField):
    """An id in a column that may turn out to hold keys, as `007`, which is not 7.

    `parse` raises NotNumbers for a key that is not written as an id.
    """

    pattern: bytes = rb"(?:0|[1-9][0-9]{0,17})"

    def parse(self, text: str) -> int:
        return IdField.parse(self, str(numeric_id(text, self.name)))


def numeric_id(text: str, name: str) -> int:
    """Return the id that a text names. Raises NotNumbers for any other key, BadField for no key."""
    number = number_of_key(checked_key(text, f"{name} id"))
    if number is None:
        raise NotNumbers
    return number


@dataclass(frozen=True, slots=True)
class KeyField:
    """Keys of any form, read as their positions."""

    position: int
    keys: Keys
    decimal: bool = False
    dtype: str = "object"
    final: str = "int32"
    # Without separators: a line with one inside quotes is split with care.
    pattern: bytes = rb"[^\",;\t]*"

    def parse(self, text: str) -> int:
        return self.keys.position(text)

    def convert(self, texts: Sequence[bytes]) -> Array:
        return self.keys.positions(np.array([text.decode() for text in texts], object))

    def adjust(self, values: Array) -> Array:
        return self.keys.positions(values)

    def good(self, values: Array) -> Array:
        good: Array = values >= 0
        return good
