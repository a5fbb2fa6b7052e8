"""Whose a folder is, and the error for a home of another user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from recsys.errors import ConfigError


def foreign_owner(path: Path) -> str | None:
    """Return the user that owns a path, or the folder above it that is closed to the caller.

    None if it is missing or the caller's own.
    """
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except PermissionError:  # in a folder that is closed
            continue
        except OSError:
            return None
        return None if owner == os.geteuid() else user_name(owner)
    return None


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"with the id {uid}"


def home_of_another(home: Path, owner: str) -> ConfigError:
    """Return the error for a RECSYS_HOME that the caller may not use."""
    become = f"run recsys as {owner}, or " if os.geteuid() == 0 else ""
    return ConfigError(
        f"RECSYS_HOME={home} belongs to the user {owner}",
        hint=f"{become}set RECSYS_HOME to a folder of your own; "
        "to share a database, set RECSYS_DATABASE_URL",
    )
