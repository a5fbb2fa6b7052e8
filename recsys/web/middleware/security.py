"""Security: the token for writing, response headers and a limit on the size of bodies."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsys.web.middleware.errors import problem

MAX_BODY = 512 * 1024
TOO_LARGE = f"the body is larger than {MAX_BODY // 1024} KiB"
SECURITY_HEADERS = {
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


async def require_token(
    request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Raise 401 unless the request has the token, 403 if the server has none."""
    token: str | None = request.app.state.token
    if token is None:
        raise HTTPException(
            403,
            "writing is turned off: the server was started without RECSYS_API_TOKEN",
        )
    credentials = sent.credentials if sent else ""
    # In constant time, so that response times do not reveal the token.
    if not hmac.compare_digest(credentials.encode(), token.encode()):
        raise HTTPException(
            401,
            "writing needs the header `Authorization: Bearer TOKEN` with the token of this server",
            headers={"WWW-Authenticate": "Bearer"},
        )


class SecurityHeadersMiddleware:
    """Add headers that restrict what browsers do with a response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [
            (name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimitMiddleware:
    """Return 413 for bodies larger than any valid request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY:
            await problem(413, TOO_LARGE)(scope, receive, send)
            return
        received = 0

        # A chunked body declares no length, so its parts are counted.
        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, receive_limited, send)
