"""`recsys evaluate`: measure models on held-out ratings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli import output
from recsys.cli.options import Engine, Json, database, model_names, place_of
from recsys.config import settings
from recsys.report import pictures

if TYPE_CHECKING:
    from recsys.evaluation.results import EvaluationReport

app = typer.Typer()

RANKING = ("ndcg", "map", "precision", "recall", "hit_rate")
GRADED = ("ndcg_liked", "ndcg_gain", "disliked_share")
BEYOND = ("coverage", "novelty")
RATING = ("rmse", "mae", "known")
COST = ("train_s", "lists_s", "peak_mb")


@app.command()
def evaluate(
    protocol: Annotated[
        str, typer.Option(help="Evaluation protocol; `list` prints all of them.")
    ] = "random-90-10",
    models: Annotated[
        str | None, typer.Option(help="Models, as a,b. Default: those of recsys.toml.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the split.")] = 42,
    split_file: Annotated[
        Path | None,
        typer.Option(
            help="File that defines the split: ml-100k's u1.test for ml100k-u1, its u.data for "
            "recommenders-ml100k."
        ),
    ] = None,
    before_last: Annotated[
        bool,
        typer.Option(
            "--before-last",
            help="With leave-last-out: leave the last ratings out and test those before them, to "
            "choose parameters.",
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Also plot the figures to this file, .png or .svg.")
    ] = None,
    json: Json = False,
    engine: Engine = None,
) -> None:
    """Measure models on held-out ratings.

    The view recsys.run_metrics keeps the figures.
    """
    from recsys.evaluation import protocols
    from recsys.jobs.evaluate import evaluate as evaluate_job
    from recsys.jobs.plan import plan
    from recsys.report import evaluation_plot

    if protocol == "list":
        for known in protocols.PROTOCOLS.values():
            output.write_line(f"{known.name:<22}{known.description}")
        return
    chosen = protocols.protocol_named(protocol)
    if before_last:
        chosen = protocols.before_last(chosen)
    # An evaluation takes minutes, so an unwritable path is reported before it.
    if plot is not None:
        pictures.check_target(plot)
    current = settings.load()
    todo = plan(current.refresh, model_names(models), publish=False)
    place = place_of(current, engine)
    with output.reporting() as reporter, database() as opened:
        report = evaluate_job(
            opened,
            todo,
            chosen,
            seed=seed,
            split_file=split_file,
            reporter=reporter,
            place=place,
        )
    if json:
        output.write_json(_document(report))
    else:
        _tables(report)
    if plot is not None:
        evaluation_plot.plot_evaluation(report, plot, todo.default_model)
        output.message(f"Written: {plot}")


@dataclass(frozen=True)
class _Row:
    """A table row; its figures are attributes with short names."""

    rank: int
    model: str

    def with_figures(self, figures: dict[str, object]) -> _Row:
        # The columns depend on the protocol, and a frozen dataclass refuses assignment.
        self.__dict__.update(figures)
        return self


def _tables(report: EvaluationReport) -> None:
    k = report.protocol.k
    at_k = {name: f"{name}@{k}" for name in (*RANKING, *GRADED, *BEYOND)}
    title = f"{report.protocol.name}, seed {report.seed}"
    ranking, rating = (
        _rows(report, at_k),
        _rows(report, {"rmse": "rmse", "mae": "mae", "known": "known_share"}),
    )
    if ranking:
        output.table(ranking, ("rank", "model", *RANKING), title=f"{title}: lists of {k}")
        output.table(ranking, ("rank", "model", *GRADED), title="By the ratings of the hits")
        output.table(
            ranking, ("rank", "model", *BEYOND, *COST), title="Beyond-accuracy metrics and cost"
        )
    if rating:
        output.table(rating, ("rank", "model", *RATING, *COST), title=f"{title}: predicted ratings")
    if report.left_out:
        output.message(f"Not measured by this protocol: {', '.join(report.left_out)}")
    output.message(
        f"Run {report.run_id}: SELECT * FROM recsys.run_metrics WHERE run_id = {report.run_id}"
    )


def _rows(report: EvaluationReport, names: dict[str, str]) -> list[_Row]:
    """Return a row for each model that has the first figure, best first."""
    leading = next(iter(names.values()))
    measured = [one for one in report.evaluated if one.figure(leading) is not None]
    # A protocol that measures lists orders the report by nDCG, not by errors.
    if leading == "rmse":
        measured.sort(key=lambda one: (one.figure("rmse"), one.model))
    return [
        _Row(rank, one.model).with_figures(
            {
                **{short: _written(one.figure(name)) for short, name in names.items()},
                "train_s": output.Figure(f"{one.train_seconds:.1f}"),
                "lists_s": output.Figure(f"{one.recommend_seconds:.1f}"),
                "peak_mb": one.peak_memory_mb,
            }
        )
        for rank, one in enumerate(measured, 1)
    ]


def _written(value: float | None) -> output.Figure:
    return output.Figure("-" if value is None else f"{value:.4f}")


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
