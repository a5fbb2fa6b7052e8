"""Sync: make the store equal to what queries on people's own tables return."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
import sqlalchemy as sa

from recsys.config.settings import SourceSettings
from recsys.domain import RejectedRow, SourceMovie, User, fault_of_key
from recsys.errors import ConfigError, DataError
from recsys.ingest.movielens.rows import movie_from
from recsys.ingest.reading.numbers import BadField
from recsys.ingest.reading.rejects import KEPT, RejectLimit, Rejects
from recsys.jobs.progress import Reporter, Silent
from recsys.jobs.stages import StageClock
from recsys.storage.load import catalogue, ingests, keys, sources
from recsys.storage.load.catalogue import Counts
from recsys.storage.load.copy import driver
from recsys.storage.load.sources import Kind, LastSync, Query, Row, Since, SourceQuery
from recsys.storage.runs import lock
from recsys.storage.schema import versions
from recsys.storage.server import blockers
from recsys.storage.server.address import CONNECT_S, Address
from recsys.storage.server.engine import Database
from recsys.storage.server.failures import translated_errors

logger = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=10)
"""Changes from shortly before the watermark are read again: some of their transactions may have
been committed after the last sync."""
Stored = Literal["all", "touched", "none"]
"""Users whose stored ratings are compared."""
NO_ROWS: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncReport:
    ingest_id: int | None
    """None for a dry run."""
    edition: str
    counts: dict[str, Counts]
    """By kind of rows: ratings, movies, users, tags."""
    duplicates: int
    rejected: list[RejectedRow]
    """The first of them."""
    rejected_count: int
    partial: bool
    """Whether only rows that changed since the last sync were read."""
    implicit: bool
    seconds: float

    @property
    def no_change(self) -> bool:
        return not any(c.inserted or c.updated or c.removed for c in self.counts.values())


@dataclass(slots=True)
class Read:
    """What was read of a source, and what of it differs from the store."""

    queries: dict[Kind, Query]
    movies: Sequence[Row] = NO_ROWS
    users: Sequence[Row] = NO_ROWS
    watermark: datetime | None = None
    duplicates: int = 0
    hashed: Stored = "none"
    """Users whose rows were hashed and compared."""


def sync(
    database: Database,
    settings: SourceSettings,
    *,
    source_url: str | None = None,
    full: bool = False,
    full_hours: int = 24,
    dry_run: bool = False,
    replace_data: bool = False,
    max_rejects: RejectLimit | None = None,
    reporter: Reporter | None = None,
) -> SyncReport:
    """Insert, update and delete until the store equals the source, in one transaction.

    With `changed_since` only changed rows are read and nothing is deleted, unless `full_hours` have
    passed since all rows were compared, or `full` is set. A dry run counts and writes nothing.
    Raises ConfigError without a source, DataError for queries that cannot be read, for too many bad
    rows, and where the database holds other data, unless `replace_data`.
    """
    if not settings.ratings.strip():
        error = ConfigError(
            "there is nothing to read: [source] has no ratings",
            hint='write ratings = "SELECT ... AS user_id, ... AS movie_id FROM ..." into [source]',
        )
        raise settings.located(error, "source")
    begun, clock = time.monotonic(), StageClock(reporter or Silent())
    url = source_url or settings.url
    with _alone(database) as (started_at, present, last), database.session() as session:
        if present not in (None, settings.name) and not replace_data:
            raise DataError(
                f"the database holds {present}; {settings.name} would be mixed with it",
                hint="--replace drops the loaded data and its results first",
            )
        last = None if replace_data else last
        with _connected(session, url) as source:
            since = None if full else _since(settings, last, started_at, full_hours)
            found = _compare(session, source, settings, last, since, replace_data, clock)
        with driver(session).transaction() as transaction:
            blockers.limit_waits(session)
            if replace_data and present is not None:
                ingests.clear(session)
            with clock.stage("write") as done:
                counts, rejects = _write(session, settings, found)
                done(sum(c.inserted + c.updated + c.removed for c in counts.values()), "changes")
            total = sum(counts.values(), Counts())
            rows_read = total.inserted + total.updated + total.unchanged + rejects.count
            rejects.check_all(rows_read, max_rejects or RejectLimit())
            facts = _facts(settings, url, started_at, total, found, rejects.count, rows_read)
            facts["replaced"] = replace_data and present is not None
            compared_at = last.compared_at if since and last else started_at
            files = [_described(query, found, compared_at) for query in found.queries.values()]
            ingest_id = ingests.record(session, facts, files, rejects.rows)
            if dry_run:
                raise psycopg.Rollback(transaction)
    report = SyncReport(
        None if dry_run else ingest_id,
        settings.name,
        {kind: counts[kind] for kind in ("ratings", "movies", "users", "tags") if kind in counts},
        found.duplicates,
        rejects.rows,
        rejects.count,
        since is not None,
        found.queries["ratings"].implicit,
        time.monotonic() - begun,
    )
    logger.info("sync of %s: %s in %.1f s", settings.name, total, report.seconds)
    return report


@contextmanager
def _alone(database: Database) -> Iterator[tuple[datetime, str | None, LastSync | None]]:
    """Keep other ingests out of the block; yield the time, the loaded edition and the last sync."""
    with database.transaction() as connection:
        versions.ensure(connection)
        lock.hold_for_hours(connection)
        lock.keep_ingests_out(connection)
        yield (
            ingests.now(connection),
            catalogue.loaded_edition(connection),
            sources.last_sync(connection),
        )


@contextmanager
def _connected(session: sa.Connection, url: str) -> Iterator[psycopg.Connection[Any]]:
    """Yield a connection to the source, that of the session if it is the same database."""
    session.exec_driver_sql("SET TimeZone = 'UTC'")
    if not url:
        yield driver(session)
        return
    address = Address(url)
    with (
        translated_errors(address.label),
        psycopg.connect(
            address.conninfo,
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name="recsys sync",
            options="-c TimeZone=UTC",
        ) as connection,
    ):
        yield connection


def _since(
    settings: SourceSettings, last: LastSync | None, now: datetime, full_hours: int
) -> Since | None:
    """Return from when on changes are read; None if everything is to be compared."""
    if not settings.changed_since or last is None or last.watermark is None:
        return None
    if last.compared_at is None or now - last.compared_at >= timedelta(hours=full_hours):
        return None
    return Since(settings.changed_since, last.watermark - OVERLAP)


def _compare(
    session: sa.Connection,
    source: psycopg.Connection[Any],
    settings: SourceSettings,
    last: LastSync | None,
    since: Since | None,
    replace_data: bool,
    clock: StageClock,
) -> Read:
    """Read the source in one snapshot, and collect what differs from the store."""
    own = source is driver(session)
    # As another role the query cannot be joined with the store: its rows are copied first.
    staged = bool(settings.role) or not own
    sources.make_tables(session, settings.role if own else "")

    def compare(query: Query, since: Since | None, stored: Stored) -> int:
        scale = (settings.scale[0], settings.scale[1]) if settings.scale else None
        return sources.find_differences(
            session, query, since, scale, stored=stored, partial=partial
        )

    partial = since is not None
    stored: Stored = "none" if replace_data else "all"

    with clock.stage("read source") as done:
        with sources.reading(source, settings.role):
            found = Read(_checked(source, settings, last))
            for kind in ("movies", "users"):
                if query := found.queries.get(kind):
                    setattr(found, kind, sources.rows_of(source, query))
            ratings = found.queries["ratings"]
            if settings.changed_since:
                found.watermark = sources.newest(source, ratings, settings.changed_since)
            if "tags" in found.queries:
                sources.stage(session, source, found.queries["tags"], None)
            if staged:
                ratings = sources.stage(session, source, ratings, since)
            elif partial:
                found.duplicates = compare(ratings, since, stored)
            else:
                few = sources.touched_alone(session, ratings, compare=last is not None)
                found.hashed = "all" if few is None else "touched"
                found.duplicates = compare(few or ratings, None, "touched" if few else stored)
        if staged:
            with sources.reading(driver(session), ""):
                found.duplicates = compare(ratings, None, stored)
        done(1, "snapshot")
    return found


def _checked(
    source: psycopg.Connection[Any], settings: SourceSettings, last: LastSync | None
) -> dict[Kind, Query]:
    """Return the configured queries; raise DataError where one has lost a column."""
    kinds: tuple[Kind, ...] = ("movies", "users", "ratings", "tags")
    found: dict[Kind, Query] = {}
    for kind in kinds:
        text = getattr(settings, kind)
        if not text.strip():
            continue
        changed_since = settings.changed_since if kind == "ratings" else ""
        found[kind] = sources.checked(source, kind, text, changed_since)
        before = last.columns.get(kind, ()) if last else ()
        lost = [name for name in before if name not in found[kind].columns]
        if lost:
            raise DataError(
                f"the query {kind} in [source] has lost its column {lost[0]}, which the last sync "
                f"read; its columns: {', '.join(found[kind].columns)}",
                hint="restore the column, or load everything anew with --replace",
            )
    return found


def _write(
    session: sa.Connection, settings: SourceSettings, found: Read
) -> tuple[dict[str, Counts], Rejects]:
    """Make the store equal to what was read; return the counts by kind, and the rejected rows."""
    rejects = Rejects(hint="correct the rows or the query, or allow more with --max-rejects")
    counts: dict[str, Counts] = {}
    if "movies" in found.queries:
        counts["movies"] = _write_movies(session, found.movies, rejects)
    if "users" in found.queries:
        counts["users"] = _write_users(session, found.users, rejects)
    sources.reject_rest(session, known_movies="movies" in found.queries)
    kinds: tuple[Literal["movies", "users"], ...] = ("movies", "users")
    for kind in kinds:
        counts[kind] = counts.get(kind, Counts()) + Counts(sources.add_new(session, kind))
    counts["ratings"] = sources.merge_ratings(session)
    if found.hashed != "none":
        sources.remember(session, touched=found.hashed == "touched")
    if "tags" in found.queries:
        counts["tags"] = sources.merge_tags(session)
    first, count = sources.rejected(session, KEPT)
    for place, (file, content, reason) in enumerate(first, 1):
        rejects.add(RejectedRow(file, place, content, reason))
    rejects.count += count - len(first)
    catalogue.drop_unused_genres(session)
    return counts, rejects


def _write_movies(session: sa.Connection, rows: Sequence[Row], rejects: Rejects) -> Counts:
    movies: dict[str, SourceMovie] = {}
    described: dict[str, tuple[str | None, str | None]] = {}
    available: dict[str, bool] = {}
    for place, row in enumerate(rows, 1):
        key, title, year, genres, imdb_id, tmdb_id, overview, poster, offered = row
        try:
            _check_key(key, "movie_id", movies)
            names = genres if isinstance(genres, list) else str(genres or "").split("|")
            movie = movie_from(0, str(title or ""), [str(n) for n in names if n], _whole(year))
            movies[key] = replace(movie, imdb_id=_whole(imdb_id), tmdb_id=_whole(tmdb_id))
            described[key] = (_text(overview), _text(poster))
            available[key] = offered is not False
        except BadField as exc:
            _reject(rejects, "movies", place, (key, title), exc)
    ids = keys.ids_of(session, "movies", list(movies))
    found = [replace(m, movie_id=i) for m, i in zip(movies.values(), ids.tolist(), strict=True)]
    counts = catalogue.merge_movies(session, found, list(movies))
    texts = zip(ids.tolist(), described.values(), strict=True)
    sources.describe_movies(session, [(i, *both) for i, both in texts if any(both)])
    offers = list(zip(ids.tolist(), available.values(), strict=True))
    return counts + sources.set_available(session, offers)


def _write_users(session: sa.Connection, rows: Sequence[Row], rejects: Rejects) -> Counts:
    users: dict[str, User] = {}
    for place, (key, age, gender, occupation, zip_code) in enumerate(rows, 1):
        try:
            _check_key(key, "user_id", users)
            years = _whole(age)
            if years is not None and not 0 <= years <= 150:
                raise BadField(f"age {years} is outside 0 to 150")
            users[key] = User(0, years, _text(gender), _text(occupation), _text(zip_code))
        except BadField as exc:
            _reject(rejects, "users", place, (key, age), exc)
    ids = keys.ids_of(session, "users", list(users))
    found = [replace(u, user_id=i) for u, i in zip(users.values(), ids.tolist(), strict=True)]
    return catalogue.merge_users(session, ids, found, list(users))


def _check_key(key: str | None, name: str, known: dict[str, Any]) -> None:
    if key is None:
        raise BadField(f"{name} is missing")
    if fault := fault_of_key(key):
        raise BadField(f"{name} {fault}")
    if key in known:
        raise BadField(f"{name} {key} occurs twice")


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise BadField(f"{str(value)[:40]!r} is not a whole number") from None
    if not 0 <= number < 2**31:
        raise BadField(f"{number} is outside 0 to 2147483647")
    return number


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _reject(rejects: Rejects, kind: Kind, place: int, row: Row, why: BadField) -> None:
    content = ",".join("NULL" if value is None else str(value) for value in row)[:500]
    shown = "".join(c if c.isprintable() else "?" for c in content)
    row_ = RejectedRow(kind, place, shown, str(why)[:500]) if rejects.keeps(kind) else None
    rejects.add(row_)


def _facts(
    settings: SourceSettings,
    url: str,
    started_at: datetime,
    total: Counts,
    found: Read,
    rejected: int,
    rows_read: int,
) -> dict[str, Any]:
    low, high = settings.scale or (None, None)
    implicit = found.queries["ratings"].implicit
    return {
        "kind": "ratings",
        "edition": settings.name,
        "dialect": sources.DIALECT,
        "feedback": "implicit" if implicit else "explicit",
        "source": Address(url).label if url else "queries on this database",
        "on_duplicate": "count" if implicit else "latest",
        "rating_min": low,
        "rating_max": high,
        "rating_step": None,
        "started_at": started_at,
        "rows_read": rows_read,
        "inserted": total.inserted,
        "updated": total.updated,
        "unchanged": total.unchanged,
        "removed": total.removed,
        "duplicates": found.duplicates,
        "rejected": rejected,
    }


def _described(query: Query, found: Read, compared_at: datetime | None) -> SourceQuery:
    """Return what is recorded of a query; times only of the ratings, which may be read in part."""
    digest = hashlib.sha256(query.text.encode()).hexdigest()
    times = (found.watermark, compared_at) if query.kind == "ratings" else (None, None)
    watermark, compared = (None if at is None else at.isoformat() for at in times)
    return SourceQuery(query.kind, len(query.text), digest, query.columns, watermark, compared)
