"""What guards the app: the token of those who write, headers, a bound on what is sent."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.web.middleware.errors import problem

LARGEST_BODY = 512 * 1024
TOO_LARGE = f"a body may have {LARGEST_BODY // 1024} KiB"
SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' https://image.tmdb.org; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}

bearer = HTTPBearer(auto_error=False, description="RECSYS_API_TOKEN of the server.")


def writer(
    request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Let those pass who show the token; without one on the server nobody writes."""
    token: str | None = request.app.state.token
    if token is None:
        raise HTTPException(
            403,
            "writing is off: the server was started without RECSYS_API_TOKEN in its environment",
        )
    given = shown.credentials if shown else ""
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(
            401,
            "writing needs the header `Authorization: Bearer TOKEN` with the token of this server",
            headers={"WWW-Authenticate": "Bearer"},
        )


class SafeHeaders:
    """Add to every answer what keeps browsers from doing more with it than they should."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [
            (name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


class BoundedBodies:
    """Refuse bodies that are larger than any request of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > LARGEST_BODY:
            await problem(413, TOO_LARGE)(scope, receive, send)
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, receive_bounded, send)
