"""The server of an application, with limits."""

from __future__ import annotations

import asyncio
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from recsys.web.server.connections import Connections
from recsys.web.server.limits import Limits, limits_of_process
from recsys.web.server.protocol import LimitedProtocol

TICKS_PER_S = 10


class LimitedServer(uvicorn.Server):
    """Serve an application; `limits` bounds what clients can take."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits | None = None,
        access_log: bool = False,
        seconds_to_end: int = 5,
    ) -> None:
        limits = limits or limits_of_process()
        self.open = Connections(limits.connections)
        config = uvicorn.Config(
            app,
            http=partial(LimitedProtocol, connections=self.open, limits=limits),  # type: ignore[arg-type]
            ws="none",
            log_config=None,  # recsys.logs has configured the loggers
            access_log=access_log,
            server_header=False,
            timeout_graceful_shutdown=seconds_to_end,
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_S == 0:
            now = asyncio.get_running_loop().time()
            for connection in self.open:
                connection.check(now)
        return await super().on_tick(counter)
