"""How a job tells what it is doing, to whoever wants to show it."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Told of one stage after the other."""

    def begin(self, stage: str) -> None: ...

    def advance(self, done: int, total: int) -> None:
        """So much of the current stage is done; both in the stage's own unit."""

    def end(self, note: str) -> None:
        """The current stage ended; the note says with what, as `100,836 ratings`."""


class Silent:
    """Tells nobody."""

    def begin(self, stage: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def end(self, note: str) -> None: ...
