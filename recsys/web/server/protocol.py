"""uvicorn's HTTP protocol with limits on sizes and deadlines for everything a client sends."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from recsys.web.middleware.errors import problem
from recsys.web.middleware.security import SECURITY_HEADERS
from recsys.web.server.connections import Connections, network_of
from recsys.web.server.limits import Limits

PIECE = 4096
"""Bytes that are parsed at once."""
LINGER_S = 2.0
LINGER_BYTES = 1 << 20
"""Time to read a refusal, and bytes that are discarded meanwhile.

A connection that is closed while data arrives loses what is on its way to the client.
"""


class Phase(Enum):
    """What a connection waits for."""

    IDLE = "the first byte of a request"
    HEAD = "the end of the headers"
    BODY = "the end of the body"
    RUNNING = "the application"
    CLOSING = "the client to close the connection"


def _refusal(status: int, detail: str, hint: str | None = None) -> bytes:
    """Return a problem as a whole HTTP response that ends the connection."""
    response = problem(status, detail, hint)
    response.headers.update({**SECURITY_HEADERS, "Connection": "close"})
    lines = (name + b": " + value + b"\r\n" for name, value in response.raw_headers)
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(response.body)])


INVALID = _refusal(400, "the request is not valid HTTP")
TOO_SLOW = _refusal(408, "the request took too long to arrive")
LONG_BODY = _refusal(413, "the body is too large")
LONG_TARGET = _refusal(414, "the path and query are too long")
LONG_HEAD = _refusal(431, "the headers are too large")
FULL = _refusal(503, "too many connections are open", "try again in a moment")


class Refused(Exception):
    """Ends the parsing of a request; the argument is the response."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. `Connections` holds all of them and calls `check` every second."""

    def __init__(self, *, connections: Connections, limits: Limits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.open = connections
        self.limits = limits
        self.network = ""
        self.phase = Phase.IDLE
        self.deadline = math.inf
        self.unsent_since = 0.0
        self.received = 0
        """Bytes of the head or body so far, as far as they came in chunks of their own."""
        self.head_size = 0
        self.held = b""
        """Received bytes that wait until the requests before them have their responses."""
        self.refusal = INVALID
        self.running: RequestResponseCycle | None = None
        """The request that is served; `cycle` is the latest one."""

    # --- the connection ---

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.network = network_of(self.client)
        self._enter(Phase.IDLE, self.limits.head_s)
        self.unsent_since = self.loop.time()
        if not self.open.add(self) and self.phase is not Phase.CLOSING:
            self._refuse(FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.remove(self)
        self._disconnect()
        super().connection_lost(exc)

    def is_waiting(self) -> bool:
        return self.phase is Phase.BODY or not self._is_serving()

    def drop(self) -> None:
        self.phase = Phase.CLOSING
        self._disconnect()
        # A close would wait for the client to read what is unsent.
        self.transport.abort()

    def _is_serving(self) -> bool:
        return self.running is not None and not self.running.response_complete

    def _disconnect(self) -> None:
        """Let the application write to this connection no more."""
        self.pipeline.clear()
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()

    def shutdown(self) -> None:
        if self.phase is Phase.BODY:
            self.drop()  # else the server would wait for the client
        else:
            super().shutdown()

    def check(self, now: float) -> None:
        if self.transport.get_write_buffer_size() == 0:
            self.unsent_since = now
        elif now > self.unsent_since + self.limits.unsent_s:
            self.drop()
            return
        if now <= self.deadline:
            return
        if self.phase is Phase.IDLE and self.transport.get_write_buffer_size() == 0:
            self.transport.close()
        elif self.phase in (Phase.HEAD, Phase.BODY):
            if not self.flow.read_paused:  # else the server is late, not the client
                self._refuse(TOO_SLOW)
        elif self.phase is Phase.CLOSING:
            self.drop()

    def _enter(self, phase: Phase, seconds: float = math.inf) -> None:
        self.phase = phase
        self.deadline = self.loop.time() + seconds

    def _refuse(self, refusal: bytes) -> None:
        """End the connection, with a response unless another one is under way."""
        if self._is_serving():
            of_this_request = self.phase is Phase.BODY and self.running is self.cycle
            if not of_this_request or self.cycle.response_started:
                self.drop()
                return
        self._disconnect()
        # A request may have its response before its body has arrived.
        if self.phase is not Phase.BODY or not self.cycle.response_complete:
            self.transport.write(refusal)
        self.transport.write_eof()
        self.flow.resume_reading()
        self.received = 0
        self._enter(Phase.CLOSING, LINGER_S)

    # --- what the client sends ---

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.CLOSING:
            self.received += len(data)
            if self.received > LINGER_BYTES:
                self.drop()
        elif len(data) <= PIECE and not self.held:
            self._feed(data)
        else:
            self.held += data
            self._feed_held()

    def _feed_held(self) -> None:
        # A large packet may hold thousands of requests, and each takes far more memory parsed.
        while self.held and not self.pipeline and self.phase is not Phase.CLOSING:
            piece, self.held = self.held[:PIECE], self.held[PIECE:]
            self._feed(piece)

    def _feed(self, data: bytes) -> None:
        if self.phase is Phase.IDLE:
            self.received = 0
        self.received += len(data)
        try:
            self.parser.feed_data(data)
            self._check_received()
        except httptools.HttpParserUpgrade:
            # The request is answered as if it asked for no other protocol; nothing may follow it.
            self.cycle.keep_alive = False
        except (httptools.HttpParserError, Refused):
            self._refuse(self.refusal)

    def _check_received(self) -> None:
        if self.phase is Phase.HEAD and self.received > self.limits.head:
            self._raise(LONG_HEAD)
        if self.phase is Phase.BODY and self.received > self.limits.body:
            self._raise(LONG_BODY)

    def _raise(self, refusal: bytes) -> None:
        # The parser replaces an exception by one of its own.
        self.refusal = refusal
        raise Refused

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.phase is not Phase.IDLE:
            self.received = 0
        self.head_size = 0
        self._enter(Phase.HEAD, self.limits.head_s)

    def on_url(self, url: bytes) -> None:
        self.head_size += len(url)
        if self.head_size > self.limits.target:
            self._raise(LONG_TARGET)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_size += len(name) + len(value)
        if self.head_size > self.limits.head or len(self.headers) >= self.limits.headers:
            self._raise(LONG_HEAD)
        # Fields after a body are no headers: the application has read those already.
        if self.phase is Phase.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.received = 0
        self._enter(Phase.BODY, self.limits.body_s)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:
            self._enter(Phase.IDLE, self.limits.idle_s)
        else:
            self._enter(Phase.RUNNING)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self.phase is Phase.RUNNING:
            self._enter(Phase.IDLE, self.limits.idle_s)
        self._feed_held()
        if not self.held:
            self.flow.resume_reading()

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: clients could fill the disk."""
