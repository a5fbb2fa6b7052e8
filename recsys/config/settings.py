"""The only reader of the environment and of `recsys.toml`."""

from __future__ import annotations

import os
import re
import sys
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from recsys.config.file import ConfigFile, write_table
from recsys.errors import ConfigError
from recsys.models.params import NOT_A_KEY, Bounds, Called, ModelName, Params
from recsys.owners import foreign_owner, home_of_another

CONFIG_NAME = "recsys.toml"
TABLES = ("ingest", "source", "refresh", "models", "gate", "schedule", "engine")
SHORTEST_TOKEN = 16
ENVIRONMENT: Mapping[str, str] = {
    "RECSYS_HOME": "Folder of the embedded database and of downloads.",
    "RECSYS_DATABASE_URL": "URL of a PostgreSQL server, version 15 or newer. Without it an "
    "embedded server runs under `RECSYS_HOME`.",
    "RECSYS_CONFIG": "Path of a `recsys.toml`.",
    "RECSYS_SOURCE_URL": "URL of the server that `recsys sync` reads, in place of `url` in "
    "`[source]`.",
    "RECSYS_MOVIELENS": "Folder, archive or CSV file that `recsys demo` loads.",
    "RECSYS_JOB_PASSWORD": "Password that `recsys db roles` gives to the role `recsys_job`.",
    "RECSYS_APP_PASSWORD": "Password that `recsys db roles` gives to the role `recsys_app`.",
    "RECSYS_READER_PASSWORD": "Password that `recsys db roles` gives to the role `recsys_reader`.",
    "RECSYS_API_TOKEN": "Token that `recsys serve` requires of requests that write: 16 or more "
    "letters, digits or `-._~+/`. Without it such requests are refused.",
}
"""The variables that are read, with their meaning."""


EngineKind = Literal["local", "spark"]
GateMetric = Literal[
    "precision@10", "recall@10", "ndcg@10", "map@10", "mrr@10", "hit_rate@10", "ndcg_liked@10",
    "ndcg_gain@10", "disliked_share@10",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sourced(Params):
    """A table that knows its file, so that later checks can name the line too."""

    source: ConfigFile | None = field(
        default=None, compare=False, repr=False, metadata=NOT_A_KEY, kw_only=True
    )
    """The file of the table; None if it was built in Python."""

    def located(self, error: ConfigError, *table: str) -> ConfigError:
        """Return an error that arose in a table, with file and line if the file is known."""
        return self.source.located(error, *table) if self.source else error


@dataclass(frozen=True, slots=True)
class GateSettings(Params):
    """The `[gate]` table: the conditions for publishing a run."""

    enabled: bool = True
    """Whether runs are checked before they are published."""
    max_rows_drop: Annotated[float, Bounds(0, 1)] = 0.2
    """Largest drop in the rows of a model, as a share of its rows in the published run."""
    min_served: Annotated[float, Bounds(0, 1)] = 0.5
    """Share of the users with ratings who must get ten movies from the default model."""
    metric: GateMetric = "ndcg@10"
    """Metric of the two rules below. Of `disliked_share@10` less is better."""
    beat_popularity: bool = True
    """Whether the default model must be better than popularity, if the published run's was."""
    no_fall: bool = True
    """Whether the default model must not be worse than the published run's by more than the
    confidence interval, if that was measured by the same metric."""


@dataclass(frozen=True, slots=True)
class RefreshSettings(_Sourced):
    """The `[refresh]` table: what a refresh computes and keeps."""

    models: tuple[ModelName, ...] | None = None
    """Models that a refresh computes, each named once. Without it: the default set."""
    default_model: ModelName | None = None
    """Model for queries that name none. Without it: the preferred one of the refreshed models."""
    cold_start: ModelName | None = None
    """Chart for users without ratings. Without it: the most suitable chart of the run."""
    rating_model: ModelName | None = None
    """Model that predicts ratings for queries that name none. Without it: the most accurate model
    of the run."""
    neighbours: Annotated[int, Bounds(1, 10_000)] = 100
    """Number of similar movies and similar users kept; `ease` has `weights` of its own."""
    list_length: Annotated[int, Bounds(1, 10_000)] = 100
    """Number of recommendations stored for each user."""
    keep_runs: Annotated[int, Bounds(1, 10_000)] = 3
    """Number of newest runs whose results are kept, beside the published run's and those that a
    kept run of changed users shares."""
    max_age_hours: Annotated[int, Bounds(1, 100_000)] = 36
    """Age at which a published run counts as stale. The default allows a nightly refresh to be
    half a day late."""
    seed: Annotated[int, Bounds(0, 2**31 - 1)] = 42
    """Seed of every random number; the same ratings and seed give the same results."""
    memory_mb: Annotated[int, Bounds(64, 2**20)] = 1024
    """Size of the working arrays of a model, over all threads, in MB."""
    threads: Annotated[int, Bounds(0, 1024)] = 0
    """Number of threads. 0: one per processor."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata=NOT_A_KEY)
    """Parameters of models that do not run with their defaults, from `[models.NAME]`."""
    gate: GateSettings = field(default_factory=GateSettings, metadata=NOT_A_KEY)

    def check(self) -> None:
        models = self.models or ()
        twice = next((name for name in models if models.count(name) > 1), None)
        if twice:
            raise ConfigError(f"models names {twice} twice", key=("models",))


@dataclass(frozen=True, slots=True)
class ScheduleSettings(_Sourced):
    """The `[schedule]` table: the times at which `recsys schedule` runs its jobs."""

    refresh: Annotated[str, Called("cron expression, or empty")] = "30 3 * * *"
    """Times at which everything is computed if anything has changed. Empty: never."""
    ingest_from: Annotated[str, Called("folder")] = ""
    """Folder whose new files are loaded before everything is computed. Empty: none."""
    sync: Annotated[str, Called("cron expression, or empty")] = ""
    """Times at which `recsys sync` reads the tables of `[source]`. Empty: never."""
    full_sync_hours: Annotated[int, Bounds(1, 100_000)] = 24
    """Age of the last full comparison from which a sync with `changed_since` makes another one."""
    users_only: Annotated[str, Called("cron expression, or empty")] = ""
    """Times at which the lists of users with new ratings are recomputed. Empty: never."""
    timezone: Annotated[str, Called("time zone")] = "UTC"
    """Time zone of the expressions, as `Europe/Berlin`."""
    retries: Annotated[int, Bounds(0, 86_400)] = 3
    """Number of retries of a job that failed."""
    retry_seconds: Annotated[int, Bounds(0, 86_400)] = 60
    """Pause before the first retry; it doubles each time."""

    def check(self) -> None:
        if self.timezone not in zoneinfo.available_timezones():
            raise ConfigError(
                f"timezone = {self.timezone!r} is not known",
                hint="timezone must be a name of the IANA database, as Europe/Berlin or UTC",
                key=("timezone",),
            )


@dataclass(frozen=True, slots=True)
class IngestSettings(Params):
    """The `[ingest]` table: what files may demand."""

    max_unpacked_mb: Annotated[int, Bounds(1, 2**30)] | None = None
    """Largest size that an archive may unpack to, in MB. Without it: 100 times the size of the
    archive, and 1024 in any case."""


@dataclass(frozen=True, slots=True)
class SourceSettings(_Sourced):
    """The `[source]` table: tables of your own that `recsys sync` reads."""

    ratings: Annotated[str, Called("SELECT statement")] = ""
    """Query with the columns `user_id` and `movie_id`, of any type, and `rating` and `rated_at` if
    there are any. Without `rating` each row is an interaction, and those of a pair are counted."""
    movies: Annotated[str, Called("SELECT statement, or empty")] = ""
    """Query with `movie_id` and `title`, and with any of `year`, `genres` (an array, or text with
    bars), `imdb_id`, `tmdb_id`, `overview`, `poster_path` and `available`. Movies it no longer has
    are withdrawn. Empty: movies are those that occur in the ratings."""
    users: Annotated[str, Called("SELECT statement, or empty")] = ""
    """Query with `user_id`, and with any of `age`, `gender`, `occupation` and `zip_code`."""
    tags: Annotated[str, Called("SELECT statement, or empty")] = ""
    """Query with `user_id`, `movie_id` and `tag`, and with `tagged_at` if there is one."""
    url: Annotated[str, Called("URL of a PostgreSQL server, or empty")] = ""
    """Where the queries run; `RECSYS_SOURCE_URL` keeps a password out of the file. Empty: in the
    database of recsys itself."""
    role: Annotated[str, Called("name of a role, or empty")] = ""
    """Role that the queries run as, which may be limited to the tables they read."""
    name: Annotated[str, Called("name")] = "source"
    """Name of the data set, its edition."""
    scale: tuple[float, ...] = ()
    """Lowest and highest rating; others are rejected. Empty: any number."""
    changed_since: Annotated[str, Called("name of a column, or empty")] = ""
    """Column of `ratings` with the time of the last change. With it only newer rows are read, but
    for a full comparison every `full_sync_hours` of `[schedule]`. Empty: everything is compared."""

    def check(self) -> None:
        if self.scale and (len(self.scale) != 2 or self.scale[0] >= self.scale[1]):
            raise ConfigError(
                f"scale = {list(self.scale)!r} is not a scale",
                hint="scale must hold the lowest and the highest rating, as [1, 5]",
                key=("scale",),
            )
        if self.changed_since and not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self.changed_since):
            raise ConfigError(
                f"changed_since = {self.changed_since!r} is not a name of a column",
                hint="small letters, digits and _; rename the column in the query with AS",
                key=("changed_since",),
            )


@dataclass(frozen=True, slots=True)
class EngineSettings(_Sourced):
    """The `[engine]` table: where models learn and rank."""

    kind: EngineKind = "local"
    """`local`: in the process of the command. `spark`: on the executors of a Spark cluster."""
    master: Annotated[str, Called("master URL of Spark")] = "local[*]"
    """Cluster, as `spark://host:7077`, `yarn` or `k8s://https://host:443`;
    `local-cluster[2,1,1024]` starts two executors with one core and 1,024 MB on this machine."""
    connections: Annotated[int, Bounds(1, 10_000)] = 16
    """Number of connections to PostgreSQL that all executors have at once, at most. No more tasks
    than that run side by side."""
    shard_ratings: Annotated[int, Bounds(1, 2**31)] = 2_000_000
    """Number of ratings of a shard of users, at most, unless one user has more."""
    archive: Annotated[str, Called("file, or empty")] = ""
    """Archive of `recsys engine package`, for executors without recsys. Empty: it is installed."""
    python: Annotated[str, Called("path, or empty")] = ""
    """Interpreter of the executors. Empty: `PYSPARK_PYTHON`, or python3; on this machine, that of
    the command."""
    driver_memory: Annotated[str, Called("size, as 4g")] = "4g"
    """Memory of Spark's own process beside the command, through which results pass."""
    executor_memory: Annotated[str, Called("size, as 2g, or empty")] = ""
    """Memory of the JVM of an executor; its Python processes come on top. Empty: 1g."""
    properties: Mapping[str, str] = field(default_factory=dict, metadata=NOT_A_KEY)
    """Further properties of Spark, from `[engine.properties]`."""

    def check(self) -> None:
        for name in self.properties:
            if not name.startswith("spark."):
                raise ConfigError(
                    f"{name!r} is no property of Spark",
                    hint="they begin with spark.",
                    key=("properties", name),
                )
            if re.search(r"(?i)password|secret(?!KeyRef\.)|token", name):
                raise ConfigError(
                    f"{name!r} would be shown by Spark",
                    hint="see docs/scale-out.md, Credentials",
                    key=("properties", name),
                )


@dataclass(frozen=True)  # Without slots: cached properties need the instance's dictionary.
class Settings:
    """The settings of this process. `recsys.toml` is parsed once, when first needed."""

    home: Path
    database_url: str | None
    """None: the embedded server under `home`."""
    movielens: Path | None
    config_file: Path | None
    role_passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords for roles, by role."""
    source_url: str | None = field(default=None, repr=False)
    """Server that a sync reads; None: that of `[source]`."""
    api_token: str | None = field(default=None, repr=False)
    """Token that `recsys serve` requires of requests that write; None: it refuses them all."""

    @cached_property
    def _file(self) -> ConfigFile | None:
        return ConfigFile.read(self.config_file) if self.config_file else None

    # Properties, so that a command without a refresh never fails because of `[refresh]`.
    @cached_property
    def refresh(self) -> RefreshSettings:
        """The settings of a refresh. Raises ConfigError for anything wrong in `recsys.toml`."""
        return read_refresh(self._file) if self._file else RefreshSettings()

    @cached_property
    def ingest(self) -> IngestSettings:
        """The limits of an ingest. Raises ConfigError for anything wrong in `recsys.toml`."""
        if not self._file:
            return IngestSettings()
        self._file.refuse_unknown_tables(TABLES)
        return self._file.params(IngestSettings, "ingest")

    @cached_property
    def source(self) -> SourceSettings:
        """The tables to synchronize with. Raises ConfigError for anything wrong in the file."""
        if not self._file:
            return SourceSettings()
        self._file.refuse_unknown_tables(TABLES)
        return self._file.params(SourceSettings, "source", source=self._file)

    @cached_property
    def schedule(self) -> ScheduleSettings:
        """The times of jobs. Raises ConfigError for anything wrong in `recsys.toml`."""
        if not self._file:
            return ScheduleSettings()
        # The jobs read the other tables at night; their errors are reported now.
        _ = self.refresh
        return self._file.params(ScheduleSettings, "schedule", source=self._file)

    @cached_property
    def engine(self) -> EngineSettings:
        """The engine. Raises ConfigError for anything wrong in `recsys.toml`."""
        if not self._file:
            return EngineSettings()
        self._file.refuse_unknown_tables(TABLES)
        given = self._file.table("engine", "properties")
        for name, value in given.items():
            if not isinstance(value, str):
                key = ("engine", "properties", name)
                raise self._file.error(key, f"{name} = {value!r} is not a text in quotes")
        return self._file.params(
            EngineSettings, "engine", without=("properties",), properties=given, source=self._file
        )

    @property
    def cache(self) -> Path:
        """The folder of downloads."""
        return self.home / "cache"


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings from the environment, and find `recsys.toml`.

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
        role_passwords=_role_passwords(env),
        source_url=env.get("RECSYS_SOURCE_URL") or None,
        api_token=_api_token(env.get("RECSYS_API_TOKEN")),
    )


def write_settings(current: Settings, table: str, values: Mapping[str, Any]) -> Path:
    """Set values of a table, as `models.ease`, in `recsys.toml`, created here if missing.

    Returns its path. Raises ConfigError if it cannot be written.
    """
    path = current.config_file or Path.cwd() / CONFIG_NAME
    write_table(path, tuple(table.split(".")), values)
    return path


def _role_passwords(env: Mapping[str, str]) -> dict[str, str]:
    given = {
        "recsys_job": env.get("RECSYS_JOB_PASSWORD"),
        "recsys_app": env.get("RECSYS_APP_PASSWORD"),
        "recsys_reader": env.get("RECSYS_READER_PASSWORD"),
    }
    return {role: password for role, password in given.items() if password}


def _api_token(text: str | None) -> str | None:
    if not text:
        return None
    # RFC 6750 allows only these characters in `Authorization: Bearer`.
    if len(text) < SHORTEST_TOKEN or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", text):
        raise ConfigError(
            f"RECSYS_API_TOKEN must have {SHORTEST_TOKEN} characters or more, "
            "all of them letters, digits or -._~+/",
            hint="make one with `openssl rand -hex 32`",
        )
    return text


def _default_home() -> Path:
    # PostgreSQL does not run as root, and its own user cannot enter root's home.
    if os.geteuid() == 0:
        return Path("/usr/local/var/recsys" if sys.platform == "darwin" else "/var/lib/recsys")
    import platformdirs  # needed in few processes

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
        owner = foreign_owner(home) if isinstance(exc, PermissionError) else None
        if owner is not None:
            raise home_of_another(home, owner) from exc
        raise ConfigError(f"RECSYS_HOME={str(home)[:100]} cannot be used: {exc.strerror}") from exc


def read_refresh(file: ConfigFile) -> RefreshSettings:
    """Read the tables that a refresh uses.

    Raises ConfigError for an unknown table, an unknown key or a value that is not allowed. The
    tables of models are checked with the models' own parameters, when a refresh is planned.
    """
    file.refuse_unknown_tables(TABLES)
    return file.params(
        RefreshSettings,
        "refresh",
        parameters={name: file.table("models", name) for name in file.table("models")},
        gate=file.params(GateSettings, "gate"),
        source=file,
    )
