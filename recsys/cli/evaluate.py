"""`evaluate`: which model is best for these ratings, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli import show
from recsys.cli.options import database, model_names
from recsys.config import settings
from recsys.report import pictures

if TYPE_CHECKING:
    from recsys.evaluation.results import EvaluationReport

app = typer.Typer()

RANKING = ("ndcg", "map", "precision", "recall", "hit_rate")
BEYOND = ("coverage", "novelty")
RATING = ("rmse", "mae", "known")
COST = ("train_s", "lists_s", "peak_mb")


@app.command()
def evaluate(
    protocol: Annotated[
        str, typer.Option(help="How to divide and measure; `list` names them all.")
    ] = "random-90-10",
    models: Annotated[
        str | None, typer.Option(help="Only these, as a,b; without it those of recsys.toml.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the split.")] = 42,
    split_file: Annotated[
        Path | None,
        typer.Option(
            help="Ratings the protocol divides by, as ml-100k's u1.test for ml100k-u1 or its "
            "u.data, whose order recommenders-ml100k shuffles."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the figures into this file, .png or .svg.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Measure models on ratings held out; the figures are kept in recsys.run_metrics."""
    from recsys.evaluation.protocols import PROTOCOLS, protocol_named
    from recsys.jobs.evaluate import evaluate as evaluate_job
    from recsys.jobs.plan import plan
    from recsys.report import evaluation_plot

    if protocol == "list":
        for known in PROTOCOLS.values():
            show.out(f"{known.name:<22}{known.description}")
        return
    chosen = protocol_named(protocol)
    if plot is not None:
        pictures.check_target(plot)
    todo = plan(settings.load().refresh, model_names(models), publish=False)
    with show.reporting() as reporter, database() as opened:
        report = evaluate_job(
            opened, todo, chosen, seed=seed, split_file=split_file, reporter=reporter
        )
    if json:
        show.as_json(_document(report))
    else:
        _tables(report)
    if plot is not None:
        evaluation_plot.plot_evaluation(report, plot)
        show.say(f"Drawn: {plot}")


@dataclass(frozen=True)
class _Row:
    """One line of a table; figures are attributes by their short names."""

    rank: int
    model: str

    def with_figures(self, figures: dict[str, object]) -> _Row:
        self.__dict__.update(figures)
        return self


def _tables(report: EvaluationReport) -> None:
    k = report.protocol.k
    at_k = {name: f"{name}@{k}" for name in (*RANKING, *BEYOND)}
    title = f"{report.protocol.name}, seed {report.seed}"
    ranking, rating = (
        _rows(report, at_k),
        _rows(report, {"rmse": "rmse", "mae": "mae", "known": "known_share"}),
    )
    if ranking:
        show.rows(ranking, ("rank", "model", *RANKING), title=f"{title}: lists of {k}")
        show.rows(ranking, ("rank", "model", *BEYOND, *COST), title="What they cost and reach")
    if rating:
        show.rows(rating, ("rank", "model", *RATING, *COST), title=f"{title}: predicted ratings")
    if report.left_out:
        show.say(f"Not measured by this protocol: {', '.join(report.left_out)}")
    show.say(
        f"Run {report.run_id}: SELECT * FROM recsys.run_metrics WHERE run_id = {report.run_id}"
    )


def _rows(report: EvaluationReport, names: dict[str, str]) -> list[_Row]:
    """Return the models that have the first figure, the best first."""
    leading = next(iter(names.values()))
    measured = [one for one in report.evaluated if one.figure(leading) is not None]
    if leading == "rmse":
        measured.sort(key=lambda one: (one.figure("rmse"), one.model))
    return [
        _Row(rank, one.model).with_figures(
            {
                **{short: _written(one.figure(name)) for short, name in names.items()},
                "train_s": show.Figure(f"{one.train_seconds:.1f}"),
                "lists_s": show.Figure(f"{one.recommend_seconds:.1f}"),
                "peak_mb": one.peak_memory_mb,
            }
        )
        for rank, one in enumerate(measured, 1)
    ]


def _written(value: float | None) -> show.Figure:
    return show.Figure("-" if value is None else f"{value:.4f}")


def _document(report: EvaluationReport) -> dict[str, Any]:
    return {
        "run_id": report.run_id,
        "protocol": report.protocol.name,
        "seed": report.seed,
        "seconds": report.seconds,
        "not_measured": list(report.left_out),
        "models": [
            {
                "rank": rank,
                "model": one.model,
                "train_seconds": one.train_seconds,
                "recommend_seconds": one.recommend_seconds,
                "peak_memory_mb": one.peak_memory_mb,
                "metrics": [
                    {
                        "metric": metric.name,
                        "segment": metric.segment,
                        "value": metric.value,
                        "ci_low": metric.ci_low,
                        "ci_high": metric.ci_high,
                        "n": metric.n,
                    }
                    for metric in one.metrics
                ],
            }
            for rank, one in enumerate(report.evaluated, 1)
        ],
    }
