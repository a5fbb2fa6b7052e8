"""Style sheet, scripts and icon, served from memory; a hash in the URL lets browsers cache them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

STATIC = Path(__file__).parents[1] / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    digest: str
    media_type: str


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, blake2b(content, digest_size=6).hexdigest(), MEDIA_TYPES[path.suffix])


# Only these files are served: the name in a URL never becomes a path.
ASSETS: Mapping[str, Asset] = {
    path.name: _read(path) for path in sorted(STATIC.iterdir()) if path.suffix in MEDIA_TYPES
}
router = APIRouter(include_in_schema=False)


def asset_url(name: str) -> str:
    """Return the URL of a file; it changes with the content."""
    return f"/static/{name}?v={ASSETS[name].digest}"


@router.get("/static/{name}")
async def asset(request: Request, name: str, v: str = "") -> Response:
    found = ASSETS.get(name)
    if found is None:
        raise HTTPException(404, f"there is no file {name}")
    # Without the right hash the URL does not identify the content.
    headers = {"Cache-Control": FOREVER if v == found.digest else "no-cache"}
    headers["ETag"] = f'"{found.digest}"'
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
