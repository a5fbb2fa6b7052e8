"""Watch a source: its rows change the ratings in the transaction that writes them."""

from __future__ import annotations

from recsys.config.settings import SourceSettings
from recsys.errors import ConfigError
from recsys.storage.load import catalogue, sources, watching
from recsys.storage.load.copy import driver
from recsys.storage.schema import versions
from recsys.storage.server import blockers
from recsys.storage.server.engine import Database


def watch(database: Database, settings: SourceSettings, *, strict: bool = False) -> str:
    """Put triggers on the table of the ratings; return its name.

    Raises ConfigError without a source in the same database, or before its first sync, DataError
    for a query on other than one table.
    """
    if not settings.ratings.strip() or settings.url:
        raise settings.located(
            ConfigError(
                "there is no table to watch: [source] needs ratings, and no url",
                hint="triggers work in the database of recsys; another server is for recsys sync",
            ),
            "source",
        )
    with database.transaction() as connection:
        versions.ensure(connection)
        blockers.limit_waits(connection)
        if catalogue.loaded_edition(connection) != settings.name:
            raise ConfigError(f"{settings.name} is not loaded", hint="`recsys sync` comes first")
        query = sources.checked(
            driver(connection), "ratings", settings.ratings, settings.changed_since
        )
        found = watching.find_table(connection, query)
        watching.unwatch(connection)
        scale = (settings.scale[0], settings.scale[1]) if settings.scale else None
        watching.watch(connection, found, scale, strict=strict)
    return f"{found.schema}.{found.table}"


def unwatch(database: Database) -> list[str]:
    """Remove all triggers and functions of `watch`; return the tables that had them."""
    with database.transaction() as connection:
        blockers.limit_waits(connection)
        return watching.unwatch(connection)
