"""Control characters, which could change what a terminal shows, and encodings other than UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from recsys.ingest.reading.numbers import BadField

# C0, DEL and C1 of Unicode.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BREAK = re.compile(r"[\t\n\v\f\r\x85]")
_BYTE_ORDER_MARKS = (
    # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ENOUGH_TO_TELL = 64


def one_line(text: str, what: str) -> str:
    """Return a text with tabs and line breaks as spaces.

    Raises BadField for any other control character: it has no place in a title or a tag, and
    could steer a terminal that shows it.
    """
    if text.isprintable():
        return text
    spaced = _BREAK.sub(" ", text)
    found = _CONTROL.search(spaced)
    if found:
        raise BadField(f"{what} has the control character U+{ord(found[0]):04X}")
    return spaced


def without_controls(text: str) -> str:
    """Return a text of several lines without control characters; tabs and newlines stay."""
    return text if text.isprintable() else _UNSAFE.sub("", text)


def escaped(text: str) -> str:
    r"""Return a text with control characters as `\x1b`; tabs and newlines stay."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def escaped_name(name: str) -> str:
    r"""Return a name with every control character as `\x1b`, tabs and newlines included."""
    return _CONTROL.sub(_escape, escaped(name))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def wide_encoding(head: bytes) -> str | None:
    """Return the codec of a file in UTF-16 or UTF-32, None for any other file."""
    for mark, codec in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return codec
    # Without a mark: each second byte of plain text is 0.
    start = head[:_ENOUGH_TO_TELL]
    even, odd = start[0::2], start[1::2]
    if len(start) < 4 or any(even) == any(odd):
        return None
    return "utf-16-le" if all(even) else "utf-16-be" if all(odd) else None


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a file, transcoded if it is in UTF-16 or UTF-32."""
    first = next(chunks, b"")
    codec = wide_encoding(first)
    if codec is None:
        yield first
        yield from chunks
        return
    # Half of a pair of surrogates becomes invalid UTF-8, so that only its row is rejected.
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    try:
        yield decoder.decode(first).encode("utf-8", "surrogatepass")
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        # The file ends inside a character.
        yield b"\xff"
