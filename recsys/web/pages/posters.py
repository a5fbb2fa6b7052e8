"""Drawn posters on pages: what a template needs to show one, and the route of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response
from markupsafe import Markup

from recsys.web.pages.assets import FOREVER
from recsys.web.posters import design
from recsys.web.posters.design import Design, design_of
from recsys.web.posters.drawing import draw, is_light
from recsys.web.posters.genres import GENRES
from recsys.web.posters.lettering import lettering

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Poster:
    """A drawn poster: the address of its picture, CSS classes, and the title in HTML."""

    url: str
    classes: str
    title: Markup


def _digest() -> str:
    """Return a hash of the code that draws, so that browsers fetch pictures again if it changes."""
    folder = File(design.__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return blake2b(sources, digest_size=4).hexdigest()


VERSION = _digest()


def poster_of(movie_id: int, title: str, year: int | None, genres: Sequence[str]) -> Poster:
    """Return the drawn poster of a movie, the same one on every page."""
    return _poster(movie_id, title, year, tuple(genres))


@lru_cache(maxsize=4096)
def _poster(movie_id: int, title: str, year: int | None, genres: tuple[str, ...]) -> Poster:
    chosen = design_of(movie_id, title, year, genres)
    letters = lettering(title, chosen.face, chosen.layout)
    classes = [f"l-{chosen.layout}", f"f-{chosen.face}", f"s{letters.size}"]
    classes += ["capitals"] * letters.capitals
    # At the bottom the title is on the foreground, which is always dark.
    classes += ["on-light"] * (chosen.layout != "bottom" and is_light(chosen))
    return Poster(f"/poster/{chosen.path}?v={VERSION}", " ".join(classes), letters.html)


@router.get("/poster/{genre}/{second}/{decade}/{hashes}.svg")
async def poster(
    genre: str,
    second: str,
    decade: Annotated[int, Path(ge=0, le=9990)],
    hashes: Annotated[str, Path(pattern="^[0-9a-f]{8}$")],
    v: str = "",
) -> Response:
    """Draw a poster. The address says all about it, so that it needs no database."""
    if not {genre, second} <= {*GENRES, "other"}:
        raise HTTPException(404, "there is no such poster")
    drawn = draw(Design(genre, second, decade, int(hashes[:4], 16), int(hashes[4:], 16)))
    cached = FOREVER if v == VERSION else "no-cache"
    return Response(drawn, media_type="image/svg+xml", headers={"Cache-Control": cached})
