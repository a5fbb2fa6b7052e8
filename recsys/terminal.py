"""Make text of a data set safe to show: on a terminal, control characters are commands."""

from __future__ import annotations

import re

# C0 and C1 with DEL; separators of lines; marks, embeddings, overrides and isolates of direction.
INVISIBLE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROLS = re.compile(f"[{INVISIBLE}]")
CONTROLS_BUT_NEWLINE = re.compile(f"(?!\n)[{INVISIBLE}]")


def visible(text: str) -> str:
    r"""Return one line of text with control characters escaped, as `\x1b` or `\u202e`."""
    return CONTROLS.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return text of several lines with all other control characters escaped."""
    return CONTROLS_BUT_NEWLINE.sub(_escaped, text)


def visible_json(text: str) -> str:
    """Return a JSON document without control characters; it stands for the same value."""
    # Outside strings JSON has only line feeds, inside it has escaped all of C0.
    return CONTROLS_BUT_NEWLINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
