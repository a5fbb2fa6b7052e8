"""Send random requests to `recsys serve`, valid and broken ones, and check every response.

.venv/bin/python tests/torture/fuzz_http.py --seed 1 --seconds 60
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from recsys.config.settings import RefreshSettings
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh
from recsys.sample.files import write_sample
from recsys.storage.schema import versions
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

TOKEN = "only-of-the-fuzzer"
ATTACKERS = 6
GROWTH_MB = 200
"""How much the memory of the server may grow."""
SLOW_S, MEDIAN_S = 10.0, 1.0
"""Longest and median response to another client."""
WRITER = 999_999
"""The user of requests with the token; what they store is expected."""
STORED = f"""
SELECT
    (
        SELECT sum(hashtext(CAST(r AS text))) FROM recsys_store.ratings AS r
        WHERE user_id <> {WRITER}
    ),
    (SELECT count(*) FROM recsys_store.blocks WHERE user_id <> {WRITER}),
    (SELECT count(*) FROM recsys_store.users WHERE user_id <> {WRITER}),
    (SELECT count(*) FROM recsys_store.movies)
"""
INTERNALS = re.compile(
    rb'Traceback|File "/|psycopg|sqlalchemy|recsys_store|asyncio|pydantic_core|Internal Server'
)
ERRORS = {400, 401, 403, 404, 405, 408, 413, 414, 422, 431, 503}
ANSWERS = {200, 204, 303, 304}

METHODS = (
    "GET",
    "HEAD",
    "OPTIONS",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "",
)
WRITES = ("POST", "PUT", "DELETE")
WRITING = (
    "/recommendations", "/users/{}/ratings/{}", "/users/{}/blocks/{}",
    f"/users/{WRITER}/ratings/{{}}", f"/users/{WRITER}/blocks/{{}}",
)  # fmt: skip
BODIES = (b"", b"[" * 50_000, b'{"a":1,"a":2}', b"\xff\xfe{}", b"1", b"{", b"\0")
PATHS = (
    "/", "/movies", "/movies/{}", "/movies/{}/similar", "/charts/{}", "/users/{}",
    "/users/{}/recommendations", "/users/{}/recommendations/{}/explanation", "/recommendations",
    "/users/{}/ratings/{}", "/users/{}/blocks/{}", "/runs", "/runs/{}", "/health/live",
    "/health/ready", "/metrics", "/openapi.json", "/docs", "/top", "/search", "/movie/{}",
    "/person", "/person/{}", "/person/{}/because", "/person/{}/why/{}", "/person/random", "/try",
    "/try/list", "/try/movie/{}", "/published", "/static/{}", "/{}",
)  # fmt: skip
NAMES = (
    "n", "model", "models", "genres", "genre", "year_from", "year_to", "query", "q", "chart", "id",
    "reasons", "movie", "m1", "drop", "v", "x",
)  # fmt: skip
VALUES = (
    "1", "2", "3", "0", "-1", "999999", "2147483647", "2147483648", "9" * 30, "1_0", "+1", " 1 ",
    "1.0", "1e3", "NaN", "inf", "true", "null", "", "ease", "als", "popular", "most_rated", "Drama",
    "Comedy", "all", "random", "site.css", "..", "%2e%2e%2f", "%00", "%ff", "%ed%a0%80", "%", "%%",
    "\u0661", "a" * 300, "'", "';--", "{}", "$1", "%(n)s", "<script>", "\ud55c\uae00", "1990",
    "matrix", "the", "*", "&", "=", "#", "?", "\\", "\r\nX: 1", "\x7f",
)  # fmt: skip
SCALARS = (
    0, 1, -1, 4.5, 1e308, -0.0, 2**31, 10**400, None, True, "", "4", "\ud800", "\x00", [], {},
    "2100-01-02T03:04:05Z", "2020-01-02T03:04:05Z", "1", "2100-01-02T03:04:05", float("nan"),
    float("inf"),
)  # fmt: skip
KEYS = ("ratings", "rating", "n", "until", "genres", "model", "year_from", "1", "2", "01", "x")
HEADERS = (
    b"Accept: text/html", b"Accept: */*", b"Accept: \xff", b"Connection: close",
    b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: h2c",
    b"Expect: 100-continue", b"If-None-Match: *", b"If-None-Match: \"x\"", b"Range: bytes=0-1",
    b"Content-Type: application/json", b"Content-Type: text/plain", b"Content-Type: \x00",
    b"Content-Type: multipart/form-data; boundary=x", b"Content-Encoding: gzip",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Content-Length: 5",
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 0x5",
    b"Authorization: Bearer wrong-token-of-them", b"Authorization: Bearer \xe9", b"Authorization:",
    b"Host: evil.example", b"Host:", b"X-Forwarded-For: ::1", b"Cookie: a=b", b"X: " + b"a" * 9000,
    b" folded", b":", b"no colon", b"X\x00: 1", b"Trailer: Authorization",
)  # fmt: skip


class Violation(Exception):
    """A guarantee does not hold; the message has the request."""


@dataclass
class Findings:
    statuses: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    waits: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    growth_mb: float = 0.0

    def summary(self) -> str:
        waits = sorted(self.waits) or [0.0]
        codes = ", ".join(f"{code}: {count:,}" for code, count in sorted(self.statuses.items()))
        return (
            f"{self.requests:,} connections; responses {codes}; another client waited "
            f"{waits[len(waits) // 2] * 1000:.0f} ms in the median and {waits[-1] * 1000:.0f} ms "
            f"at most; memory grew by {self.growth_mb:.0f} MB"
        )


# --- requests -------------------------------------------------------------------------------------


def target(draw: random.Random, method: str) -> str:
    path = draw.choice(WRITING if method in WRITES and draw.random() < 0.9 else PATHS)
    path = path.format(*(draw.choice(VALUES[:5] if draw.random() < 0.6 else VALUES) for _ in "ab"))
    if draw.random() < 0.5:
        pairs = (f"{draw.choice(NAMES)}={draw.choice(VALUES)}" for _ in range(draw.randint(1, 4)))
        path += "?" + "&".join(pairs)
    return path


def value(draw: random.Random, depth: int = 0) -> object:
    if depth < 3 and draw.random() < 0.4:
        if draw.random() < 0.3:
            return [value(draw, depth + 1) for _ in range(draw.randint(0, 4))]
        return {draw.choice(KEYS): value(draw, depth + 1) for _ in range(draw.randint(0, 4))}
    return draw.choice(SCALARS)


def body(draw: random.Random) -> bytes:
    kind = draw.random()
    if kind < 0.3:
        ratings = {draw.choice(VALUES): draw.choice(SCALARS) for _ in range(draw.randint(0, 5))}
        return json.dumps(
            {"ratings": ratings, **({"n": value(draw)} if kind < 0.1 else {})}
        ).encode()
    if kind < 0.5:
        return json.dumps({draw.choice(("rating", "until")): draw.choice(SCALARS)}).encode()
    if kind < 0.8:
        return json.dumps(value(draw)).encode()
    return draw.choice(
        (b"", b"[" * 50_000, draw.randbytes(50), b'{"a":1,"a":2}', b"\xff\xfe{}", b"1")
    )


def request(draw: random.Random, *, close: bool = True) -> bytes:
    """Return a request that is mostly valid HTTP; whatever it says, it has no right to write."""
    kind = draw.random()
    method = "GET" if kind < 0.5 else draw.choice(WRITES if kind < 0.8 else METHODS)
    path = target(draw, method)
    if draw.random() < 0.95:
        path = quote(path, safe="/?&=%+")
    lines = [f"{method} {path} HTTP/1.1".encode(errors="surrogateescape"), b"Host: localhost"]
    if close:
        lines.append(b"Connection: close")
    content = b""
    if method in WRITES and draw.random() < 0.9:
        content = body(draw)
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(content)]
        if f"/users/{WRITER}/" in path and draw.random() < 0.5:
            lines.append(b"Authorization: Bearer " + TOKEN.encode())
    lines += draw.sample(HEADERS, draw.choice((0, 0, 0, 0, 1, 2)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def mutated(draw: random.Random) -> bytes:
    """Return a request with bytes changed, removed, repeated or inserted."""
    data = bytearray(request(draw).replace(TOKEN.encode(), b"changed"))
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(data))
        match draw.randrange(5):
            case 0:
                data[at] = draw.randrange(256)
            case 1:
                del data[at : at + draw.randint(1, 20)]
            case 2:
                data[at:at] = data[at : at + draw.randint(1, 200)] * draw.randint(1, 20)
            case 3:
                data[at:at] = draw.choice((b"\r\n", b"\r", b"\n", b"\0", b" ", b"0\r\n\r\n"))
            case _:
                data[at:at] = draw.randbytes(draw.randint(1, 30))
        data = data or bytearray(b"\r")
    return bytes(data)


# --- attacks --------------------------------------------------------------------------------------


def ask(connection: socket.socket, draw: random.Random) -> bytes:
    """Send one request and wait for the whole response."""
    sent = request(draw)
    connection.sendall(sent)
    return sent


def ask_broken(connection: socket.socket, draw: random.Random) -> bytes:
    sent = mutated(draw)
    connection.settimeout(0.3)
    connection.sendall(sent)
    return sent


def ask_noise(connection: socket.socket, draw: random.Random) -> bytes:
    sent = draw.randbytes(draw.randint(1, 3000))
    connection.settimeout(0.3)
    connection.sendall(sent)
    return sent


def pipeline(connection: socket.socket, draw: random.Random) -> bytes:
    """Send many requests at once, and read some of the responses or none."""
    sent = b"".join(request(draw, close=False) for _ in range(draw.randint(2, 60)))
    connection.settimeout(draw.choice((0.01, 0.5)))
    connection.sendall(sent)
    return sent


def pieces(connection: socket.socket, draw: random.Random) -> bytes:
    """Send a request in pieces, and stop somewhere."""
    sent = request(draw)
    for at in range(0, draw.randint(1, len(sent)), 50):
        connection.sendall(sent[at : at + 50])
        time.sleep(0.002)
    connection.settimeout(0.2)
    return sent


def endless(connection: socket.socket, draw: random.Random) -> bytes:
    """Send a head or a body that does not end."""
    start, more = draw.choice(
        (
            (b"GET / HTTP/1.1\r\n", b"X: 1\r\n"),
            (b"GET / HTTP/1.1\r\nX: ", b"a"),
            (b"GET /", b"a"),
            (
                b"POST /recommendations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"1\r\n1\r\n",
            ),
            (b"POST /recommendations HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b" "),
            (b"", b"\r\n"),
        )
    )
    connection.settimeout(0.5)
    connection.sendall(start)
    for _ in range(200):
        connection.sendall(more * (20_000 // len(more)))
    return start


ATTACKS = (ask, ask, ask, ask, ask, ask_broken, ask_noise, pipeline, pieces, endless)


def attack(port: int, seed: int, until: float, found: Findings) -> None:
    """Attack until the time comes, or a violation."""
    try:
        _attack(port, seed, until, found)
    except Exception as exc:
        found.violations.append(f"the fuzzer failed: {exc!r}")
        raise


def _attack(port: int, seed: int, until: float, found: Findings) -> None:
    draw = random.Random(seed)
    with ExitStack() as idle:
        while time.monotonic() < until and not found.violations:
            if draw.random() < 0.02:
                idle.close()
                for _ in range(50):  # connections that stay open and say nothing
                    with suppress(OSError):
                        idle.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            chosen = draw.choice(ATTACKS)
            found.requests += 1
            sent, received = _exchange(port, chosen, draw)
            heads = b"HEAD " in sent
            try:
                found.statuses.update(check(received, one=chosen is ask, heads=heads))
            except Violation as exc:
                found.violations.append(
                    f"{exc}\nrequest {sent[:2000]!r}\nresponse {received!r:.3000}"
                )


def _exchange(
    port: int, chosen: Callable[[socket.socket, random.Random], bytes], draw: random.Random
) -> tuple[bytes, bytes]:
    sent = received = b""
    # Resets and timeouts are what an attacker gets; a server that is gone shows elsewhere.
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.settimeout(SLOW_S)
        try:
            sent = chosen(connection, draw)
        finally:
            with suppress(OSError):
                while part := connection.recv(1 << 16):
                    received += part
    return sent, received


# --- checks ---------------------------------------------------------------------------------------


def check(received: bytes, *, one: bool, heads: bool) -> Iterator[int]:
    """Check the responses of a connection, and yield their status codes."""
    while received:
        head, found, received = received.partition(b"\r\n\r\n")
        if not found:
            return  # cut off
        status, headers = parse(head)
        if status == 100:
            continue
        length = int(headers.get("content-length", 0))
        # Without a look at the requests, a response to HEAD shows by what follows it.
        empty = status in (204, 304) or (heads and received[:5] in (b"", b"HTTP/"))
        content, received = (b"", received) if empty else (received[:length], received[length:])
        if status not in ANSWERS | ERRORS:
            raise Violation(f"status {status}")
        if status >= 400:
            check_error(status, headers, content, complete=len(content) == length)
        yield status


def parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 (\d{3}) [\w '-]*", first)
    if status is None:
        raise Violation(f"no status line: {first!r}")
    pairs = (line.partition(": ") for line in lines)
    return int(status[1]), {name.lower(): text for name, _, text in pairs}


def check_error(status: int, headers: dict[str, str], content: bytes, *, complete: bool) -> None:
    kind = headers.get("content-type", "")
    if kind not in ("application/problem+json", "text/html; charset=utf-8"):
        raise Violation(f"an error of the type {kind!r}")
    if INTERNALS.search(content):
        raise Violation("internals in a response")
    if status == 503 and "retry-after" not in headers:
        raise Violation("503 without Retry-After")
    is_problem = content and complete and kind == "application/problem+json"
    if is_problem and json.loads(content)["status"] != status:
        raise Violation("another status in the body")


def witness(port: int, until: float, found: Findings) -> None:
    """Ask as another client does, and measure how long each response takes."""
    paths = ("/users/1/recommendations", "/health/live", "/movies/1", "/person/2")
    while time.monotonic() < until and not found.violations:
        for path in paths:
            began = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * SLOW_S)
                connection.request("GET", path)
                status = connection.getresponse().status
                connection.close()
            except OSError as exc:
                found.violations.append(f"another client got {exc!r} at {path}")
                return
            if status != 200:
                found.violations.append(f"another client got {status} at {path}")
            found.waits.append(time.monotonic() - began)
        time.sleep(0.05)


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@contextmanager
def serving(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `recsys serve` on a free port; it ends within seconds, and without a word."""
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys", "serve", "--port", "0"],
        env={**os.environ, "RECSYS_DATABASE_URL": url, "RECSYS_API_TOKEN": TOKEN},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        line = process.stderr.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert port, line + process.stderr.read()
        # Read on, or the server would wait for the pipe.
        reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
        reader.start()
        yield process, int(port[1])
        assert process.poll() is None, "the server has ended"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, "the server ended with an error"
        reader.join()
        assert not lines, "the server reports " + "".join(lines)[:3000]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def fuzz(database: Database, seed: int, seconds: float) -> Findings:
    """Attack a server over this database. Raises AssertionError."""
    found = Findings()
    with database.transaction() as connection:
        before = connection.execute(sa.text(STORED)).one()
    with serving(database.url) as (process, port):
        witness(port, time.monotonic() + 0.5, Findings())  # warms it up
        memory = memory_mb(process.pid)
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=witness, args=(port, until, found))]
        threads += [
            threading.Thread(target=attack, args=(port, seed * 1000 + number, until, found))
            for number in range(ATTACKERS)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            assert process.poll() is None, "the server has ended"
            found.growth_mb = max(found.growth_mb, memory_mb(process.pid) - memory)
        assert not found.violations, found.violations[0]
    with database.transaction() as connection:
        assert connection.execute(sa.text(STORED)).one() == before, "a write without the token"
    assert found.growth_mb < GROWTH_MB, f"memory grew by {found.growth_mb:.0f} MB"
    waits = sorted(found.waits)
    assert waits[-1] < SLOW_S, f"another client waited {waits[-1]:.1f} s"
    assert waits[len(waits) // 2] < MEDIAN_S, "other clients wait too long"
    return found


def load_sample(database: Database, folder: Path) -> None:
    """Load the built-in sample and publish a run."""
    with database.transaction() as connection:
        versions.upgrade(connection)
    write_sample(folder / "sample")
    ingest(database, folder / "sample")
    refresh(database, plan(RefreshSettings(models=("most_rated", "top_rated", "ease", "content"))))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        with EmbeddedServer(Path(home)).running() as url:
            database = Database(url)
            load_sample(database, Path(home))
            found = fuzz(database, given.seed, given.seconds)
    sys.stdout.write(f"seed {given.seed}: {found.summary()}; everything held\n")


if __name__ == "__main__":
    main()
