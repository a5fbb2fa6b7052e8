"""`recsys db`: the server and the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import show
from recsys.cli.options import Json, database
from recsys.config import settings
from recsys.jobs.server import configured_database, embedded_server, embedded_status, run_psql

if TYPE_CHECKING:
    from recsys.jobs.schema import SchemaState

ROLES = {
    "recsys_job": "to load, refresh, evaluate, publish and prune",
    "recsys_app": "to read, rate and block",
    "recsys_reader": "to read",
}

app = typer.Typer(no_args_is_help=True, help="The database: server, schema, psql.")


@app.command()
def start() -> None:
    """Start the embedded server and leave it running, for psql and BI tools."""
    server = embedded_server(settings.load())
    word = "started" if server.start() else "was running already"
    show.say(f"PostgreSQL {word} and stays until `recsys db stop`; its data is {server.paths.data}")
    show.out(server.url)


@app.command()
def stop(
    force: Annotated[
        bool, typer.Option("--force", help="Also while other commands use it.")
    ] = False,
) -> None:
    """Stop the embedded server."""
    stopped = embedded_server(settings.load()).stop(force=force)
    show.say("PostgreSQL stopped." if stopped else "PostgreSQL was not running.")


@app.command()
def url() -> None:
    """Print the URL for other programs; the embedded server is started and left running."""
    current = settings.load()
    if current.database_url:
        show.out(current.database_url)
        return
    server = embedded_server(current)
    if server.start():
        show.say("PostgreSQL started; it stays until `recsys db stop`.")
    show.out(server.url)


@app.command()
def status(json: Json = False) -> None:
    """Show whether the server runs, where, and how old the schema is."""
    from recsys.jobs.schema import schema_state

    current = settings.load()
    facts: dict[str, object] = {}
    server = embedded_status(current)
    if server is not None:
        facts = {
            "server": "embedded",
            "running": server.running,
            "kept": server.kept,
            "in_use": server.in_use,
            "data": str(server.data),
            "log": str(server.log),
        }
        if not server.running:
            _show_status(facts, json=json)
            return
    with configured_database(current) as opened:
        state = schema_state(opened)
        facts |= {"url": opened.label, "version": state.server_version}
        facts |= {"schema": _schema_word(state), "bytes": state.bytes}
    _show_status(facts, json=json)


def _schema_word(state: SchemaState) -> str:
    if state.empty:
        return "none yet"
    return "current" if state.current else "of another version: run `recsys db upgrade`"


def _show_status(facts: dict[str, object], *, json: bool) -> None:
    if json:
        show.as_json(facts)
    else:
        show.facts("Database", facts)


@app.command()
def upgrade() -> None:
    """Bring tables and contract to this version of recsys."""
    from recsys.jobs.schema import upgrade_schema

    with database() as opened:
        upgrade_schema(opened)
        show.say(f"The schema of {opened.label} is current.")


@app.command("dictionary")
def dictionary() -> None:
    """Print what views, columns and functions there are and what they mean, as Markdown."""
    from recsys.jobs.schema import data_dictionary

    with database() as opened:
        show.out(data_dictionary(opened).rstrip("\n"))


@app.command()
def roles() -> None:
    """Set up the roles recsys_job, recsys_app and recsys_reader, and give each what it may do."""
    from recsys.jobs.schema import set_up_roles

    with database() as opened:
        set_up_roles(opened)
        show.say(f"The roles of {opened.label} are set up. Connect as")
        for role, what in ROLES.items():
            show.say(f"  {role:<14}{what}")
        show.say(
            "They have no password until you set one: recsys db psql -c '\\password recsys_reader'"
        )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments are psql's, as -c "SELECT 1"."""
    raise typer.Exit(run_psql(settings.load(), context.args))
