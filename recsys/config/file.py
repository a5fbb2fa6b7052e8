"""One `recsys.toml`: its tables, and the lines of its keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from recsys.errors import ConfigError, InvalidArgument
from recsys.files import written_whole
from recsys.models.params import read

Key = tuple[str, ...]
"""The path of a value through the tables, as `("models", "ease", "weights")`."""
Params = TypeVar("Params")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A parsed `recsys.toml`."""

    path: Path
    text: str
    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """Parse a file; raise ConfigError if it cannot be read or is not TOML."""
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ConfigError(f"{path}: {exc}") from exc

    def table(self, *key: str) -> dict[str, Any]:
        """Return a table, empty if it is missing; raise ConfigError for any other value."""
        table = _value(self.document, key, default={})
        if not isinstance(table, dict):
            name = ".".join(key)
            raise self.error(key, f"{name} must be a table, [{name}]")
        return table

    def refuse_unknown_tables(self, allowed: tuple[str, ...]) -> None:
        """Raise ConfigError, naming the first, if the file has other tables or top-level keys."""
        for name in self.document:
            if name not in allowed:
                hint = f"allowed tables: {', '.join(allowed)}"
                raise self.error((name,), f"unknown table {name!r}", hint)

    def params(
        self, kind: type[Params], table: str, *, without: tuple[str, ...] = (), **rest: Any
    ) -> Params:
        """Read a table into its dataclass; a ConfigError names the file and the line.

        The keys `without` are read otherwise.
        """
        values = {name: value for name, value in self.table(table).items() if name not in without}
        try:
            return read(kind, values, f"[{table}]", **rest)
        except ConfigError as exc:
            raise self.located(exc, table) from exc

    def located(self, error: ConfigError, *table: str) -> ConfigError:
        """Return an error that arose in a table, with the file and the line in its message."""
        return self.error((*table, *error.key), str(error), error.hint)

    def error(self, key: Key, message: str, hint: str | None = None) -> ConfigError:
        """Return the error of a key, naming the file and the line."""
        line = self.line(key)
        where = f"{self.path} line {line}" if line else str(self.path)
        return ConfigError(f"{where}: {message}", hint=hint, key=key)

    def line(self, key: Key) -> int | None:
        """Return the line, from 1, of a key or table; None if the file does not have it.

        The parser gives no positions, so it parses longer and longer beginnings of the file. The
        key stands on the line after the longest valid beginning without it.
        """
        lines = self.text.splitlines(keepends=True)
        before = 0
        for count in range(len(lines) + 1):
            try:
                document = tomllib.loads("".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue  # The beginning ends inside a value of several lines.
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
    """Set values of a table in a file, which is created if it is missing.

    Comments, order and white space of the rest stay. The file is replaced atomically. Raises
    ConfigError if it cannot be read or written.
    """
    import tomlkit  # few commands write

    path = path.resolve()  # Replace the target of a symbolic link, not the link.
    text = ConfigFile.read(path).text if path.exists() else ""
    # tomllib cannot write, and other writers drop comments.
    document = tomlkit.parse(text)
    table: Any = document
    for name in key:
        if name not in table:
            # Only the last table has a header: [models.ease] without an empty [models] above.
            table[name] = tomlkit.table(is_super_table=name != key[-1])
        table = table[name]
    for name, value in values.items():
        table[name] = list(value) if isinstance(value, tuple) else value
    try:
        with written_whole(path) as file:
            file.write(tomlkit.dumps(document).encode())
    except InvalidArgument as exc:
        raise ConfigError(str(exc)) from exc
