"""The only reader of the environment and of `recsys.toml`."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from recsys.errors import ConfigError

CONFIG_NAME = "recsys.toml"
DEFAULT_MODELS = (
    "top_rated",
    "most_rated",
    "trending",
    "item_knn",
    "content_genres",
    "ease",
    "als",
)


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """The `[refresh]` table and the `[models.NAME]` tables of `recsys.toml`."""

    models: tuple[str, ...] = DEFAULT_MODELS
    default_model: str = "ease"
    """Which model the contract's functions use when none is named."""
    neighbours: int = 100
    """Kept for each movie; `ease` keeps `weights` of its own."""
    list_length: int = 100
    keep_runs: int = 3
    """The newest runs whose results are kept; those of the published one always are."""
    seed: int = 42
    memory_mb: int = 1024
    threads: int = 0
    """0: all cores."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of the models that do not run on their defaults."""


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path
    database_url: str | None
    """None: the embedded server under `home`."""
    movielens: Path | None
    config_file: Path | None

    @property
    def refresh(self) -> RefreshSettings:
        """Read what `recsys.toml` says of a refresh; commands that make none never fail by it."""
        return read_config(self.config_file) if self.config_file else RefreshSettings()

    @property
    def cache(self) -> Path:
        """Where downloads are kept."""
        return self.home / "cache"


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings from the environment, and find the `recsys.toml` they lead to.

    Raises ConfigError naming the variable at fault.
    """
    env = os.environ if environ is None else environ
    home = Path(env["RECSYS_HOME"]).expanduser() if env.get("RECSYS_HOME") else _default_home()
    if not home.is_absolute():
        home = Path.cwd() / home
    movielens = env.get("RECSYS_MOVIELENS")
    config_file = _config_file(env, home, folder or Path.cwd())
    return Settings(
        home=home,
        database_url=env.get("RECSYS_DATABASE_URL") or None,
        movielens=Path(movielens).expanduser() if movielens else None,
        config_file=config_file,
    )


def _default_home() -> Path:
    # A root's own folders are closed to the user its server runs as.
    if os.geteuid() == 0:
        return Path("/usr/local/var/recsys" if sys.platform == "darwin" else "/var/lib/recsys")
    return platformdirs.user_data_path("recsys")


def _config_file(env: Mapping[str, str], home: Path, folder: Path) -> Path | None:
    named = env.get("RECSYS_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"RECSYS_CONFIG names {path}, which is not a file")
        return path
    try:
        return next((p for p in (folder / CONFIG_NAME, home / CONFIG_NAME) if p.is_file()), None)
    except OSError as exc:
        raise ConfigError(f"RECSYS_HOME={str(home)[:100]} cannot be used: {exc.strerror}") from exc


def read_config(path: Path) -> RefreshSettings:
    """Read one `recsys.toml`; unknown tables, unknown keys and wrong types are refused."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    _refuse_unknown(path, "table", document, ("refresh", "models"))
    refresh = _table(path, document, "refresh")
    models = _table(path, document, "models")
    for name in models:
        _table(path, models, name, prefix="models.")
    allowed = {f.name: f for f in fields(RefreshSettings) if f.name != "parameters"}
    _refuse_unknown(path, "key in [refresh]", refresh, tuple(allowed))
    for key, value in refresh.items():
        _check_type(path, key, value)
    if "models" in refresh:
        refresh = {**refresh, "models": tuple(refresh["models"])}
    settings = RefreshSettings(**refresh, parameters=models)
    _check_values(path, settings)
    return settings


def _table(path: Path, parent: Mapping[str, Any], name: str, prefix: str = "") -> dict[str, Any]:
    table = parent.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {prefix}{name} must be a table, [{prefix}{name}]")
    return table


def _refuse_unknown(
    path: Path, what: str, given: Mapping[str, Any], allowed: tuple[str, ...]
) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ConfigError(
            f"{path}: unknown {what}: {', '.join(unknown)}", hint=f"allowed: {', '.join(allowed)}"
        )


def _check_type(path: Path, key: str, value: Any) -> None:
    if key == "models":
        good = isinstance(value, list) and all(isinstance(name, str) for name in value)
        expected = "a list of model names"
    elif key == "default_model":
        good, expected = isinstance(value, str), "a model name"
    else:
        good, expected = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    if not good:
        raise ConfigError(f"{path}: {key} in [refresh] must be {expected}, not {value!r}")


def _check_values(path: Path, settings: RefreshSettings) -> None:
    bounds = {
        "neighbours": (1, 10_000),
        "list_length": (1, 10_000),
        "keep_runs": (1, 10_000),
        "seed": (0, 2**31 - 1),
        "memory_mb": (64, 2**20),
        "threads": (0, 1024),
    }
    for key, (low, high) in bounds.items():
        if not low <= getattr(settings, key) <= high:
            raise ConfigError(f"{path}: {key} in [refresh] must lie in {low}..{high}")
    if len(set(settings.models)) != len(settings.models):
        raise ConfigError(f"{path}: a model is named twice in [refresh] models")
    if settings.default_model not in settings.models:
        raise ConfigError(
            f"{path}: default_model {settings.default_model!r} is not among the models refreshed",
            hint=f"models: {', '.join(settings.models)}",
        )
