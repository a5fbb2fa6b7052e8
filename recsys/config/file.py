"""One `recsys.toml`: its tables, and where in it a key stands."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from recsys.errors import ConfigError
from recsys.files import written_whole

Key = tuple[str, ...]
"""The way to a value through the tables, as `("models", "ease", "weights")`."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path
    text: str
    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """Raise ConfigError where the file cannot be read or is no TOML."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ConfigError(f"{path}: {exc}") from exc

    def table(self, *key: str) -> dict[str, Any]:
        """Return a table, an empty one where there is none; raise ConfigError for anything else."""
        table = _value(self.document, key, default={})
        if not isinstance(table, dict):
            name = ".".join(key)
            raise self.error(key, f"{name} must be a table, [{name}]")
        return table

    def refuse_unknown(self, what: str, table: Key, allowed: tuple[str, ...]) -> None:
        """Raise ConfigError, naming the first, where a table has keys that are not allowed."""
        for name in self.table(*table):
            if name not in allowed:
                hint = f"allowed: {', '.join(allowed)}"
                raise self.error((*table, name), f"unknown {what}: {name}", hint)

    def error(self, key: Key, message: str, hint: str | None = None) -> ConfigError:
        """Return the error of a key, naming the file and the line."""
        line = self.line(key)
        where = f"{self.path} line {line}" if line else str(self.path)
        return ConfigError(f"{where}: {message}", hint=hint, key=key)

    def line(self, key: Key) -> int | None:
        """Return the line from 1 on which a key or table stands, None where it is not given.

        That is the line after the longest beginning of the file that is TOML and lacks the key.
        """
        lines = self.text.splitlines(keepends=True)
        before = 0
        for count in range(len(lines) + 1):
            try:
                document = tomllib.loads("".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue  # in the middle of a value
            if _value(document, key) is not None:
                return before + 1
            before = count
        return None


def _value(document: Mapping[str, Any], key: Key, default: Any = None) -> Any:
    value: Any = document
    for name in key:
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def write_table(path: Path, key: Key, values: Mapping[str, Any]) -> None:
    """Set values of a table in a file, which is made where there is none; all else stays.

    Comments, order and spaces are kept. The file is replaced at once by a whole new one. Raises
    ConfigError where it cannot be read or written.
    """
    path = path.resolve()  # a link stays one
    text = ConfigFile.read(path).text if path.exists() else ""
    document = tomlkit.parse(text)
    table: Any = document
    for name in key:
        if name not in table:
            table[name] = tomlkit.table(is_super_table=name != key[-1])
        table = table[name]
    for name, value in values.items():
        table[name] = list(value) if isinstance(value, tuple) else value
    with written_whole(path) as file:
        file.write(tomlkit.dumps(document).encode())
