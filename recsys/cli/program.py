"""How to call this program from the shell that runs it, for messages that name a command."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "recsys"


def program() -> str:
    """Return `recsys`, or a path if that is not on PATH, or not this program."""
    script = sys.argv[0]
    if Path(script).name == "__main__.py":
        return f"{_short(sys.executable)} -m {NAME}"
    found = shutil.which(NAME)
    if Path(script).name != NAME or (found and os.path.realpath(found) == os.path.realpath(script)):
        return NAME
    return _short(script) if os.path.isfile(script) else NAME


def named(text: str) -> str:
    """Return a text that quotes commands, as `recsys status`, with the call that works here."""
    return text.replace(f"`{NAME} ", f"`{program()} ")


def call(*arguments: object) -> str:
    """Return a command line of this program."""
    return f"{program()} {' '.join(_quoted(str(each)) for each in arguments)}"


def _quoted(argument: str) -> str:
    # Double quotes where they do: they are easier to read around an apostrophe.
    if "'" in argument and not set(argument) & set('"$`\\!'):
        return f'"{argument}"'
    return shlex.quote(argument)


def _short(path: str) -> str:
    """Return the shorter of the absolute path and the one from the current folder."""
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    # The shell looks up a bare name on PATH.
    relative = relative if os.sep in relative else os.path.join(os.curdir, relative)
    return shlex.quote(min(relative, absolute, key=len))
