"""The errors of recsys. Each has a message, and in `hint` a remedy if one is known.

Python, HTTP and the command line show the same hint, so it names no command. The command line adds
one by the type of the error.
"""


class RecsysError(Exception):
    """Base of all errors that recsys raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


# --- configuration and arguments ---


class ConfigError(RecsysError):
    """An environment variable, `recsys.toml` or a parameter of a model is not valid."""

    def __init__(self, message: str, *, hint: str | None = None, key: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        """The path of the value through the tables, as far as it is known."""


class InvalidArgument(RecsysError):
    """An argument is not valid: an unknown genre, a count out of range, an unwritable path."""


class MissingDependency(RecsysError):
    """A package or program is not installed."""


# --- data ---


class DataError(RecsysError):
    """An input cannot be loaded. The message names the file, the line if known, and the reason."""


class NothingLoaded(DataError):
    """The database has no ratings yet."""


# --- the database ---


class StorageError(RecsysError):
    """PostgreSQL could not be reached, or it rejected a statement."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        sqlstate: str | None = None,
        primary: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
        """PostgreSQL's error code; None if it sent none."""
        self.primary = primary
        """The primary message of PostgreSQL or the driver alone, on one line."""


class SchemaOutdated(StorageError):
    """The schema is missing, or belongs to another version of recsys."""


class SchemaNewer(StorageError):
    """The schema belongs to a newer version of recsys."""


class DataOfOtherVersion(StorageError):
    """The data folder of the embedded server belongs to another major version of PostgreSQL."""


class ServerInUse(StorageError):
    """Other commands use the embedded server."""


class NotEnoughDisk(StorageError):
    """The disk would not hold what is about to be written."""


# --- runs ---


class RunError(RecsysError):
    """A run failed, or lacks the results that an operation needs."""


class UnknownRun(RunError):
    """No run has this id."""


class RefreshBusy(RunError):
    """Another refresh holds the lock of this database."""

    exit_code = 4  # schedulers retry it, unlike a failure


class EvaluationError(RecsysError):
    """A model cannot be measured in this way, or test data would leak into the training."""


class GateRefused(RecsysError):
    """The publish gate refused a run. The published run stays."""

    exit_code = 3  # scripts can tell it from a failed refresh


# --- reading published results ---


class NotPublished(RecsysError):
    """No run is published yet."""


class UnknownUser(RecsysError):
    """No user has this id."""


class UnknownMovie(RecsysError):
    """No movie has this id or title."""


class UnknownModel(InvalidArgument):
    """No model has this name, or the published run does not have it."""
