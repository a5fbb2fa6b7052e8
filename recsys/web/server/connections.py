"""The open connections, shared fairly between the addresses of clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Protocol

NETWORK_BYTES = 8
"""A client usually has a whole IPv6 network of this many leading bytes."""
REFUSED = 100
"""Connections beyond the limit that get a response before they are closed."""


class Connection(Protocol):
    """What `Connections` needs of a connection."""

    network: str

    def is_waiting(self) -> bool:
        """Tell whether the server waits for the client, not the client for the server."""

    def drop(self) -> None:
        """Close it at once."""

    def check(self, now: float) -> None:
        """Close it if a deadline has passed."""


class Connections:
    """At most `limit` connections, and a few more that are told so.

    If another client comes, the network with the most connections loses the oldest one on which
    the server waits for data. One client can therefore not keep others out by idle connections.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Dictionaries keep the order in which connections were opened.
        self._networks: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Connection]:
        for network in list(self._networks.values()):
            yield from list(network)

    def add(self, connection: Connection) -> bool:
        """Add a connection; False if the server is full and every connection is being served."""
        has_room = self._count < self._limit or self._make_room()
        if has_room or self._count < self._limit + REFUSED:
            self._networks.setdefault(connection.network, {})[connection] = None
            self._count += 1
        else:
            connection.drop()
        return has_room

    def remove(self, connection: Connection) -> None:
        network = self._networks.get(connection.network, {})
        if connection in network:
            del network[connection]
            self._count -= 1
            if not network:
                del self._networks[connection.network]

    def _make_room(self) -> bool:
        for network in sorted(self._networks.values(), key=len, reverse=True):
            for connection in network:
                if connection.is_waiting():
                    # Its own notice of the end comes too late to make room.
                    self.remove(connection)
                    connection.drop()
                    return True
        return False


def network_of(client: tuple[str, int] | None) -> str:
    """Return the IPv4 address or the IPv6 network of a client, as a key."""
    address = client[0] if client else ""
    if ":" not in address:
        return address
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    mapped = packed.startswith(b"\0" * 10 + b"\xff\xff")  # an IPv4 client of an IPv6 socket
    return (packed[-4:] if mapped else packed[:NETWORK_BYTES]).hex()
