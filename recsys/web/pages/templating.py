"""Templates of the pages, and filters that format figures, times and names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from recsys.web.api.responses import NO_CACHE
from recsys.web.pages.assets import asset_url
from recsys.web.pages.posters import poster_of

LANGUAGES = {
    "cn": "Cantonese",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "zh": "Chinese",
}
"""Names by ISO 639-1 code, and by `cn`, which TMDB uses for Cantonese."""
MINUTE, HOUR, DAY = 60, 3600, 86_400


def page(
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] = NO_CACHE,
) -> Response:
    """Render a template as a response, which by default is not cached."""
    body = environment.get_template(template).render(values or {})
    return HTMLResponse(body, status, dict(headers))


def ago(seconds: float) -> str:
    """Format an age in its largest unit that is at least 1, such as 5 minutes."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= unit:
            return plural(int(seconds // unit), name)
    return plural(int(seconds), "second")


def plural(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def day(at: date) -> str:
    return f"{at.day} {at:%B %Y}"


def month(at: date) -> str:
    return f"{at:%b %Y}"


def series(names: Sequence[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def signed(value: float, digits: int = 4) -> str:
    """Format a difference with its sign; what rounds to zero has none."""
    shown = f"{abs(value):.{digits}f}"
    if float(shown) == 0:
        return shown
    return f"{'+' if value > 0 else '−'}{shown}"


def language(code: str) -> str:
    return LANGUAGES.get(code, code)


def moment(at: datetime | None) -> Markup:
    """Format a time to the minute, in UTC."""
    if at is None:
        return Markup("never")
    words = at.strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), words)


def seconds(value: float | None) -> str:
    if value is None:
        return "running"
    return f"{value:.1f} s" if value < MINUTE else f"{int(value // 60)} min {int(value % 60)} s"


def figure(value: float) -> str:
    shown = f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}"
    return shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown


def size(count: float) -> str:
    """Format a number of bytes; a dash for none."""
    if not count:
        return "–"
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB" if count < 1000 else f"{count / 1000:.1f} TB"


def code(text: str | None) -> Markup:
    """Mark text between backticks as code."""
    parts = re.split(r"`([^`]*)`", text or "")
    shown = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    ]
    return Markup("").join(shown)


def segment(key: str, id_: int) -> str:
    """Return what names a user or movie in a path: the key, or the id where no path can hold it."""
    # A slash would separate, and clients resolve dots.
    return str(id_) if "/" in key or key in (".", "..") else quote(key, safe="")


def sentence(text: str) -> str:
    """Start with a capital letter and end with a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,  # installed templates do not change: no file check per request
    )
    templates.globals |= {"asset": asset_url, "poster_of": poster_of, "segment": segment}
    filters = (
        ago,
        code,
        day,
        figure,
        language,
        moment,
        month,
        plural,
        seconds,
        sentence,
        series,
        signed,
        size,
    )
    templates.filters |= {each.__name__: each for each in filters}
    return templates


environment = _environment()
