"""`recsys status`: the contents of the database and the freshness of the published run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli import output
from recsys.cli.options import Json, mark_abandoned_runs, recommender
from recsys.errors import RecsysError

if TYPE_CHECKING:
    from recsys.service.types import Freshness, Status

app = typer.Typer()


@app.command()
def status(
    check: Annotated[
        bool, typer.Option("--check", help="Fail if the published run is stale; for monitoring.")
    ] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Write freshness in the Prometheus text format.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the data set, the published run and its freshness."""
    from recsys.service.prometheus import as_prometheus

    # Counting the new ratings reads all of them, and staleness depends on the age alone.
    with recommender() as service:
        mark_abandoned_runs(service)
        fresh = service.freshness(count_ratings=not check)
        found = None if check or prometheus else service.status()
    if prometheus:
        output.write_line(as_prometheus(fresh))
    elif found is not None and json:
        output.write_json({**asdict(found), "freshness": [asdict(row) for row in fresh]})
    elif found is not None:
        output.properties("Status", _status_facts(found))
        columns = ("artefact", "run_id", "age", "ratings_since", "stale", "failures")
        output.table([_aged(row) for row in fresh], columns, title="Freshness")
    if check:
        _check(fresh)


@dataclass(frozen=True)
class _Aged:
    artefact: str
    run_id: int | None
    age: output.Figure
    ratings_since: output.Figure
    stale: str
    failures: int
    """Refreshes that failed since the last one that did not."""


def _aged(row: Freshness) -> _Aged:
    age = "-" if row.age_seconds is None else output.duration(row.age_seconds)
    return _Aged(
        row.artefact.replace("_", " "),
        row.run_id,
        output.Figure(age),
        output.count(row.ratings_since),
        "stale" if row.stale else "no",
        row.consecutive_failures,
    )


def _check(fresh: Sequence[Freshness]) -> None:
    """Raise RecsysError, exit code 1, if any artefact is stale."""
    stale = [row for row in fresh if row.stale]
    if not stale:
        output.message("Fresh.")
        return
    row = stale[0]
    if row.run_id is None:
        message = "nothing is published"
    else:
        names = ", ".join(each.artefact for each in stale)
        allowed = output.duration(row.max_age_seconds or 0)
        message = (
            f"{names} are stale: run {row.run_id} is {output.duration(row.age_seconds or 0)} old, "
        )
        message += f"the maximum age is {allowed}"
    failed = f"; the last refresh failed: {row.last_error}" if row.last_error else ""
    raise RecsysError(message + failed, hint="`recsys refresh`, or see `recsys runs list`")


def _status_facts(found: Status) -> dict[str, object]:
    run = found.published
    published = (
        f"run {run.run_id}, {output.duration(run.age_seconds)} old" if run else "nothing yet"
    )
    last = f"run {found.last_run_id}, {found.last_run_state}" if found.last_run_id else None
    facts: dict[str, object] = {
        "edition": found.edition,
        "last ingest": found.last_ingest_at,
        "ratings": f"{found.ratings:,} by {found.users:,} users",
        "movies": f"{found.movies:,}",
        "published": published,
        "last refresh": last,
    }
    if run:
        facts["default model"] = run.default_model
        facts["models"] = ", ".join(run.models)
        facts["computed from"] = f"{run.ratings_count:,} ratings"
        facts["took"] = f"{run.seconds:.1f} s, {run.peak_memory_mb:,} MiB at most"
    if found.last_run_error:
        facts["last error"] = found.last_run_error
    return facts
