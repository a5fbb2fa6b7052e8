"""Call every function of the contract with hostile and valid arguments, as reader and as app.

.venv/bin/python tests/torture/fuzz_calls.py --seed 1 --seconds 60
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from recsys.config.settings import GateSettings, RefreshSettings
from recsys.jobs.ingest import ingest, ingest_metadata
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune
from recsys.jobs.refresh import refresh
from recsys.sample.files import write_sample
from recsys.storage.schema import roles
from recsys.storage.schema.dictionary import HEADER
from recsys.storage.server.embedded import EmbeddedServer
from recsys.storage.server.engine import Database

DOCUMENTED = set(re.findall(r"^\| `([0-9A-Z]{5})` \|", HEADER, re.MULTILINE))
DENIED = "42501"
CALL_LIMIT_S = 20
LONGEST_ERROR = 2_000
CHECKED_EVERY = 50
SETTINGS = RefreshSettings(
    models=(
        "top_rated", "most_rated", "random", "ease", "item_knn", "user_knn", "pearson_average",
        "content", "mf", "hybrid_mixed",
    ),
    threads=1, keep_runs=2, gate=GateSettings(enabled=False),
)  # fmt: skip
FUNCTIONS = """
SELECT p.proname, has_function_privilege(p.oid, 'EXECUTE'), p.pronargdefaults,
    coalesce(p.proargnames, '{}'),
    array(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) AS t)
FROM pg_proc AS p WHERE p.pronamespace = 'recsys'::regnamespace ORDER BY p.proname
"""
# Everything that a caller could gain or leave behind.
RIGHTS = """
SELECT md5(string_agg(t.line, '|' ORDER BY t.line)) FROM (
    SELECT c.oid || ' ' || c.relowner || coalesce(c.relacl::text, '') FROM pg_class AS c
    WHERE c.relnamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
    UNION ALL
    SELECT p.oid || ' ' || p.proowner || p.xmin || coalesce(p.proacl::text, '') FROM pg_proc AS p
    WHERE p.pronamespace IN ('recsys'::regnamespace, 'recsys_store'::regnamespace)
    UNION ALL
    SELECT r.rolname || r.rolsuper || r.rolcreaterole || coalesce(r.rolconfig::text, '')
    FROM pg_roles AS r
    UNION ALL
    SELECT m.roleid || ' ' || m.member FROM pg_auth_members AS m
    UNION ALL
    SELECT n.nspname || coalesce(n.nspacl::text, '') FROM pg_namespace AS n
    WHERE n.nspname !~ '^pg_(toast_)?temp_'
) AS t (line)
"""
TABLES = """
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'recsys_store'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
ORDER BY c.relname
"""
OF_THE_APP = ("ratings", "blocks", "users", "rating_changes")
SESSION = """
SELECT current_user, session_user,
    (SELECT count(*) FROM pg_settings WHERE source = 'session' AND name <> 'statement_timeout'),
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
"""
TEXTS = (
    "", " ", "'", "''", '"', "\\", "%", "_", "%s %I %L", "$1", "$$", "x'; --", "/*", "*/", "\n\t",
    "'; DROP TABLE recsys_store.ratings; --",
    "x' OR '1'='1", "1); DELETE FROM recsys_store.users; SELECT (1",
    "' || (SELECT string_agg(usename, ',') FROM pg_user) || '",
    "$$; GRANT recsys_owner TO recsys_reader; $$", "recsys_store.ratings", "ease; RESET ROLE",
    "':* | !a & (b", "a <-> b", "!!", "a:A*", "& | !", "':*'", "\\'", "'=", "=", "=a", "((((",
    "))))", "{a,b}", "{", "NULL", "null", "[1,2]", '{"1": 5}', "NaN", "Infinity", "-1", "now",
    "\u0130stanbul", "I\u0307", "\u00df", "ǅ", "ﬁ", "\ufdfa" * 20, "\u202eevil", "\u200b",
    "\u0301" * 30,
    "\U0001f600" * 50, "é", "e\u0301", "ÀÉÎ", "日本", "ﷺ", "\x01", "\x7f", "\ue000", "\ufffd",
    "a" * 101, "b" * 2047, "c" * 100_000, "d " * 60_000, "ab" * 99 + " " + "z" * 99,
)  # fmt: skip
INTEGERS = (-(2**31), -(2**31) + 1, -1, 0, 1, 2, 3, 9, 10, 100, 1000, 1001, 9999, 10_000, 10_001,
            65_536, 2**31 - 2, 2**31 - 1)  # fmt: skip
FLOATS = (math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-300, 1e300, 1.8e308, -1.0, 0.5, 1.0,
          2.5, 3.0, 5.0, 5.000001, 10.0)  # fmt: skip
TIMES = ("now", "infinity", "-infinity", "epoch", "4713-01-01 00:00+00 BC", "294276-12-31 23:59+00",
         "2020-01-01", "tomorrow", "yesterday")  # fmt: skip
NUMBERS = ("5", "0.5", "0", "-1", "1e5", "1e308", "1e309", "1e-400", "1e100000", "-1e100000",
           "0.0000001", "4.999999999999999999999999", "123456789012345678901234567890")  # fmt: skip


class Violation(AssertionError):
    """A call broke a guarantee."""


@dataclass(frozen=True)
class Function:
    name: str
    allowed: bool
    defaults: int
    names: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def slow(self) -> bool:
        """Whether a call may take seconds, so that few suffice. Not measured: a seed repeats."""
        return self.name.startswith(("verify_lists", "compare_runs"))


@dataclass
class Known:
    """What is in the database: arguments that lead somewhere."""

    users: list[int]
    movies: list[int]
    runs: list[int]
    words: list[str]
    """Names of models, charts and genres, and titles."""


@dataclass
class Seen:
    calls: int = 0
    slowest: tuple[float, str] = (0.0, "")
    states: Counter[str] = field(default_factory=Counter)
    by_function: Counter[str] = field(default_factory=Counter)
    rated: dict[tuple[str, str], float] = field(default_factory=dict)
    """By the keys of user and movie."""
    blocked: set[tuple[str, str]] = field(default_factory=set)
    withdrawn: bool = False
    """Whether some movie may have been withdrawn."""


class Arguments:
    """Draw arguments by type; half of them are plausible."""

    def __init__(self, draw: random.Random, known: Known) -> None:
        self.draw, self.known = draw, known
        self.kinds: dict[str, Callable[[], Any]] = {
            "integer": self.integer,
            "boolean": lambda: self.draw.random() < 0.5,
            "smallint": lambda: self.draw.randint(-(2**15), 2**15 - 1),
            "bigint": self.integer,
            "double precision": lambda: self.draw.choice(FLOATS),
            "text": self.text,
            "text[]": self.texts,
            "double precision[]": lambda: [self.draw.choice(FLOATS) for _ in range(self.size())],
            "integer[]": lambda: [self.integer() for _ in range(self.size())],
            "jsonb": self.ratings,
            "timestamp with time zone": lambda: self.draw.choice(TIMES),
        }

    def of(self, name: str, kind: str) -> Any:
        if self.draw.random() < 0.05:
            return None
        if kind == "integer" and self.draw.random() < 0.5:
            return self.plausible(name)
        if name.endswith("user_key") and self.draw.random() < 0.5:
            return str(self.draw.choice(self.known.users))
        if name.endswith("movie_key") and self.draw.random() < 0.7:
            return str(self.draw.choice(self.known.movies))
        return self.kinds.get(kind, lambda: None)()

    def plausible(self, name: str) -> int:
        for part, values in (
            ("user_id", self.known.users), ("movie_id", self.known.movies),
            ("run_id", self.known.runs), ("a", self.known.runs), ("b", self.known.runs),
        ):  # fmt: skip
            if name in (part, f"asked_{part}"):
                return self.draw.choice(values)
        return self.draw.choice((1, 3, 10, 30))

    def integer(self) -> int:
        if self.draw.random() < 0.2:
            return self.draw.randint(-(2**31), 2**31 - 1)
        return self.draw.choice((*INTEGERS, *self.known.movies[:5], *self.known.users[:5]))

    def text(self) -> str:
        chosen = self.draw.random()
        if chosen < 0.4:
            return self.draw.choice(self.known.words)
        if chosen < 0.7:
            return self.draw.choice(TEXTS)
        if chosen < 0.85:  # a plausible text with something hostile inside
            word, hostile = self.draw.choice(self.known.words), self.draw.choice(TEXTS)
            place = self.draw.randint(0, len(word))
            return word[:place] + hostile + word[place:]
        letters = (chr(self.draw.randint(1, 0x2FFF)) for _ in range(self.draw.randint(1, 300)))
        return "".join(letters)

    def size(self) -> int:
        return self.draw.choice((0, 1, 1, 2, 3, 5, 99, 100, 101, 5_000))

    def texts(self) -> list[Any]:
        if self.draw.random() < 0.1:  # of two dimensions
            return [[self.text()[:50], None], [self.text()[:50], self.text()[:50]]]
        word = self.text()
        few = [None if self.draw.random() < 0.05 else self.text() for _ in range(3)]
        return [word[:1000]] * self.size() if self.draw.random() < 0.5 else few

    def ratings(self) -> str:
        chosen = self.draw.random()
        if chosen < 0.2:
            return self.draw.choice(
                ("null", "{}", "[]", "1", '"x"', "true", '{"1": null}', '{"1": "5"}', '{"x": 5}',
                 '{"1": {"1": 5}}', '{"-1": 5}', '{"1.0": 5}', '{"01": 5}', '{"": 5}',
                 '{"99999999999": 5}', '{"2147483647": 5}', "[" * 900 + "]" * 900,
                 json.dumps({self.text().replace("\0", ""): 5}))
            )  # fmt: skip
        count = self.draw.choice((1, 2, 5, 20, 100, 10_000, 10_001))
        pool = self.known.movies if self.draw.random() < 0.8 else range(1, 20_000)
        ids = self.draw.sample(pool, min(count, len(pool)))
        hostile = self.draw.random() < 0.3
        drawn = (
            self.draw.choice(NUMBERS) if hostile else self.draw.choice(("1", "3", "4.5", "5"))
            for _ in ids
        )
        return "{" + ", ".join(f'"{i}": {n}' for i, n in zip(ids, drawn, strict=True)) + "}"


def functions_of(session: psycopg.Connection[Any]) -> list[Function]:
    return [
        Function(name, allowed, defaults, tuple(names)[: len(types)], tuple(types))
        for name, allowed, defaults, names, types in session.execute(FUNCTIONS)
    ]


def known_to(session: psycopg.Connection[Any]) -> Known:
    def column(query: str) -> list[Any]:
        return [value for (value,) in session.execute(query)]

    words = column(
        "SELECT model FROM recsys.models UNION SELECT unnest(genres) FROM recsys.movies "
        "UNION (SELECT title FROM recsys.movies ORDER BY movie_id LIMIT 200) ORDER BY 1"
    )
    return Known(
        column("SELECT DISTINCT user_id FROM recsys.ratings ORDER BY 1 LIMIT 300"),
        column("SELECT movie_id FROM recsys.movies ORDER BY 1"),
        column("SELECT run_id FROM recsys.runs ORDER BY 1"),
        words,
    )


def written(given: dict[str, Any]) -> str:
    return ", ".join(f"{name} => {value!r:.80}" for name, value in given.items())


class Caller:
    """Calls functions as one role, and checks each call."""

    def __init__(self, session: psycopg.Connection[Any], draw: random.Random, known: Known) -> None:
        self.session, self.draw, self.seen = session, draw, Seen()
        self.arguments = Arguments(draw, known)
        self.functions = functions_of(session)
        drawn = {kind for each in self.functions if each.allowed for kind in each.types}
        assert drawn <= self.arguments.kinds.keys(), drawn - self.arguments.kinds.keys()
        session.execute("SET default_transaction_read_only = off")
        session.execute(f"SET statement_timeout = '{CALL_LIMIT_S}s'")
        self.begun = session.execute(SESSION).fetchone()

    def call(self) -> None:
        # Most calls are allowed ones.
        allowed = self.draw.random() < 0.9
        functions = [f for f in self.functions if f.allowed is allowed]
        [function] = self.draw.choices(functions, [0.02 if f.slow else 1 for f in functions])
        omitted = self.draw.randint(0, function.defaults)
        kept = len(function.types) - omitted
        types = dict(zip(function.names[:kept], function.types[:kept], strict=True))
        given = {name: self.arguments.of(name, kind) for name, kind in types.items()}
        what = f"recsys.{function.name}({written(given)})"
        query = sql.SQL("SELECT * FROM recsys.{}({})").format(
            sql.Identifier(function.name),
            sql.SQL(", ").join(
                sql.SQL("{} => {}::{}").format(
                    sql.Identifier(name), sql.Placeholder(), sql.SQL(kind)
                )
                for name, kind in types.items()
            ),
        )
        began = time.monotonic()
        state = self._state(query, list(given.values()), what, given.get("n"))
        seconds = time.monotonic() - began
        self.seen.slowest = max(self.seen.slowest, (seconds, what))
        self.seen.states[state] += 1
        self.seen.by_function[function.name] += 1
        self.seen.calls += 1
        if not function.allowed and state != DENIED:
            raise Violation(f"{what} may not be called, and ended with {state}")
        if function.allowed and state not in (*DOCUMENTED, "00000"):
            raise Violation(f"{what} ended with {state}, which is not documented")
        if state == "00000":
            self._remember(function.name, given)
        if self.seen.calls % CHECKED_EVERY == 0:
            self.check_session()

    def check_session(self) -> None:
        found = self.session.execute(SESSION).fetchone()
        if found != self.begun:
            raise Violation(f"the session was {self.begun} and is {found}")

    def _state(self, query: sql.Composed, values: list[Any], what: str, n: int | None) -> str:
        try:
            rows = self.session.execute(query, values).fetchall()
        except psycopg.Error as error:
            length = len(error.diag.message_primary or "")
            if length > LONGEST_ERROR:
                raise Violation(f"{what} has an error of {length} characters") from error
            return error.sqlstate or f"{type(error).__name__}: {error}"
        if n is not None and len(rows) > n:
            raise Violation(f"{what} has {len(rows)} rows")
        return "00000"

    def _remember(self, name: str, given: dict[str, Any]) -> None:
        if name == "set_available":
            self.seen.withdrawn = True
        if name not in ("rate", "block"):
            return
        # The key of a user or movie of MovieLens is the id as text.
        keys = [str(given.get(f"{one}_id", given.get(f"{one}_key"))) for one in ("user", "movie")]
        if name == "rate":
            self.seen.rated[keys[0], keys[1]] = given["rating"]
        else:
            self.seen.blocked.add((keys[0], keys[1]))


@dataclass(frozen=True)
class State:
    """Everything that the calls may not change, and what the app may."""

    rights: str
    tables: dict[str, str]
    ratings: dict[tuple[str, str], float]
    blocks: set[tuple[str, str]]
    users: set[str]


def state_of(database: Database) -> State:
    with psycopg.connect(database.url) as owner:

        def one(query: str | sql.Composed) -> Any:
            row = owner.execute(query).fetchone()
            assert row is not None
            return row[0]

        names = [name for (name,) in owner.execute(TABLES)]
        digest = sql.SQL(
            "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {} AS t"
        )
        return State(
            one(RIGHTS),
            {name: one(digest.format(sql.Identifier("recsys_store", name))) for name in names},
            {
                (user, movie): rating
                for user, movie, rating in owner.execute(
                    "SELECT u.key, m.key, r.rating FROM recsys_store.ratings AS r "
                    "JOIN recsys_store.users AS u USING (user_id) "
                    "JOIN recsys_store.movies AS m USING (movie_id)"
                )
            },
            set(
                owner.execute(
                    "SELECT u.key, m.key FROM recsys_store.blocks AS b "
                    "JOIN recsys_store.users AS u USING (user_id) "
                    "JOIN recsys_store.movies AS m USING (movie_id)"
                ).fetchall()
            ),
            {user for (user,) in owner.execute("SELECT key FROM recsys_store.users")},
        )


def compare(before: State, after: State, seen: Seen) -> None:
    """Raise Violation unless the calls changed only what `rate` and `block` may change."""
    writes = bool(seen.rated or seen.blocked)
    may = (*(OF_THE_APP if writes else ()), *(("movies",) if seen.withdrawn else ()))
    changed = [name for name in before.tables if before.tables[name] != after.tables.get(name)]
    if set(changed) - set(may) or before.tables.keys() != after.tables.keys():
        raise Violation(f"tables that changed: {', '.join(changed)}")
    if before.rights != after.rights:
        raise Violation("an owner, a privilege, a role or a function changed")
    touched = {user for user, _ in (*seen.rated, *seen.blocked)}
    for name, found, expected in (
        ("ratings", after.ratings, {**before.ratings, **seen.rated}),
        ("blocks", after.blocks, before.blocks | seen.blocked),
        ("users", after.users, before.users | touched),
    ):
        if found != expected:
            raise Violation(f"the {name} are not those that the calls wrote")


Role = Literal["recsys_reader", "recsys_app"]


def fuzz(
    database: Database, open_as: Callable[[str], Any], seed: int, seconds: float
) -> dict[str, Seen]:
    """Call functions as both roles for so long. Raises Violation, with the seed and the call."""
    found = {}
    for role in ("recsys_reader", "recsys_app"):
        draw = random.Random(f"{seed} {role}")
        before = state_of(database)
        with open_as(role) as session:
            caller = Caller(session, draw, known_to(session))
            ends = time.monotonic() + seconds / 2
            try:
                while time.monotonic() < ends:
                    caller.call()
                caller.check_session()
                compare(before, state_of(database), caller.seen)
            except Violation as exc:
                calls = caller.seen.calls
                raise Violation(f"seed {seed}, {role}, call {calls}: {exc}") from exc
        found[role] = caller.seen
    return found


@contextmanager
def sample_database(home: Path) -> Iterator[tuple[Database, Callable[[str], Any]]]:
    """Yield the sample with three runs, one of them pruned, and a way to log in as a role."""
    with EmbeddedServer(home).running() as url:
        database = Database(url)
        sample = write_sample(home / "sample")
        ingest(database, sample)
        ingest_metadata(database, sample)
        chosen = plan(SETTINGS)
        for _ in range(3):
            refresh(database, chosen)
        prune(database, 2)
        with database.transaction() as connection:
            roles.apply(connection)

        def open_as(role: str) -> Any:
            with psycopg.connect(database.url, autocommit=True) as owner:
                owner.execute(sql.SQL("ALTER ROLE {} PASSWORD 'x'").format(sql.Identifier(role)))
            return psycopg.connect(database.url, user=role, password="x", autocommit=True)

        yield database, open_as


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        with sample_database(Path(home)) as (database, open_as):
            found = fuzz(database, open_as, given.seed, given.seconds)
    for role, seen in found.items():
        seconds, slowest = seen.slowest
        sys.stdout.write(
            f"{role}: {seen.calls:,} calls of {len(seen.by_function)} functions, "
            f"{len(seen.rated):,} ratings, {len(seen.blocked):,} blocks; "
            f"{dict(sorted(seen.states.items()))}; slowest {seconds:.1f} s: {slowest:.300}\n"
        )


if __name__ == "__main__":
    main()
