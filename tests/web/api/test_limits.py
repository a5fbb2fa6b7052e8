"""What clients that send too much, too slowly or too often can take from the server."""

import json
import re
import select
import socket
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from recsys.web.server.connections import Connections, network_of
from recsys.web.server.limits import Limits

GET = b"GET /health/live HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /recommendations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
SHORT = Limits(head_s=0.4, body_s=0.4, idle_s=0.4, unsent_s=0.4)
FEW = Limits(connections=5)
CUT = (ConnectionResetError, BrokenPipeError)


@pytest.fixture
def connect(http):
    """Open a raw connection to the server, or to that of another client."""
    with ExitStack() as opened:

        def connect(client=http, receive_buffer=None):
            address = urlsplit(str(client.base_url))
            connection = socket.socket()
            opened.callback(connection.close)
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.connect((address.hostname, address.port))
            connection.settimeout(10)
            return connection

        yield connect


def rest_of(connection):
    """Read until the server closes the connection."""
    received = b""
    try:
        while part := connection.recv(1 << 16):
            received += part
    except CUT:
        pass
    return received


def problem_of(received):
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem["status"], problem["detail"]


def send_until_cut(connection, parts, most):
    """Send parts over and over until the server answers; return the number of bytes sent."""
    sent = 0
    connection.setblocking(False)
    deadline = time.monotonic() + 10
    try:
        while sent < most and time.monotonic() < deadline:
            try:
                sent += connection.send(parts)
            except BlockingIOError:
                time.sleep(0.001)
    except CUT:
        pass
    connection.settimeout(10)
    return sent


# --- sizes ----------------------------------------------------------------------------------------


TOO_MUCH = [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", b"", 414, "the path and query are too long"),
    (GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n", b"", 431, "the headers are too large"),
    (GET + b"X: 1\r\n" * 101 + b"\r\n", b"", 431, "the headers are too large"),
    (GET, b"X: 1\r\n", 431, "the headers are too large"),
    (GET + b"X: ", b"a" * 1000, 431, "the headers are too large"),
    (GET, b"a" * 1000, 431, "the headers are too large"),
    (b"GET /", b"a" * 1000, 414, "the path and query are too long"),
    (POST + b"Content-Length: 1\r\n\r\n1POST", b"T" * 1000, 400, "the request is not valid HTTP"),
    (b"\x16\x03\x01\r\n\r\n", b"", 400, "the request is not valid HTTP"),
    (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"", 400, None),
    (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", b"", 400, "the request is not valid HTTP"),
]


@pytest.mark.parametrize(("start", "more", "status", "detail"), TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_too_much_is_refused_while_it_arrives(connect, start, more, status, detail):
    connection = connect()
    connection.sendall(start)
    sent = send_until_cut(connection, more * 100, 20_000_000) if more else 0
    received = rest_of(connection)
    if received:  # what is sent into a closed connection may discard the response
        found = problem_of(received[received.rindex(b"HTTP/1.1") :])
        assert found in ((status, detail), (status, found[1] if detail is None else detail))
    assert more or received
    # Buffers of both systems hold several megabytes, the server none of them.
    assert sent < 20_000_000


def test_a_head_of_many_packets_is_one_request(connect):
    connection = connect()
    for byte in GET + b"X: 1\r\n" * 98 + b"Connection: close\r\n\r\n":
        connection.sendall(bytes([byte]))
    assert rest_of(connection).startswith(b"HTTP/1.1 200 OK")


def test_chunks_and_trailers_without_end_are_refused(connect):
    chunk = b"1;" + b"e" * 400 + b"\r\n1\r\n"
    for endless in (chunk, b"0\r\n" + b"X: 1\r\n" * 200, b"0\r\nX: " + b"a" * 100_000):
        connection = connect()
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        assert send_until_cut(connection, endless * 10, 20_000_000) < 20_000_000


def test_fields_after_a_body_are_no_headers(connect, http, contract):
    connection = connect()
    connection.sendall(
        b"PUT /users/1/ratings/60 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b'd\r\n{"rating": 4}\r\n0\r\nAuthorization: Bearer only-of-the-tests\r\n\r\n'
    )
    assert rest_of(connection).startswith(b"HTTP/1.1 401 ")
    assert contract("SELECT FROM recsys.ratings WHERE (user_id, movie_id) = (1, 60)") == []


def test_pipelined_requests_are_answered_in_order(connect):
    connection = connect()
    paths = [b"/nothing/%d" % place for place in range(1000)]
    requests = (b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths)
    connection.sendall(b"".join(requests) + GET + b"Connection: close\r\n\r\n")
    received = rest_of(connection)
    assert re.findall(rb"there is nothing at (/nothing/\d+)", received) == paths
    assert received.endswith(b'{"status":"alive"}')


def test_an_upgrade_is_answered_as_a_request(connect):
    for kind in (b"websocket", b"h2c"):
        connection = connect()
        connection.sendall(GET + b"Upgrade: " + kind + b"\r\nConnection: Upgrade\r\n\r\n")
        received = rest_of(connection)
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert received.endswith(b'{"status":"alive"}')


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_slow_clients_are_cut_off(serving, connect, edition_database):
    with serving(edition_database, limits=SHORT) as client:
        began = {
            "nothing": b"",
            "empty lines": b"\r\n",
            "head": GET,
            "body": POST + b"Content-Length: 100\r\n\r\n{",
            "chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1",
            "after a response": GET + b"\r\n",
            "drops": GET,
        }
        connections = {name: connect(client) for name in began}
        slow_reader = connect(client, receive_buffer=4096)
        for _ in range(5):
            slow_reader.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 60)
            time.sleep(0.05)
        for name, start in began.items():
            connections[name].sendall(start)
        opened = time.monotonic()
        drops = connections["drops"]
        while not select.select([drops], [], [], 0.05)[0] and time.monotonic() < opened + 4:
            drops.sendall(b"X: 1\r\n")
        assert 0.4 < time.monotonic() - opened < 3
        received = {name: rest_of(connection) for name, connection in connections.items()}
        time.sleep(max(0.0, opened + 3 - time.monotonic()))
        everything = rest_of(slow_reader)
        assert client.get("/health/live").status_code == 200
    late = (408, "the request took too long to arrive")
    assert {name: received[name] for name in ("nothing", "empty lines")} == {
        "nothing": b"",
        "empty lines": b"",
    }
    assert [problem_of(received[name]) for name in ("head", "body", "chunk", "drops")] == [late] * 4
    assert received["after a response"].endswith(b'{"status":"alive"}')
    assert 0 < everything.count(b"HTTP/1.1 200 OK") < 300


# --- connections ----------------------------------------------------------------------------------


def test_idle_connections_make_room_for_others(serving, connect, edition_database):
    with serving(edition_database, limits=FEW) as client:
        idle = [connect(client) for _ in range(5)]
        idle[1].sendall(GET)
        for _ in range(20):
            connection = connect(client)
            connection.sendall(GET + b"Connection: close\r\n\r\n")
            assert rest_of(connection).startswith(b"HTTP/1.1 200 OK")
        # The oldest one went; each of the others left by itself.
        assert rest_of(idle[0]) == b""
        idle[1].sendall(b"Connection: close\r\n\r\n")
        assert rest_of(idle[1]).startswith(b"HTTP/1.1 200 OK")


def test_a_full_server_refuses_with_a_problem(serving, connect, edition_database, monkeypatch):
    with (
        serving(edition_database, limits=FEW) as client,
        being_served(connect, client, monkeypatch),
    ):
        connection = connect(client)
        connection.sendall(GET + b"\r\n")
        received = rest_of(connection)
    assert problem_of(received) == (503, "too many connections are open")
    assert b"retry-after: 5\r\n" in received


@contextmanager
def being_served(connect, client, monkeypatch):
    """Keep five requests in the server until the end of the block."""
    import asyncio

    from recsys import AsyncRecommender

    waiting, end = [], False
    movie = AsyncRecommender.movie

    async def wait(self, movie_id):
        waiting.append(movie_id)
        while not end:
            await asyncio.sleep(0.01)
        return await movie(self, movie_id)

    monkeypatch.setattr(AsyncRecommender, "movie", wait)
    connections = [connect(client) for _ in range(5)]
    for connection in connections:
        connection.sendall(b"GET /movies/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    deadline = time.monotonic() + 10
    while len(waiting) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield
    end = True
    for connection in connections:
        assert rest_of(connection).startswith(b"HTTP/1.1 200 OK")


class Waiting:
    """A connection that waits for its client."""

    def __init__(self, network, waiting=True):
        self.network = network
        self.waiting = waiting
        self.dropped = False

    def is_waiting(self):
        return self.waiting

    def drop(self):
        self.dropped = True


def test_the_network_with_the_most_connections_loses_one():
    connections = Connections(4)
    rare, *many = [Waiting("a"), Waiting("b", waiting=False), Waiting("b"), Waiting("b")]
    for each in (rare, *many):
        assert connections.add(each)
    assert connections.add(Waiting("c"))
    assert [each.dropped for each in (rare, *many)] == [False, False, True, False]
    assert len(connections) == 4


@pytest.mark.parametrize(
    ("client", "network"),
    [
        (None, ""),
        (("10.0.0.1", 1), "10.0.0.1"),
        (("2001:db8:1:2:3::4", 1), "20010db800010002"),
        (("fe80::1%eth0", 1), "fe80000000000000"),
        (("::ffff:10.0.0.1", 1), "0a000001"),
    ],
)
def test_the_network_of_a_client(client, network):
    assert network_of(client) == network
