"""Downloads against a server on this machine: whole, resumed, restarted, damaged, refused."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from recsys.errors import DataError
from recsys.ingest.movielens import download
from recsys.ingest.movielens.download import EDITIONS, DownloadFailed, Edition, fetch

NAME = "ml-latest-small"
FILE = "ml-latest-small.zip"


def zipped(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("movies.csv", text)
    return buffer.getvalue()


BODY = zipped("movieId,title,genres\n" + "1,Lighthouse Keeper\n" * 40_000)


@dataclass
class Server:
    """The files and the behavior of the server; `requests` records its requests in order."""

    url: str = ""
    body: bytes = BODY
    etag: str | None = '"v1"'
    ranges: bool = True
    wrong_range: bool = False
    cut_after: int | None = None
    names_size: bool = True
    status: int = 200
    stall: float = 0.0
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)


def answer(server: Server, handler: BaseHTTPRequestHandler) -> None:
    wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
    server.requests.append((handler.path, wanted, condition))
    time.sleep(server.stall)
    if server.status != 200:
        handler.send_error(server.status)
        return
    size, start, status = len(server.body), 0, 200
    if server.ranges and wanted and condition == server.etag:
        start, status = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]), 206  # type: ignore[index]
    if start >= size:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{size}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(status)
    if status == 206:
        shown = start + 1 if server.wrong_range else start
        handler.send_header("Content-Range", f"bytes {shown}-{size - 1}/{size}")
    if server.etag:
        handler.send_header("ETag", server.etag)
    if server.names_size:
        handler.send_header("Content-Length", str(size - start))
    handler.end_headers()
    end = size if server.cut_after is None else start + server.cut_after
    handler.wfile.write(server.body[start:end])


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(state, self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make `ml-1m` an edition whose published checksum is that of `BODY`."""
    edition = Edition("ml-1m.zip", hashlib.md5(BODY, usedforsecurity=False).hexdigest())
    monkeypatch.setattr(download, "EDITIONS", {**EDITIONS, "ml-1m": edition})
    return "ml-1m"


def names(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_a_fetched_file_is_whole_named_and_alone_with_its_lock(
    server: Server, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(
        NAME, tmp_path / "a" / "b", base_url=server.url, progress=lambda *now: seen.append(now)
    )
    assert path == tmp_path / "a" / "b" / FILE
    assert path.read_bytes() == BODY
    assert names(path.parent) == [FILE, f"{FILE}.lock"]
    assert server.requests == [(f"/{FILE}", None, None)]
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))


def test_progress_without_a_size_has_the_bytes_so_far_as_total(
    server: Server, tmp_path: Path
) -> None:
    server.names_size = False
    seen: list[tuple[int, int]] = []
    fetch(NAME, tmp_path, base_url=server.url, progress=lambda *now: seen.append(now))
    assert (seen[0], seen[-1]) == ((0, 0), (len(BODY), len(BODY)))
    assert all(done == total for done, total in seen)


def test_a_cached_file_is_used_without_asking_the_network(
    server: Server, pinned: str, tmp_path: Path
) -> None:
    for name in (NAME, pinned):
        (tmp_path / f"{name}.zip").write_bytes(BODY)
        assert fetch(name, tmp_path, base_url=server.url) == tmp_path / f"{name}.zip"
    assert server.requests == []


def test_a_damaged_cached_file_is_fetched_again(
    server: Server, pinned: str, tmp_path: Path
) -> None:
    for name in (NAME, pinned):
        (tmp_path / f"{name}.zip").write_bytes(BODY[:-100])
        assert fetch(name, tmp_path, base_url=server.url).read_bytes() == BODY


@pytest.mark.parametrize("etag", ['"v1"', "Tue, 01 Jan 2019 00:00:00 GMT"])
def test_a_broken_transfer_is_resumed_where_it_stopped(
    server: Server, pinned: str, tmp_path: Path, etag: str
) -> None:
    server.etag, server.cut_after = etag, 1000
    with pytest.raises(DownloadFailed) as failure:
        fetch(pinned, tmp_path, base_url=server.url)
    assert str(failure.value) == (
        f"{server.url}/ml-1m.zip: cannot be downloaded: "
        f"the connection ended after 1000 of {len(BODY)} bytes"
    )
    assert failure.value.hint == download.OFFLINE_HINT
    assert (tmp_path / "ml-1m.zip.part").read_bytes() == BODY[:1000]

    server.cut_after = None
    seen: list[tuple[int, int]] = []
    path = fetch(pinned, tmp_path, base_url=server.url, progress=lambda *now: seen.append(now))
    assert path.read_bytes() == BODY
    assert server.requests == [
        ("/ml-1m.zip", None, None),
        ("/ml-1m.zip", "bytes=1000-", etag),
    ]
    assert seen[0] == (1000, len(BODY))
    assert names(tmp_path) == ["ml-1m.zip", "ml-1m.zip.lock"]


def test_an_interrupted_process_resumes(server: Server, pinned: str, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(pinned, tmp_path, base_url=server.url, progress=interrupt)
    assert fetch(pinned, tmp_path, base_url=server.url).read_bytes() == BODY
    assert server.requests[1] == ("/ml-1m.zip", f"bytes={download.CHUNK}-", '"v1"')


def leave_partial(cache: Path, data: bytes, note: str = '{"validator": "\\"v1\\""}') -> None:
    (cache / f"{FILE}.part").write_bytes(data)
    (cache / f"{FILE}.part.json").write_text(note, encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [{"ranges": False}, {"etag": '"v2"'}, {"wrong_range": True}],
    ids=["no ranges", "another version", "another range"],
)
def test_it_restarts_from_zero_if_it_cannot_resume(
    server: Server, tmp_path: Path, change: dict[str, object]
) -> None:
    vars(server).update(change)
    leave_partial(tmp_path, b"x" * 700)
    assert fetch(NAME, tmp_path, base_url=server.url).read_bytes() == BODY
    assert server.requests[0] == (f"/{FILE}", "bytes=700-", '"v1"')


def test_a_partial_file_longer_than_the_file_restarts(server: Server, tmp_path: Path) -> None:
    leave_partial(tmp_path, BODY + b"more")
    assert fetch(NAME, tmp_path, base_url=server.url).read_bytes() == BODY
    assert [wanted for _, wanted, _ in server.requests] == [f"bytes={len(BODY) + 4}-", None]


def test_a_partial_file_already_complete_is_taken(server: Server, tmp_path: Path) -> None:
    leave_partial(tmp_path, BODY)
    assert fetch(NAME, tmp_path, base_url=server.url).read_bytes() == BODY
    assert [wanted for _, wanted, _ in server.requests] == [f"bytes={len(BODY)}-"]
    assert names(tmp_path) == [FILE, f"{FILE}.lock"]


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"validator": null}'])
def test_a_partial_file_of_unknown_version_restarts(
    server: Server, tmp_path: Path, note: str
) -> None:
    leave_partial(tmp_path, BODY[:700], note)
    assert fetch(NAME, tmp_path, base_url=server.url).read_bytes() == BODY
    assert server.requests == [(f"/{FILE}", None, None)]


@pytest.mark.parametrize("etag", ['W/"v1"', None])
def test_a_weak_or_missing_validator_is_never_resumed_on(
    server: Server, tmp_path: Path, etag: str | None
) -> None:
    server.etag, server.cut_after = etag, 700
    with pytest.raises(DownloadFailed):
        fetch(NAME, tmp_path, base_url=server.url)
    assert json.loads((tmp_path / f"{FILE}.part.json").read_text()) == {"validator": None}
    server.cut_after = None
    assert fetch(NAME, tmp_path, base_url=server.url).read_bytes() == BODY
    assert [wanted for _, wanted, _ in server.requests] == [None, None]


def test_a_wrong_checksum_deletes_the_part_and_names_both_sums(
    server: Server, pinned: str, tmp_path: Path
) -> None:
    server.body = BODY[:-1] + b"?"
    got, expected = (
        hashlib.md5(data, usedforsecurity=False).hexdigest() for data in (server.body, BODY)
    )
    with pytest.raises(DownloadFailed) as failure:
        fetch(pinned, tmp_path, base_url=server.url)
    assert str(failure.value) == (
        f"{server.url}/ml-1m.zip: the download is damaged: expected MD5 {expected}, got {got}"
    )
    assert names(tmp_path) == ["ml-1m.zip.lock"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>Please log in</html>", "not an intact zip file: File is not a zip file"),
        (
            zipped("1,Lighthouse Keeper\n").replace(b"Keeper", b"Kipper"),
            "not an intact zip file: movies.csv fails its checksum",
        ),
    ],
    ids=["a page", "one changed byte"],
)
def test_an_edition_without_checksum_must_be_an_intact_zip(
    server: Server, tmp_path: Path, body: bytes, fault: str
) -> None:
    server.body = body
    with pytest.raises(DataError) as failure:
        fetch(NAME, tmp_path, base_url=server.url)
    assert str(failure.value) == f"{server.url}/{FILE}: the download is damaged: {fault}"
    assert names(tmp_path) == [f"{FILE}.lock"]


def test_a_missing_file_is_a_failed_download(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadFailed) as failure:
        fetch(NAME, tmp_path, base_url=server.url)
    assert str(failure.value) == (
        f"{server.url}/{FILE}: cannot be downloaded: HTTP status 404 Not Found"
    )
    assert failure.value.hint == download.OFFLINE_HINT


def test_a_refused_connection_is_a_failed_download(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadFailed, match=r"cannot be downloaded: Connection refused$"):
        fetch(NAME, tmp_path, base_url=f"http://127.0.0.1:{port}")


def test_a_silent_server_times_out(server: Server, tmp_path: Path) -> None:
    server.stall = 0.5
    with pytest.raises(DownloadFailed, match="timed out"):
        fetch(NAME, tmp_path, base_url=server.url, timeout=0.1)


def test_slow_name_resolution_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        time.sleep(1.5)
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    began = time.monotonic()
    with pytest.raises(DownloadFailed, match="timed out"):
        fetch(NAME, tmp_path, base_url="http://movies.invalid", timeout=0.1)
    assert time.monotonic() - began < 1.4


def test_a_full_disk_is_not_the_networks_fault(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_append", full)
    with pytest.raises(DataError) as failure:
        fetch(NAME, tmp_path, base_url=server.url)
    assert not isinstance(failure.value, DownloadFailed)
    assert str(failure.value) == f"{tmp_path / FILE}: cannot be written: No space left on device"


def test_an_unknown_edition_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError) as failure:
        fetch("ml-2m", tmp_path)
    assert str(failure.value) == "unknown edition: ml-2m"
    assert failure.value.hint == (
        "one of ml-latest-small, ml-100k, ml-1m, ml-10m, ml-20m, ml-25m, ml-32m, ml-latest"
    )


def test_two_processes_fetching_at_once_ask_once(server: Server, tmp_path: Path) -> None:
    server.stall = 0.3
    context = multiprocessing.get_context("spawn")
    both = [
        context.Process(target=fetch, args=(NAME, tmp_path), kwargs={"base_url": server.url})
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert (tmp_path / FILE).read_bytes() == BODY
    assert server.requests == [(f"/{FILE}", None, None)]


def test_every_edition_that_never_changes_is_pinned() -> None:
    assert {name for name, edition in EDITIONS.items() if edition.md5 is None} == {
        "ml-latest",
        "ml-latest-small",
    }
    assert [edition.file for edition in EDITIONS.values()] == [f"{name}.zip" for name in EDITIONS]
