"""`recsys tune`: search the parameters of a model, or of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli import output, tuned_models
from recsys.cli.options import Json, database
from recsys.config import settings

if TYPE_CHECKING:
    from recsys.evaluation.protocols import Protocol
    from recsys.jobs.trials import Trial
    from recsys.jobs.tune import TuneReport

app = typer.Typer()


@app.command()
def tune(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Model to tune, unless --all.")
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Tune every refreshed model, and compare the charts for new users."
        ),
    ] = False,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Protocol whose training part is split again for the search. Default: "
            "random-90-10; with --all temporal, if the ratings have times."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Metric to optimize: ndcg, ndcg_liked, recall, ... or rmse, mae."),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Number of fits of a model; the first uses the configured parameters.",
        ),
    ] = 20,
    minutes: Annotated[
        float, typer.Option(min=0, max=100_000, help="With --all: time that the models share.")
    ] = 30,
    # The inner splits use seed + 1 and seed + 2, which must be in range too.
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 3, help="Seed of the splits and the search.")
    ] = 42,
    split_file: Annotated[
        Path | None, typer.Option(help="As for `evaluate`; its test ratings are not used.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write better parameters to recsys.toml.")
    ] = False,
    json: Json = False,
) -> None:
    """Search better parameters for a model or for all, without using the test ratings."""
    from recsys.evaluation.protocols import protocol_named

    if every == (model is not None):
        raise typer.BadParameter("name either a model or --all")
    current = settings.load()
    divided = protocol_named(protocol) if protocol else None
    options: dict[str, Any] = {
        "metric": metric, "trials": trials, "seed": seed, "split_file": split_file,
    }  # fmt: skip
    if model is None:
        interrupted = _tune_all(current, divided, minutes, options, write=write, json=json)
    else:
        chosen = divided or protocol_named("random-90-10")
        interrupted = _tune_one(current, model, chosen, options, write=write, json=json)
    # The results so far are shown, but a script sees that the search is not complete.
    if interrupted:
        raise typer.Exit(130)


def _tune_all(
    current: settings.Settings,
    protocol: Protocol | None,
    minutes: float,
    options: Mapping[str, Any],
    *,
    write: bool,
    json: bool,
) -> bool:
    """Tune all models, show the results, and return whether the search was interrupted."""
    from recsys.jobs.tune_all import tune_all

    with output.reporting() as reporter, database() as opened:
        report = tune_all(
            opened, current.refresh, protocol, minutes=minutes, reporter=reporter, **options
        )
    if json:
        output.write_json(tuned_models.document(report))
    else:
        tuned_models.show(report)
    if write:
        tuned_models.write(report, current)
    return report.interrupted


def _tune_one(
    current: settings.Settings,
    model: str,
    protocol: Protocol,
    options: Mapping[str, Any],
    *,
    write: bool,
    json: bool,
) -> bool:
    """Tune a model, show the results, and return whether the search was interrupted."""
    from recsys.jobs.plan import plan
    from recsys.jobs.tune import tune

    chosen = plan(current.refresh, [model], publish=False)
    with output.reporting() as reporter, database() as opened:
        report = tune(opened, chosen, model, protocol, reporter=reporter, **options)
    if json:
        output.write_json(_document(report))
    else:
        _tables(report)
    if write:
        _write(report, current)
    return report.interrupted


@dataclass(frozen=True)
class _Line:
    rank: int
    trial: str
    parameters: str
    figure: output.Figure
    train_s: output.Figure


def _tables(report: TuneReport) -> None:
    from recsys.domain import lower_is_better  # imports SciPy, which other commands do not need

    lines = [_line(rank, trial) for rank, trial in enumerate(report.trials, 1)]
    title = f"{report.model} by {report.metric}, inside the train part of {report.protocol}"
    unit = "ratings" if lower_is_better(report.metric) else "users"
    columns = ("rank", "trial", "parameters", "figure", "train_s")
    output.table(lines, columns, title=title, caption=f"on {report.n:,} {unit}")
    for trial in report.trials:
        if trial.error:
            output.message(f"trial {trial.number} failed: {trial.error}")
    output.message(_verdict(report))
    if report.best.number > 1:
        from recsys.jobs.tune import settings_lines

        for line in settings_lines(f"models.{report.model}", report.best.parameters):
            output.write_line(line)


def _line(rank: int, trial: Trial) -> _Line:
    written = ", ".join(f"{name} {_value(value)}" for name, value in trial.parameters.items())
    figure = "failed" if trial.value is None else f"{trial.value:.4f}"
    name = "configured" if trial.number == 1 else str(trial.number)
    return _Line(
        rank, name, written, output.Figure(figure), output.Figure(f"{trial.train_seconds:.1f}")
    )


def _value(value: Any) -> str:
    return " ".join(map(_value, value)) if isinstance(value, tuple) else str(value)


def _verdict(report: TuneReport) -> str:
    cut = "Interrupted; of the trials so far: " if report.interrupted else ""
    if report.gain is None:
        return f"{cut}No trial is better than the configured parameters."
    # The interval is of a mean over users, so it is taken before the root of RMSE.
    of = "mean squared error" if report.metric == "rmse" else report.metric
    sure = "" if report.gain.low > 0 else ": within the noise"
    return (
        f"{cut}Trial {report.best.number} is the best; its gain in {of} over the configured "
        f"parameters lies in {report.gain.low:+.4f} to {report.gain.high:+.4f} (95 %){sure}."
    )


def _write(report: TuneReport, current: settings.Settings) -> None:
    if report.best.number == 1:
        output.message("recsys.toml stays as it is.")
        return
    path = settings.write_settings(current, f"models.{report.model}", report.best.parameters)
    output.message(f"Written to {path}: the next refresh uses it.")


def _document(report: TuneReport) -> dict[str, Any]:
    return {
        "model": report.model,
        "protocol": report.protocol,
        "metric": report.metric,
        "n": report.n,
        "interrupted": report.interrupted,
        "gain": None if report.gain is None else list(report.gain),
        "trials": [
            {
                "trial": trial.number,
                "configured": trial.number == 1,
                "parameters": trial.parameters,
                "value": trial.value,
                "train_seconds": round(trial.train_seconds, 3),
                "error": trial.error,
            }
            for trial in report.trials
        ],
    }
