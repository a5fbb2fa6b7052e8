"""Style, scripts and icon: kept in memory, named with a hash so that browsers may keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

FOLDER = Path(__file__).parents[1] / "static"
KINDS = {
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
    return Asset(content, blake2b(content, digest_size=6).hexdigest(), KINDS[path.suffix])


ASSETS: Mapping[str, Asset] = {
    path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS
}
router = APIRouter(include_in_schema=False)


def asset_url(name: str) -> str:
    """Return where a file is, an address that is another one when the file changes."""
    return f"/static/{name}?v={ASSETS[name].digest}"


@router.get("/static/{name}")
async def asset(request: Request, name: str, v: str = "") -> Response:
    found = ASSETS.get(name)
    if found is None:
        raise HTTPException(404, f"there is no file {name}")
    # Asked without the hash it may change under the same name.
    headers = {"Cache-Control": FOREVER if v == found.digest else "no-cache"}
    headers["ETag"] = f'"{found.digest}"'
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
