"""The commands that help after an error, by its type."""

from __future__ import annotations

from collections.abc import Mapping

from recsys.errors import (
    DataOfOtherVersion,
    GateRefused,
    NotEnoughDisk,
    NothingLoaded,
    NotPublished,
    RecsysError,
    SchemaOutdated,
    ServerInUse,
    UnknownMovie,
    UnknownRun,
)

COMMANDS: Mapping[type[RecsysError], str] = {
    NotPublished: "`recsys demo`, or `recsys ingest ml-latest-small` and then `recsys refresh`",
    NothingLoaded: "`recsys ingest ml-latest-small`",
    UnknownMovie: "`recsys search TITLE`",
    UnknownRun: "`recsys runs list`",
    GateRefused: "`--force REASON` publishes it anyway",
    NotEnoughDisk: "`--force REASON` goes on anyway",
    SchemaOutdated: "`recsys db upgrade`",
    DataOfOtherVersion: "`recsys db dump FILE` with the recsys that made it, then move the folder "
    "away and `recsys db restore FILE`",
    ServerInUse: "`recsys db stop --force` stops it anyway",
}


def hint_of(error: RecsysError) -> str | None:
    """Return the hint of an error, with the command of its nearest type."""
    command = next((COMMANDS[kind] for kind in type(error).__mro__ if kind in COMMANDS), None)
    return "; ".join(filter(None, (error.hint, command))) or None
