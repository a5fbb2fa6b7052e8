"""Parse the Python literals in cells of The Movies Dataset; no code is executed."""

from __future__ import annotations

import ast
import json
import re
import warnings

_STRING = re.compile(r"""('[^']*'|"[^"]*")""")
_JSON_ONLY = ("null", "true", "false", "NaN", "Infinity")


def parse_literal(text: str) -> object:
    """Return the result of `ast.literal_eval`, about five times faster for most cells.

    A cell without escapes is rewritten as JSON and decoded in C; every other cell goes to
    `ast.literal_eval`. One difference: JSON allows brackets nested deeper than the 200 levels of
    Python's parser.

    Raises `ValueError` for anything but a literal, malicious input included.
    """
    rewritten = _as_json(text)
    if rewritten is not None:
        try:
            return json.loads(rewritten)
        except (ValueError, RecursionError):
            pass  # a tuple, a tab in a string, or not a literal: ast.literal_eval decides
    return _evaluated(text)


def _as_json(text: str) -> str | None:
    """Rewrite a literal as JSON; None if that could change its meaning."""
    if "\\" in text or "\n" in text or "\r" in text or "\0" in text:
        return None
    parts = _STRING.split(text)
    outside = "\0".join(parts[::2])
    if any(word in outside for word in _JSON_ONLY):
        return None
    outside = outside.replace("None", "null").replace("True", "true").replace("False", "false")
    parts[::2] = outside.split("\0")
    parts[1::2] = ['"' + part[1:-1].replace('"', '\\"') + '"' for part in parts[1::2]]
    return "".join(parts)


def _evaluated(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape such as '\d' warns
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as exc:
        raise ValueError(f"not a Python literal ({type(exc).__name__})") from exc
