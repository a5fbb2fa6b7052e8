"""`recsys db`: the server and the schema."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import output
from recsys.cli.options import Json, database
from recsys.cli.program import call, named
from recsys.config import settings
from recsys.errors import ConfigError, StorageError
from recsys.files import check_writable

if TYPE_CHECKING:
    from recsys.storage.schema.versions import SchemaState
    from recsys.storage.server.embedded import EmbeddedServer

ROLES = {
    "recsys_job": "to load, refresh, evaluate, publish and prune",
    "recsys_app": "to read, rate and block",
    "recsys_reader": "to read",
}

app = typer.Typer(no_args_is_help=True, help="Manage the server and the schema; back up; run psql.")


@app.command()
def start() -> None:
    """Start the embedded server and leave it running, for psql and BI tools."""
    server = _embedded_server(settings.load())
    word = "started" if server.start() else "was running already"
    stays = named("stays until `recsys db stop`")
    output.message(f"PostgreSQL {word} and {stays}; its data is {server.paths.data}")
    output.write_line(server.url)


@app.command()
def stop(
    force: Annotated[
        bool, typer.Option("--force", help="Stop it even while other commands use it.")
    ] = False,
) -> None:
    """Stop the embedded server."""
    stopped = _embedded_server(settings.load()).stop(force=force)
    output.message("PostgreSQL stopped." if stopped else "PostgreSQL was not running.")


@app.command()
def url() -> None:
    """Print the URL of the database; starts the embedded server if necessary."""
    current = settings.load()
    if current.database_url:
        output.write_line(current.database_url)
        return
    server = _embedded_server(current)
    if server.start():
        output.message(named("PostgreSQL started; it stays until `recsys db stop`."))
    output.write_line(server.url)


@app.command()
def status(json: Json = False) -> None:
    """Show whether the server runs, its location, and the state of the schema."""
    from recsys.storage.schema import versions
    from recsys.storage.server.engine import database_bytes, open_database, server_version
    from recsys.storage.server.server_paths import has_server

    current = settings.load()
    found: dict[str, object] = {}
    if not current.database_url and not has_server(current.home):
        # Looking must not create a folder, perhaps in the home of another user.
        _show_status({"server": "embedded", "running": False, "home": str(current.home)}, json=json)
        return
    if not current.database_url:
        # Opening the database would start the server, whose state is the question.
        server = _embedded_server(current).status()
        found = {
            "server": "embedded",
            "running": server.running,
            "kept": server.kept,
            "in_use": server.in_use,
            "data": str(server.data),
            "log": str(server.log),
        }
        if not server.running:
            _show_status(found, json=json)
            return
    # Not options.database(), which writes: it marks abandoned runs as failed.
    with (
        open_database(current.home, current.database_url, reuse_connections=True) as opened,
        opened.transaction() as connection,
    ):
        found |= {
            "url": opened.label,
            "version": server_version(connection),
            "schema": _schema_word(versions.state(connection)),
            "bytes": database_bytes(connection),
        }
    _show_status(found, json=json)


def _schema_word(state: SchemaState) -> str:
    words: dict[SchemaState, str] = {
        "empty": "none yet",
        "current": "current",
        "other": named("of an older version: run `recsys db upgrade`"),
        "newer": "of a newer version of recsys: install that one",
    }
    return words[state]


def _show_status(found: dict[str, object], *, json: bool) -> None:
    if json:
        output.write_json(found)
    else:
        shown = {name.replace("_", " "): _shown(value) for name, value in found.items()}
        if "bytes" in shown:
            shown["size"] = output.size(int(str(found["bytes"])))
            del shown["bytes"]
        output.properties("Database", shown)


def _shown(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


@app.command()
def upgrade() -> None:
    """Upgrade tables and SQL contract to this version of recsys."""
    from recsys.storage.schema import versions

    with database() as opened:
        with opened.transaction() as connection:
            versions.upgrade(connection)
        output.message(f"The schema of {opened.label} is current.")


@app.command("dictionary")
def dictionary() -> None:
    """Print the data dictionary: views, columns and functions, as Markdown."""
    from recsys.storage.schema import dictionary, versions

    with database() as opened, opened.transaction() as connection:
        versions.ensure(connection)
        text = dictionary.markdown(connection)
    output.write_line(text.rstrip("\n"))


@app.command()
def roles() -> None:
    """Create the roles recsys_job, recsys_app and recsys_reader, and grant their rights.

    A role gets the password in RECSYS_JOB_PASSWORD, RECSYS_APP_PASSWORD or RECSYS_READER_PASSWORD.
    """
    from recsys.storage.schema import roles, versions

    passwords = settings.load().role_passwords
    with database() as opened:
        with opened.transaction() as connection:
            versions.ensure(connection)
            roles.apply(connection)
            large_objects = roles.may_write_large_objects(connection)
            roles.set_passwords(connection, passwords)
        output.message(f"The roles of {opened.label} are set up. Connect as")
        for role, purpose in ROLES.items():
            output.message(f"  {role:<14}{purpose}")
        if passwords:
            output.message(f"Passwords are set for {', '.join(passwords)}.")
        else:
            output.message(
                "They have no password until you set one: "
                + call("db", "psql", "-c", "\\password recsys_reader")
            )
        if large_objects:
            output.message(
                "All may write large objects and fill the disk with them until a superuser "
                "runs this command."
            )


@app.command()
def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write or replace.")],
) -> None:
    """Write all data, results and runs to a file, for `recsys db restore`."""
    from recsys.storage.server import backup

    current = settings.load()
    server = None if current.database_url else _embedded_server(current)
    check_writable(file)
    with database() as opened:
        backup.dump(opened, file, server)
    output.message(f"Written: {file}, {output.size(file.stat().st_size)}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of `recsys db dump`.")],
) -> None:
    """Read a dump into an empty database, and upgrade it to this version."""
    from recsys.storage.schema import roles, versions
    from recsys.storage.server import backup

    current = settings.load()
    server = None if current.database_url else _embedded_server(current)
    with database() as opened:
        with opened.transaction() as connection:
            if versions.state(connection) != "empty":
                raise StorageError(
                    f"{opened.label} is not empty",
                    hint="restore into an empty database, or with RECSYS_HOME set to a new folder",
                )
        given_to_roles = backup.restore(opened, file, server)
        with opened.transaction() as connection:
            # It also revokes what a dump without privileges leaves to every role.
            versions.upgrade(connection)
            if given_to_roles:
                roles.apply(connection)
        with opened.session() as session:
            versions.analyze(session)
        output.message(f"Restored: {file} into {opened.label}")
        if given_to_roles:
            output.message("The roles are set up again; a dump holds no passwords.")


# psql parses its arguments itself, so Typer must accept options that it does not know.
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Run psql on the database, with the given arguments: recsys db psql -c "SELECT 1"."""
    raise typer.Exit(_run_psql(settings.load(), context.args))


def _embedded_server(current: settings.Settings) -> EmbeddedServer:
    """Return the embedded server; raises ConfigError if a URL is set."""
    from recsys.storage.server.embedded import EmbeddedServer

    if current.database_url:
        raise ConfigError(
            "RECSYS_DATABASE_URL is set, so recsys does not start or stop the server",
            hint="unset it to use the embedded PostgreSQL",
        )
    return EmbeddedServer(current.home)


def _run_psql(current: settings.Settings, arguments: Sequence[str]) -> int:
    """Run psql on this terminal and return its exit code."""
    from recsys.storage.server import backup
    from recsys.storage.server.address import Address

    server = None if current.database_url else _embedded_server(current)
    program = backup.program("psql", server)
    with server.running() if server else nullcontext(current.database_url) as url:
        address = Address(str(url))
        command = [program, address.without_password, *arguments]
        # psql shares our process group and handles Ctrl-C itself: it cancels a query.
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            return subprocess.run(command, env=backup.environment(address)).returncode
        finally:
            signal.signal(signal.SIGINT, before)
