"""`recsys serve`: the HTTP API and the pages."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
from importlib.util import find_spec
from types import FrameType
from typing import Annotated

import typer

from recsys.cli import output
from recsys.config import settings
from recsys.errors import MissingDependency, RecsysError

app = typer.Typer()
LOCAL = ("127.0.0.1", "localhost", "::1")
PUBLIC = (
    "warning: every client that reaches {} can read the recommendations of all users; "
    "allow only a proxy to connect"
)
PARTS_OF_WEB = ("fastapi", "httptools", "jinja2", "prometheus_client", "uvicorn", "uvloop")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
) -> None:
    """Serve the HTTP API and the pages, until stopped.

    Reading is open to every client that can connect.
    Writing requires RECSYS_API_TOKEN, in the environment and in the request.
    """
    _require_web()
    token = settings.load().api_token
    # A port in use is reported before the database is opened.
    with _listening(host, port) as listening:
        if host not in LOCAL:
            output.message(PUBLIC.format(host))
        import uvloop

        uvloop.run(_serve(listening, host, token))


def _require_web() -> None:
    missing = [name for name in PARTS_OF_WEB if find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"`recsys serve` needs packages that are not installed: {', '.join(missing)}",
            hint="pip install 'recsys[web]'",
        )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Python's default backlog of at most 128 would refuse bursts of connections.
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        # The codes of gaierror are not those of errno.
        unnamed = isinstance(exc, socket.gaierror)
        reason = exc.strerror if unnamed else os.strerror(exc.errno or 0)
        raise RecsysError(
            f"cannot listen on {host}, port {port}: {reason}",
            hint="another program may use it; choose a different port with --port",
        ) from exc


async def _serve(listening: socket.socket, host: str, token: str | None) -> None:
    from recsys.service import AsyncRecommender
    from recsys.web.app import create_app
    from recsys.web.server.server import LimitedServer

    async with AsyncRecommender.connect() as recommender:
        # Access logs hold user ids: they are written for debugging only.
        access_log = logging.getLogger("recsys").isEnabledFor(logging.DEBUG)
        server = LimitedServer(create_app(recommender, token=token), access_log=access_log)

        def end(number: int, frame: FrameType | None) -> None:
            server.should_exit = True

        # uvicorn installs its own handlers while it serves, and raises the signal again at its end.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, end)
        name = f"[{host}]" if ":" in host else host
        # Loaded modules stay in memory: scanning them for garbage would pause all requests.
        gc.collect()
        gc.freeze()
        output.message(f"Serving on http://{name}:{listening.getsockname()[1]} - Ctrl-C ends it.")
        await server.serve([listening])
