"""Download MovieLens editions from GroupLens: resumed if interrupted, verified and cached."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import queue
import re
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from recsys.domain import Progress
from recsys.errors import DataError

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
OFFLINE_HINT = (
    "give a folder or zip of your own with PATH, or set RECSYS_MOVIELENS; "
    "an interrupted download resumes when started again"
)
CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Edition:
    file: str
    md5: str | None
    """As published in `<file>.md5`; None if the edition changes over time."""


EDITIONS: Mapping[str, Edition] = MappingProxyType(
    {
        "ml-latest-small": Edition("ml-latest-small.zip", None),
        "ml-100k": Edition("ml-100k.zip", "0e33842e24a9c977be4e0107933c0723"),
        "ml-1m": Edition("ml-1m.zip", "c4d9eecfca2ab87c1945afe126590906"),
        "ml-10m": Edition("ml-10m.zip", "ce571fd55effeba0271552578f2648bd"),
        "ml-20m": Edition("ml-20m.zip", "cd245b17a1ae2cc31bb14903e1204af3"),
        "ml-25m": Edition("ml-25m.zip", "6b51fb2759a8657d3bfcbfc42b592ada"),
        "ml-32m": Edition("ml-32m.zip", "d472be332d4daa821edc399621853b57"),
        "ml-latest": Edition("ml-latest.zip", None),
    }
)


class DownloadFailed(DataError):
    """The edition could not be fetched: no network, no such file there, or a broken transfer."""


def fetch(
    name: str,
    cache: Path,
    *,
    base_url: str = GROUPLENS,
    progress: Progress | None = None,
    timeout: float = 10.0,
) -> Path:
    """Return the verified zip of the edition `name`; download it into `cache` if needed.

    `progress` is called with the bytes so far and the total; where the server does not send a
    total, the bytes so far stand for it.
    `timeout` is in seconds, for the response (name resolution included) and for each read. Raises
    DownloadFailed for network errors, DataError for errors of the file or the disk.
    """
    edition = EDITIONS.get(name)
    if edition is None:
        raise DataError(f"unknown edition: {name}", hint=f"one of {', '.join(EDITIONS)}")
    target = cache / edition.file
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"{edition.file}.lock"):
            if not (target.exists() and _fault(target, edition) is None):
                partial = _Partial(cache / f"{edition.file}.part")
                url = f"{base_url.rstrip('/')}/{edition.file}"
                _complete(partial, url, progress or _silent, timeout)
                _publish(partial, target, edition, url)
    except OSError as exc:
        raise DataError(
            f"{target}: cannot be written: {exc.strerror or exc}",
            hint="free some space, or choose another folder for the downloads",
        ) from exc
    return target


def _silent(done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; a second process waits and then finds the file."""
    with path.open("a") as lock:
        # The kernel releases the lock with the process, also after a crash.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- the unfinished file --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Partial:
    """A partial download and a note beside it with the version of the file (its validator)."""

    path: Path

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def resumable(self) -> tuple[int, str] | None:
        """Return the size and the validator; None if there is nothing to resume."""
        try:
            size = self.path.stat().st_size
            validator = json.loads(self.note.read_text(encoding="utf-8"))["validator"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return (size, validator) if size and isinstance(validator, str) else None

    def begin(self, validator: str | None) -> None:
        """Start from zero; the bytes go first so that the note never describes old ones."""
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps({"validator": validator}) + "\n", encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


# --- the transfer ---------------------------------------------------------------------------------


def _complete(partial: _Partial, url: str, progress: Progress, timeout: float) -> None:
    """Complete `partial`, resuming if the server allows it and starting over if not."""
    if not _transfer(partial, url, progress, timeout):
        partial.discard()
        if not _transfer(partial, url, progress, timeout):
            raise _failed(url, "the server refuses to send the file from its beginning")


def _transfer(partial: _Partial, url: str, progress: Progress, timeout: float) -> bool:
    """Fetch the missing bytes; False if the server's file is not the one begun."""
    have, headers = 0, {"User-Agent": "recsys"}
    if resumable := partial.resumable():
        have, validator = resumable
        # If-Range: if the file has changed, the server sends all of it instead of its end.
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    try:
        response = _open(Request(url, headers=headers), timeout)
    except HTTPError as exc:
        with exc:
            if have and exc.code == 416:  # also the answer for a partial file already complete
                return exc.headers.get("Content-Range") == f"bytes */{have}"
        raise _failed(url, f"HTTP status {exc.code} {exc.reason}") from exc
    except (OSError, http.client.HTTPException) as exc:
        raise _failed(url, _reason(exc)) from exc
    with response:
        if response.status == 206:
            start, total = _content_range(response.headers.get("Content-Range", ""))
            if start != have or (total is not None and total < have):
                return False
        else:
            have, total = 0, _number(response.headers.get("Content-Length"))
            partial.begin(_validator(response.headers))
        _append(partial.path, _chunks(response, url), have, total, progress, url)
    return True


def _open(request: Request, timeout: float) -> Any:
    """Open the URL in a separate thread: urllib's timeout does not cover name resolution."""
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            answer.put(build_opener().open(request, timeout=timeout))
        except Exception as exc:
            answer.put(exc)

    threading.Thread(target=connect, daemon=True).start()
    try:
        # The grace lets urllib's own timeout, which says more, come first.
        result = answer.get(timeout=timeout + 0.5)
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if isinstance(result, Exception):
        raise result
    return result


def _chunks(response: IO[bytes], url: str) -> Iterator[bytes]:
    """Yield the body; errors while reading are network errors, not disk errors."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as exc:
            raise _failed(url, _reason(exc)) from exc
        if not chunk:
            return
        yield chunk


def _append(
    path: Path,
    chunks: Iterator[bytes],
    have: int,
    total: int | None,
    progress: Progress,
    url: str,
) -> None:
    progress(have, have if total is None else total)
    with path.open("ab") as out:
        for chunk in chunks:
            out.write(chunk)
            have += len(chunk)
            progress(have, have if total is None else total)
    if total is not None and have != total:
        raise _failed(url, f"the connection ended after {have} of {total} bytes")


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return the validator for If-Range: a strong ETag, else the date (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _content_range(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
    return (int(match[1]), _number(match[2])) if match else (None, None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _reason(exc: Exception) -> str:
    cause = exc.reason if isinstance(exc, URLError) else exc
    # The text of an OSError begins with its number, as [Errno -3].
    plain = cause.strerror if isinstance(cause, OSError) else None
    return plain or str(cause) or type(cause).__name__


def _failed(url: str, reason: str) -> DownloadFailed:
    return DownloadFailed(f"{url}: cannot be downloaded: {reason}", hint=OFFLINE_HINT)


# --- verification ---------------------------------------------------------------------------------


def _publish(partial: _Partial, target: Path, edition: Edition, url: str) -> None:
    """Rename the finished download atomically, or delete it if it is damaged."""
    fault = _fault(partial.path, edition)
    if fault is not None:
        partial.discard()
        raise DownloadFailed(
            f"{url}: the download is damaged: {fault}",
            hint="try again; if that fails, give a folder or zip of your own with PATH",
        )
    os.replace(partial.path, target)
    partial.discard()


def _fault(path: Path, edition: Edition) -> str | None:
    """Return why the file is damaged, or None."""
    if edition.md5 is None:
        return _zip_fault(path)
    with path.open("rb") as file:
        # The flag admits MD5 where FIPS rules forbid it: it finds damage here, not forgery.
        got = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if got == edition.md5 else f"expected MD5 {edition.md5}, got {got}"


def _zip_fault(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as exc:
        return f"not an intact zip file: {exc}"
    return None if broken is None else f"not an intact zip file: {broken} fails its checksum"
