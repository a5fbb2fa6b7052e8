"""The URL of a database, and whether a server of a supported version answers there.

Without SQLAlchemy, whose import takes longer than a query: readers need psycopg alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from recsys.errors import ConfigError, StorageError
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.failures import storage_error

MINIMUM_VERSION = 15
STARTING_UP = "57P03"
WAIT_FOR_STARTUP_S = 60
CONNECT_S = 10
URL_FORM = (
    "it looks like postgresql://user:password@host:5432/database; "
    "special characters in the password are percent-encoded, as %40 for @"
)


class Address:
    """The URL of a database, without a connection."""

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self.url = url
        self.folder = folder
        """The folder of the embedded server, on whose disk the data is; None for another server."""

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The connection parameters in the URL; raises ConfigError if libpq cannot read it."""
        scheme, _, rest = self.url.partition("://")
        dialect = scheme.partition("+")[0]
        if rest and dialect not in ("postgres", "postgresql"):
            raise ConfigError(f"the database URL is for {dialect}, not PostgreSQL", hint=URL_FORM)
        try:
            given = conninfo_to_dict(f"postgresql://{rest}") if rest else {}
        except psycopg.ProgrammingError:
            given = {}
        # libpq checks the port only when it connects.
        if not given or not re.fullmatch(r"[\d,]*", str(given.get("port", ""))):
            # Without the cause, which may quote the password.
            raise ConfigError("the database URL cannot be read", hint=URL_FORM) from None
        return {name: str(value) for name, value in given.items()}

    @property
    def conninfo(self) -> str:
        """The connection string for libpq, with the password."""
        return make_conninfo(**self.parameters)

    @property
    def label(self) -> str:
        """The URL without its password, for messages."""
        return self._rendered("***" if self.password else None)

    @property
    def password(self) -> str | None:
        return self.parameters.get("password")

    @property
    def without_password(self) -> str:
        """The URL without its password, to connect to with a password from elsewhere."""
        return self._rendered(None)

    def _rendered(self, password: str | None) -> str:
        hidden = ("user", "password", "sslpassword", "dbname")
        rest = {name: value for name, value in self.parameters.items() if name not in hidden}
        login = quote(self.parameters.get("user", ""), safe="")
        login += f":{password}" if password else ""
        # A folder of sockets, or several hosts, can only be given as a parameter.
        named = not re.search("[/,]", rest.get("host", ""))
        host = rest.pop("host", "") if named else ""
        host = f"[{host}]" if ":" in host else host
        port = f":{rest.pop('port')}" if named and "port" in rest else ""
        name = quote(self.parameters.get("dbname", ""), safe="")
        query = f"?{urlencode(rest, safe='/,')}" if rest else ""
        return f"postgresql://{login}{'@' if login else ''}{host}{port}/{name}{query}"


@contextmanager
def open_address(home: Path, url: str | None) -> Iterator[Address]:
    """Yield the address of a server that answers: `url`, or the embedded one under `home`.

    The embedded server runs meanwhile. Raises ConfigError for an invalid URL, StorageError if the
    server cannot be reached or is older than PostgreSQL 15, or for a database in SQL_ASCII.
    """
    with running_at(home, url) as address:
        require_version(address, lambda: _version(address))
        yield address


@contextmanager
def running_at(home: Path, url: str | None) -> Iterator[Address]:
    """Yield the address of the server, which is started if it is the embedded one."""
    if url:
        yield Address(url)
        return
    server = EmbeddedServer(home)
    with server.running() as reachable:
        yield Address(reachable, server.paths.root)


def require_version(address: Address, ask: Callable[[], int]) -> None:
    """Ask the server for its version until it has started; refuse an old one.

    `ask` connects, and returns a version as 180001.
    """
    version = _wait_for(address, ask)
    if version < MINIMUM_VERSION * 10_000:
        raise StorageError(
            f"{address.label} is PostgreSQL {version // 10_000}",
            hint=f"PostgreSQL {MINIMUM_VERSION} or newer is required",
        )


def _wait_for(address: Address, ask: Callable[[], int]) -> int:
    deadline = time.monotonic() + WAIT_FOR_STARTUP_S
    while True:
        try:
            return ask()
        except psycopg.Error as exc:
            # A server in crash recovery answers, but accepts no connection yet.
            starting = exc.sqlstate == STARTING_UP or re.search(
                "starting up|not yet accepting", str(exc)
            )
            if not starting or time.monotonic() > deadline:
                raise storage_error(exc, address.label) from exc
        time.sleep(0.2)


def _version(address: Address) -> int:
    with psycopg.connect(
        address.conninfo, application_name="recsys", connect_timeout=CONNECT_S
    ) as connection:
        require_encoding(connection, address)
        return connection.info.server_version


def require_encoding(connection: psycopg.Connection[Any], address: Address) -> None:
    """Raise StorageError for a database in SQL_ASCII, whose texts the driver returns as bytes."""
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise StorageError(
            f"the database {address.label} has the encoding SQL_ASCII; recsys needs UTF8",
            hint="create a database with createdb -E UTF8 -T template0 NAME",
        )
