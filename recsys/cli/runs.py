"""`recsys runs`: list, compare, publish and prune runs; `recsys verify`: check stored lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli import output
from recsys.cli.options import (
    LARGEST_ID,
    Count,
    Json,
    database,
    mark_abandoned_runs,
    recommender,
)
from recsys.config import settings
from recsys.errors import RunError

if TYPE_CHECKING:
    from recsys.jobs.publish import Publication
    from recsys.service.types import (
        Run,
        RunDifference,
        RunEpoch,
        RunMetric,
        RunRecord,
        RunStage,
    )

app = typer.Typer(no_args_is_help=True, help="List, compare, publish and prune runs.")


def _run_argument(name: str) -> Any:
    return typer.Argument(min=0, max=LARGEST_ID, metavar=name, help="Run id.")


@app.command("list")
def list_(n: Count = 20, json: Json = False) -> None:
    """List the latest refreshes and evaluations."""
    with recommender() as service:
        mark_abandoned_runs(service)
        found = service.runs(n)
    if json:
        output.json_rows(found)
        return
    columns = ("run", "state", "scope", "started", "took", "ratings", "size")
    caption = None if found else "there is no run yet"
    output.table([_run_line(run) for run in found], columns, title="Runs", caption=caption)


@app.command("show")
def show_(run: Annotated[int, _run_argument("RUN")], json: Json = False) -> None:
    """Show the details of a run: inputs, models, stages and metrics."""
    with recommender() as service:
        mark_abandoned_runs(service)
        found = service.run(run)
    if json:
        output.json_row(found)
        return
    output.properties(f"Run {run}", _facts(found))
    output.properties("Models", _models(found))
    stages = [_stage_line(stage) for stage in found.stages]
    output.table(stages, ("stage", "seconds", "rows", "memory"), title="Stages")
    _show_networks(found)
    _show_metrics(found)


@app.command()
def compare(
    a: Annotated[int, _run_argument("A")],
    b: Annotated[int, _run_argument("B")],
    k: Annotated[
        int, typer.Option("-k", min=1, max=1000, help="Compare the first K of each list.")
    ] = 10,
    json: Json = False,
) -> None:
    """Show how run B differs from run A."""
    with recommender() as service:
        found = service.compare_runs(a, b, k)
    if json:
        output.json_rows(found)
        return
    runs = f"a: run {a}, b: run {b}"
    _show_lists([row for row in found if row.part == "lists"], k, runs)
    _show_rows([row for row in found if row.part == "rows"], runs)
    _show_metrics_of_both([row for row in found if row.part == "metrics"], runs)


Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Reason, kept in recsys.publications."),
]


@app.command()
def publish(
    run: Annotated[int, _run_argument("RUN")],
    reason: Reason = None,
    force: Annotated[
        str | None,
        typer.Option(
            "--force", metavar="REASON", help="Publish even if the publish gate refused the run."
        ),
    ] = None,
) -> None:
    """Publish a complete run whose results are stored."""
    from recsys.jobs.publish import publish as publish_job

    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason, which the publication log keeps")
    with database() as opened:
        done = publish_job(opened, run, reason=force or reason, force=force is not None)
    output.message(_replaced(done))


@app.command()
def rollback(reason: Reason = None) -> None:
    """Publish the previously published run; repeat it to go back further."""
    from recsys.jobs.publish import rollback as rollback_job

    with database() as opened:
        done = rollback_job(opened, reason=reason)
    output.message(_replaced(done))


@app.command()
def prune(
    keep: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Runs to keep. Default: keep_runs of recsys.toml."),
    ] = None,
) -> None:
    """Drop the results of old runs; the newest runs and the published run stay."""
    from recsys.jobs.publish import prune as prune_job

    with database() as opened:
        pruned = prune_job(opened, keep or settings.load().refresh.keep_runs)
    what = f"runs {', '.join(map(str, pruned))}" if pruned else "nothing"
    output.message(f"Dropped: {what}.")


verify_app = typer.Typer()


@verify_app.command()
def verify(
    run: Annotated[
        int | None,
        typer.Argument(
            min=0, max=LARGEST_ID, metavar="RUN", help="Run id. Default: the published run."
        ),
    ] = None,
    # A list costs as much as a live query, so a sample is the default.
    users: Annotated[int, typer.Option(min=1, help="Number of users to check.")] = 100,
    every: Annotated[bool, typer.Option("--all", help="Check all users.")] = False,
    json: Json = False,
) -> None:
    """Recompute stored lists from the similarities of the run and compare them."""
    with recommender() as service:
        found = service.verify_lists(run, None if every else users)
    if json:
        output.json_rows(found)
    else:
        caption = None if found else "the run has no model whose lists follow from similarities"
        number = f"run {found[0].run_id}" if found else "the run"
        counted = ("users", "stored", "recomputed", "missing", "extra")
        columns = ("model", *counted)
        lines = [
            SimpleNamespace(
                model=row.model, **{name: output.count(getattr(row, name)) for name in counted}
            )
            for row in found
        ]
        output.table(lines, columns, title=f"Lists of {number}, recomputed", caption=caption)
    # A difference is a failure, for scripts that check the exit code.
    wrong = sum(row.missing + row.extra for row in found)
    if wrong:
        raise RunError(f"{wrong:,} rows differ from the recomputed lists", hint="`recsys refresh`")


def _replaced(done: Publication) -> str:
    before = "" if done.replaced is None else f" in place of run {done.replaced}"
    return f"Run {done.run_id} is published{before}."


# --- a run ---


@dataclass(frozen=True)
class _RunLine:
    run: output.Figure
    state: str
    scope: str
    started: str
    took: output.Figure
    ratings: output.Figure
    size: output.Figure


def _run_line(run: Run) -> _RunLine:
    return _RunLine(
        output.Figure(run.run_id),
        _state(run),
        _scope_in_short(run),
        f"{run.started_at.astimezone():%Y-%m-%d %H:%M}",
        output.Figure("-" if run.seconds is None else output.duration(run.seconds)),
        output.count(run.ratings_count),
        output.size(run.run_size),
    )


def _state(run: Run | RunRecord) -> str:
    """Return the state of a run in one word."""
    # A run that the gate refused can be published by force.
    if run.published:
        return "published"
    if run.kind == "evaluation":
        return run.kind
    if run.pruned_at and run.state == "complete":
        return "pruned"
    return "refused" if run.refused else run.state


def _scope_in_short(run: Run) -> str:
    if run.scope in ("full", "users"):
        return run.scope
    return "1 model" if len(run.models) == 1 else f"{len(run.models)} models"


def _scope(run: RunRecord) -> str | None:
    """Return the scope of a run in words: all models, some models or some users."""
    if run.scope == "users":
        return f"users: lists of users with changed ratings; other results of run {run.base_run_id}"
    return "models: a trial of some models" if run.scope == "models" else run.scope


def _facts(run: RunRecord) -> dict[str, object]:
    """Return the properties of a run that have a value."""
    facts = {
        "state": _state(run),
        "scope": _scope(run),
        "error": run.error,
        "refused": run.refused,
        "started": run.started_at,
        "took": None if run.seconds is None else f"{run.seconds:.1f} s",
        "memory": None if run.peak_memory_mb is None else f"{run.peak_memory_mb:,} MiB at most",
        "read": _read(run) if run.snapshot_at else None,
        "snapshot": run.snapshot_at,
        "input checksum": _shortened(run.snapshot_checksum),
        "output checksum": _shortened(run.output_checksum),
        "size on disk": output.size(run.run_size),
        "pruned": run.pruned_at if run.kind == "refresh" else None,
        **_publications(run),
        **_settings(run),
    }
    return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True)
class _StageLine:
    stage: str
    seconds: output.Figure
    rows: output.Figure
    memory: output.Figure


def _stage_line(stage: RunStage) -> _StageLine:
    return _StageLine(
        stage.stage,
        output.Figure(f"{stage.seconds:.1f}"),
        output.count(stage.rows),
        output.Figure(f"{stage.peak_memory_mb:,} MiB"),
    )


@dataclass(frozen=True)
class _NetworkLine:
    model: str
    epochs: output.Figure
    best: output.Figure
    figure: str
    seconds: output.Figure


def _show_networks(run: RunRecord) -> None:
    """Print the trainings of the run, if it has any."""
    lines = [
        _network_line(model, list(epochs))
        for model, epochs in groupby(run.epochs, key=lambda epoch: epoch.model)
    ]
    if lines:
        columns = ("model", "epochs", "best", "figure", "seconds")
        output.table(lines, columns, title="Networks, with the best epoch")


def _network_line(model: str, epochs: Sequence[RunEpoch]) -> _NetworkLine:
    best = next((epoch for epoch in epochs if epoch.best), None)
    return _NetworkLine(
        model,
        output.count(len(epochs)),
        output.count(None if best is None else best.epoch),
        f"{best.metric} {best.validation:.4f}" if best else f"loss {epochs[-1].loss:.4f}",
        output.Figure(f"{sum(epoch.seconds for epoch in epochs):.1f}"),
    )


def _read(run: RunRecord) -> str:
    scale = "" if run.rating_min is None else f" from {run.rating_min:g} to {run.rating_max:g}"
    return (
        f"{output.count(run.ratings_count)} ratings{scale}, {output.count(run.users_count)} users, "
        f"{output.count(run.movies_count)} movies"
    )


def _publications(run: RunRecord) -> dict[str, object]:
    return {
        f"{entry.action} {entry.publication_id}": output.cell(entry.published_at)
        + (f": {entry.reason}" if entry.reason else "")
        for entry in run.publications
    }


def _settings(run: RunRecord) -> dict[str, object]:
    aside = ("models", "derived", "terms")  # models are shown apart; terms are for SQL
    given = {name: value for name, value in run.parameters.items() if name not in aside}
    chosen = {
        "default_model": run.default_model,
        "cold_start": run.cold_start,
        "rating_model": run.rating_model,
    }
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    settings = {"seed": run.seed, **given, **chosen, "versions": versions}
    return {name.replace("_", " "): value for name, value in settings.items()}


def _models(run: RunRecord) -> dict[str, str]:
    """Return the parameters of each model, those it derived from the data in their places."""
    derived = run.parameters.get("derived", {})
    return {
        name: ", ".join(
            f"{key} {value}" for key, value in {**given, **derived.get(name, {})}.items()
        )
        or "-"
        for name, given in sorted(run.parameters.get("models", {}).items())
    }


def _show_metrics(run: RunRecord) -> None:
    shown = [metric for metric in run.metrics if metric.segment == "all"]
    columns = ("model", "metric", "value", "interval", "n")
    for protocol in dict.fromkeys(metric.protocol for metric in shown):
        of_protocol = [_metric_line(metric) for metric in shown if metric.protocol == protocol]
        output.table(of_protocol, columns, title=f"Metrics: {protocol}")
    _mention_segments(len(run.metrics) - len(shown))


@dataclass(frozen=True)
class _MetricLine:
    model: str
    metric: str
    value: output.Figure
    interval: str
    n: output.Figure


def _metric_line(metric: RunMetric) -> _MetricLine:
    known = metric.ci_low is not None and metric.ci_high is not None
    interval = f"{metric.ci_low:.4f} to {metric.ci_high:.4f}" if known else "-"
    value = _figure(metric.value)
    return _MetricLine(metric.model, metric.metric, value, interval, output.count(metric.n))


def _mention_segments(more: int) -> None:
    if more:
        output.message(f"Figures by segment are omitted ({more:,}); --json shows them.")


# --- two runs ---


@dataclass(frozen=True)
class _ListsLine:
    model: str
    users: output.Figure
    overlap: output.Figure
    rbo: output.Figure
    changed: output.Figure
    gained: output.Figure
    lost: output.Figure


@dataclass(frozen=True)
class _BothLine:
    """A figure of two runs; each table shows some of the fields."""

    model: str
    metric: str
    a: output.Figure
    b: output.Figure
    change: output.Figure

    @property
    def table(self) -> str:
        return self.metric


def _show_lists(rows: Sequence[RunDifference], k: int, runs: str) -> None:
    lines = [
        _lists_line(model, {row.metric: row for row in rows if row.model == model}, k)
        for model in dict.fromkeys(row.model for row in rows)
    ]
    columns = ("model", "users", "overlap", "rbo", "changed", "gained", "lost")
    caption = None if lines else "no model has lists in both"
    output.table(lines, columns, title=f"First {k} of the lists, {runs}", caption=caption)


def _lists_line(model: str, found: dict[str, RunDifference], k: int) -> _ListsLine:
    changed = found["users_changed"]
    return _ListsLine(
        model,
        output.count(changed.n),
        _figure(found[f"overlap@{k}"].value),
        _figure(found[f"rbo@{k}"].value),
        output.Figure(f"{changed.value:,.0f} ({found['users_changed_share'].value:.0%})"),
        output.count(found["users_gained"].value),
        output.count(found["users_lost"].value),
    )


def _show_rows(rows: Sequence[RunDifference], runs: str) -> None:
    lines = [
        _BothLine(
            row.model,
            row.metric,
            output.count(row.value_a),
            output.count(row.value_b),
            output.Figure(f"{row.value:+,.0f}"),
        )
        for row in rows
    ]
    output.table(lines, ("model", "table", "a", "b", "change"), title=f"Rows, {runs}")


def _show_metrics_of_both(rows: Sequence[RunDifference], runs: str) -> None:
    shown = [row for row in rows if row.segment == "all"]
    for protocol in dict.fromkeys(row.protocol for row in shown):
        lines = [
            _BothLine(
                row.model,
                row.metric,
                _figure(row.value_a),
                _figure(row.value_b),
                output.Figure(f"{row.value:+,.4f}"),
            )
            for row in shown
            if row.protocol == protocol
        ]
        columns = ("model", "metric", "a", "b", "change")
        output.table(lines, columns, title=f"Metrics: {protocol}, {runs}")
    _mention_segments(len(rows) - len(shown))


# --- how figures are written ---


def _figure(value: float | None) -> output.Figure:
    return output.Figure("-" if value is None else f"{value:,.4f}")


def _shortened(checksum: str | None) -> str | None:
    return f"{checksum[:16]}..." if checksum else None
