"""How much memory, time and connections clients of the server can take."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from recsys.web.middleware.security import MAX_BODY

SPARE_FILES = 100
"""File descriptors for the database, logs and modules."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the server and of each connection; sizes are bytes, times seconds."""

    target: int = 8 * 1024
    """The path and the query of a request."""
    head: int = 32 * 1024
    """The target and all headers of a request."""
    headers: int = 100
    body: int = 2 * MAX_BODY
    """A body as it is sent, with the framing of its chunks."""
    head_s: float = 10.0
    """Until the last header, from the connection or the first byte of a further request."""
    body_s: float = 30.0
    idle_s: float = 15.0
    """Between a response and the next request."""
    unsent_s: float = 60.0
    """Until the client has read a response."""
    connections: int = 1000


def limits_of_process() -> Limits:
    """Return the limits, with no more connections than the process may open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY
    most = Limits().connections
    return Limits(connections=most if unlimited else max(1, min(most, files - SPARE_FILES)))
