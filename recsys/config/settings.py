"""The only reader of the environment and of `recsys.toml`."""

from __future__ import annotations

import os
import re
import sys
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from recsys.config.file import ConfigFile, write_table
from recsys.errors import ConfigError

CONFIG_NAME = "recsys.toml"
SHORTEST_TOKEN = 16
BOUNDS = {
    "neighbours": (1, 10_000),
    "list_length": (1, 10_000),
    "keep_runs": (1, 10_000),
    "max_age_hours": (1, 100_000),
    "seed": (0, 2**31 - 1),
    "memory_mb": (64, 2**20),
    "threads": (0, 1024),
}
"""What numbers in `[refresh]` can be."""
NOT_IN_THE_TABLE = ("parameters", "gate", "source")
DEFAULT_MODELS = (
    "top_rated",
    "most_rated",
    "popular",
    "trending",
    "item_knn",
    "content_genres",
    "mf",
    "ease",
    "als",
)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The `[gate]` table of `recsys.toml`: what a run must show before it is published."""

    enabled: bool = True
    max_rows_drop: float = 0.2
    """Share of a model's rows by which it may shrink against the published run."""
    min_served: float = 0.5
    """Share of the people who have rated whom the default model must give ten movies."""
    beat_popularity: bool = True
    no_fall: bool = True
    """Whether the default model's nDCG must not fall beyond the confidence interval."""


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """The `[refresh]` table and the `[models.NAME]` tables of `recsys.toml`."""

    models: tuple[str, ...] = DEFAULT_MODELS
    default_model: str = "ease"
    """Which model the contract's functions use when none is named."""
    cold_start: str | None = None
    """Which chart serves people of whom nothing is known; None: the fittest one there is."""
    rating_model: str | None = None
    """Which model predicts ratings when none is named; None: the most accurate one there is."""
    neighbours: int = 100
    """Kept for each movie and each user; `ease` keeps `weights` of its own."""
    list_length: int = 100
    keep_runs: int = 3
    """The newest runs whose results are kept; those of the published one always are."""
    max_age_hours: int = 36
    """Age from which a published run is stale: a day, and half of one to be late."""
    seed: int = 42
    memory_mb: int = 1024
    threads: int = 0
    """0: all cores."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of the models that do not run on their defaults."""
    gate: GateSettings = field(default_factory=GateSettings)
    source: ConfigFile | None = field(default=None, compare=False, repr=False)
    """Where this was read; None: nowhere."""

    def located(self, error: ConfigError, *key: str) -> ConfigError:
        """Return the error with the file and line of the table `key` it arose in, if there is."""
        if self.source is None:
            return error
        return self.source.error((*key, *error.key), str(error), error.hint)


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """The `[schedule]` table of `recsys.toml`: when `recsys schedule` runs what."""

    refresh: str = "30 3 * * *"
    """When everything is computed if anything changed, as a cron expression; empty: never."""
    users_only: str = ""
    """When people who have rated since get new lists; empty: never."""
    timezone: str = "UTC"
    """Whose clock the expressions are of, as Europe/Berlin."""
    retries: int = 3
    """How often a job that failed is tried again."""
    retry_seconds: int = 60
    """Before the first of these; each time it doubles."""
    source: ConfigFile | None = field(default=None, compare=False, repr=False)
    """Where this was read; None: nowhere."""

    def located(self, error: ConfigError) -> ConfigError:
        """Return the error with the file and line it arose in, if there is."""
        if self.source is None:
            return error
        return self.source.error(("schedule", *error.key), str(error), error.hint)


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path
    database_url: str | None
    """None: the embedded server under `home`."""
    movielens: Path | None
    config_file: Path | None
    api_token: str | None = field(default=None, repr=False)
    """What requests that write must show to `recsys serve`; None: it refuses them all."""

    @property
    def refresh(self) -> RefreshSettings:
        """Read what `recsys.toml` says of a refresh; commands that make none never fail by it."""
        return read_config(self.config_file) if self.config_file else RefreshSettings()

    @property
    def schedule(self) -> ScheduleSettings:
        """Read what `recsys.toml` says of times; the rest of it is checked as well."""
        if not self.config_file:
            return ScheduleSettings()
        read_config(self.config_file)
        return _read_schedule(ConfigFile.read(self.config_file))

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
        api_token=_api_token(env.get("RECSYS_API_TOKEN")),
    )


def write_parameters(current: Settings, model: str, parameters: Mapping[str, Any]) -> Path:
    """Set parameters of a model in `recsys.toml`, made in this folder if there is none; return it.

    Raises ConfigError where it cannot be written.
    """
    path = current.config_file or Path.cwd() / CONFIG_NAME
    write_table(path, ("models", model), parameters)
    return path


def _api_token(text: str | None) -> str | None:
    if not text:
        return None
    # What else there may be cannot be sent as `Authorization: Bearer`.
    if len(text) < SHORTEST_TOKEN or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text):
        raise ConfigError(
            f"RECSYS_API_TOKEN must have {SHORTEST_TOKEN} characters or more, "
            "all of them letters, digits or -._~+/",
            hint="make one with `openssl rand -hex 32`",
        )
    return text


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
    file = ConfigFile.read(path)
    file.refuse_unknown("table", (), ("refresh", "models", "gate", "schedule"))
    allowed = tuple(f.name for f in fields(RefreshSettings) if f.name not in NOT_IN_THE_TABLE)
    file.refuse_unknown("key in [refresh]", ("refresh",), allowed)
    models = {name: file.table("models", name) for name in file.table("models")}
    refresh = file.table("refresh")
    for key, value in refresh.items():
        _check_type(file, key, value)
    if "models" in refresh:
        refresh = {**refresh, "models": tuple(refresh["models"])}
    gate = _read_gate(file)
    settings = RefreshSettings(**refresh, parameters=models, gate=gate, source=file)
    _check_values(file, settings)
    return settings


def _read_gate(file: ConfigFile) -> GateSettings:
    file.refuse_unknown("key in [gate]", ("gate",), tuple(f.name for f in fields(GateSettings)))
    table = file.table("gate")
    for name, value in table.items():
        key = ("gate", name)
        if isinstance(getattr(GateSettings(), name), bool):
            if not isinstance(value, bool):
                raise file.error(key, f"{name} in [gate] must be true or false, not {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise file.error(key, f"{name} in [gate] must be a number, not {value!r}")
        elif not 0 <= value <= 1:
            message = f"{name} = {value} in [gate] is out of range"
            raise file.error(key, message, f"{name} must lie in 0..1")
    return GateSettings(**table)


def _read_schedule(file: ConfigFile) -> ScheduleSettings:
    names = tuple(f.name for f in fields(ScheduleSettings) if f.name != "source")
    file.refuse_unknown("key in [schedule]", ("schedule",), names)
    table = file.table("schedule")
    for name, value in table.items():
        key = ("schedule", name)
        if isinstance(getattr(ScheduleSettings(), name), str):
            if not isinstance(value, str):
                raise file.error(key, f"{name} in [schedule] must be a text, not {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 86_400:
            message = f"{name} in [schedule] must be a whole number in 0..86400, not {value!r}"
            raise file.error(key, message)
    settings = ScheduleSettings(**table, source=file)
    if settings.timezone not in zoneinfo.available_timezones():
        message = f"timezone = {settings.timezone!r} in [schedule] is none"
        raise file.error(("schedule", "timezone"), message, "as Europe/Berlin or UTC")
    return settings


def _check_type(file: ConfigFile, key: str, value: Any) -> None:
    if key == "models":
        good = isinstance(value, list) and all(isinstance(name, str) for name in value)
        expected = "a list of model names"
    elif key in ("default_model", "cold_start", "rating_model"):
        good, expected = isinstance(value, str), "a model name"
    else:
        good, expected = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    if not good:
        message = f"{key} in [refresh] must be {expected}, not {value!r}"
        raise file.error(("refresh", key), message)


def _check_values(file: ConfigFile, settings: RefreshSettings) -> None:
    for key, (low, high) in BOUNDS.items():
        value = getattr(settings, key)
        if not low <= value <= high:
            message = f"{key} = {value} in [refresh] is out of range"
            raise file.error(("refresh", key), message, f"{key} must lie in {low}..{high}")
    names = settings.models
    for name in names:
        if names.count(name) > 1:
            raise file.error(("refresh", "models"), f"model {name} is named twice in [refresh]")
