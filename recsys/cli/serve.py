"""`serve`: the recommender by HTTP."""

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

from recsys.cli import show
from recsys.config import settings
from recsys.errors import ConfigError, RecsysError

app = typer.Typer()
LOCAL = ("127.0.0.1", "localhost", "::1")
PUBLIC = (
    "warning: whoever reaches {} can read what is recommended to anybody: let only a proxy do so"
)
SECONDS_TO_END = 5
PARTS_OF_WEB = ("fastapi", "httptools", "jinja2", "prometheus_client", "uvicorn", "uvloop")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
) -> None:
    """Answer by HTTP, JSON for programs and pages for people, until stopped.

    Reading is open to whoever can connect. Writing needs RECSYS_API_TOKEN, here and in the request.
    """
    _require_web()
    token = settings.load().api_token
    with _listening(host, port) as listening:
        if host not in LOCAL:
            show.say(PUBLIC.format(host))
        import uvloop

        uvloop.run(_serve(listening, host, token))


def _require_web() -> None:
    missing = [name for name in PARTS_OF_WEB if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`recsys serve` needs what is not installed: {', '.join(missing)}",
            hint="pip install 'recsys[web]'",
        )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        unnamed = isinstance(exc, socket.gaierror)
        reason = exc.strerror if unnamed else os.strerror(exc.errno or 0)
        raise RecsysError(
            f"cannot listen on {host}, port {port}: {reason}",
            hint="another program may have it: choose another by --port",
        ) from exc


async def _serve(listening: socket.socket, host: str, token: str | None) -> None:
    import uvicorn

    from recsys.service import AsyncRecommender
    from recsys.web.app import create_app

    async with AsyncRecommender.connect() as recommender:
        config = uvicorn.Config(
            create_app(recommender, token=token),
            log_config=None,
            # Who asked for what is nobody's business, but for who looks for a fault.
            access_log=logging.getLogger("recsys").isEnabledFor(logging.DEBUG),
            server_header=False,
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        server = uvicorn.Server(config)

        def end(number: int, frame: FrameType | None) -> None:
            server.should_exit = True

        # It listens to these itself while it serves, and raises them again when it has ended.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        name = f"[{host}]" if ":" in host else host
        # What is loaded stays: looking through it for garbage would stop all requests meanwhile.
        gc.collect()
        gc.freeze()
        show.say(f"Serving on http://{name}:{listening.getsockname()[1]} - Ctrl-C ends it.")
        await server.serve([listening])
