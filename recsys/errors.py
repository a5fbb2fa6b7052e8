"""The error family: what went wrong, and in ``hint`` what to do about it."""


class RecsysError(Exception):
    """A failure we know: its message says what and where, its hint what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(RecsysError):
    """A setting, an environment variable or `recsys.toml` cannot be used."""

    def __init__(self, message: str, *, hint: str | None = None, key: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        """The way to the value at fault, as far as whoever raised this knew it."""


class DataError(RecsysError):
    """An input file cannot be loaded: names the file, the line where known, and the reason."""


class StorageError(RecsysError):
    """PostgreSQL could not be reached, or refused what was asked of it."""

    def __init__(
        self, message: str, *, hint: str | None = None, sqlstate: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class RunError(RecsysError):
    """A refresh could not be carried through."""


class RefreshBusy(RunError):
    """Another refresh holds the lock of this database."""

    exit_code = 4


class EvaluationError(RecsysError):
    """A model cannot be measured as asked, or the measurement would not be honest."""


class GateRefused(RecsysError):
    """The publish gate refused a run; what was published before stays."""

    exit_code = 3


class NotPublished(RecsysError):
    """Nothing is published yet, so there is nothing to recommend from."""


class UnknownUser(RecsysError):
    """No user has this id."""


class UnknownMovie(RecsysError):
    """No movie has this id or title."""
