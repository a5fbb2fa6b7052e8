"""The interface by which jobs report their progress."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Receives the stages of a job, one after the other."""

    def begin(self, stage: str) -> None: ...

    def advance(self, done: int, total: int, note: str = "") -> None:
        """Report the progress of the current stage, in a unit of its own.

        A note says more than the share that is done, such as `epoch 12/100, loss 0.8123`.
        """

    def end(self, note: str) -> None:
        """End the current stage; the note is its result, such as `100,836 ratings`."""


class Silent:
    """Discards all reports."""

    def begin(self, stage: str) -> None: ...

    def advance(self, done: int, total: int, note: str = "") -> None: ...

    def end(self, note: str) -> None: ...
