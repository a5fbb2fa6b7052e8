"""The page about runs: the published run, how the models compare, and the metrics over time."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence
from itertools import groupby

from fastapi import APIRouter, Response

from recsys.service.types import PublicationEntry, Run, RunFigure
from recsys.web.api.params import RecommenderDep
from recsys.web.pages.comparison import comparisons, metric_name
from recsys.web.pages.movies import names_of
from recsys.web.pages.sparkline import Sparkline, bars, sparkline
from recsys.web.pages.templating import page
from recsys.web.pages.training import trainings

RUNS = 20
FIGURES_SHOWN = 4
LEADING = ("ndcg@10", "rmse", "recall@10", "precision@10", "map@10", "hit_rate@10", "coverage@10")
"""Metrics in the order of the page; others follow."""
STAGES = {
    "read": "Read the ratings",
    "gate": "Publish gate",
    "write": "Write the results",
    "index": "Build the indexes",
}
KINDS = {"models": "Trial of some models", "users": "Refresh of changed users"}
ACTIONS = {
    "publish": "Run {} was published",
    "rollback": "Rolled back to run {}",
    "withdraw": "Nothing was published from then on",
}
MIB = 1 << 20

router = APIRouter(include_in_schema=False)


@router.get("/published")
async def published(recommender: RecommenderDep) -> Response:
    now = await recommender.published()
    (record, models, freshness), (runs, publications, figures, measured) = await gather(
        gather(
            recommender.run(now.run_id),
            recommender.models(),
            # Counting the ratings since the run would read all of them.
            recommender.freshness(count_ratings=False),
        ),
        gather(
            recommender.runs(RUNS),
            recommender.publications(RUNS),
            recommender.figures(RUNS),
            recommender.measured(),
        ),
    )
    names = names_of(models)
    lines = _sparklines(figures, now.default_model, record.edition)
    lengths = bars([stage.seconds for stage in record.stages])
    values = {
        "now": now,
        "edition": record.edition,
        "memory": now.peak_memory_mb * MIB,
        "names": names,
        "metric_name": metric_name,
        "fresh": freshness[0],
        "comparisons": comparisons(measured, names, record.edition),
        "evaluated": any(each.kind == "evaluation" for each in measured),
        "stages": [
            (STAGES.get(stage.stage, names.get(stage.stage, stage.stage)), stage, length)
            for stage, length in zip(record.stages, lengths, strict=True)
        ],
        "trainings": trainings(record.epochs),
        "runs": [(_kind(run), *_state(run), run) for run in runs],
        "publications": [(_action(each), each) for each in publications],
        "figures": lines[:FIGURES_SHOWN],
        "more_figures": lines[FIGURES_SHOWN:],
    }
    return page("published.html", values)


def _kind(run: Run) -> str:
    return KINDS.get(run.scope or "", run.kind.capitalize())


def _state(run: Run) -> tuple[str, str]:
    """Return the state of a run in words, and the class of its badge."""
    if run.published:
        return "Published", "is-good"
    if run.state == "failed":
        return "Failed", "is-bad"
    if run.refused:
        return "Refused by the gate", "is-bad"
    if run.state == "running":
        return "Running", ""
    # An evaluation has figures only, so it has no results to remove.
    removed = run.pruned_at is not None and run.kind != "evaluation"
    return ("Results removed" if removed else "Finished"), ""


def _action(entry: PublicationEntry) -> str:
    return ACTIONS.get(entry.action, f"{entry.action.capitalize()} run {{}}").format(entry.run_id)


def _sparklines(
    figures: Sequence[RunFigure], default_model: str, edition: str | None
) -> list[tuple[RunFigure, Sparkline]]:
    """Return the latest figure of each metric and model with a sparkline over its runs.

    Only for at least two runs on one data set, because others do not compare. Ordered by number of
    runs, then the default model first, then by metric.
    """
    lines = []
    own = [figure for figure in figures if figure.edition == edition]
    for _, members in groupby(own, key=lambda f: (f.protocol, f.metric, f.model)):
        history = list(members)
        if len(history) > 1:
            points = [(f.value, f.ci_low, f.ci_high) for f in history]
            lines.append((history[-1], sparkline([f.run_id for f in history], points)))

    def sort_key(each: tuple[RunFigure, Sparkline]) -> tuple[int, bool, int]:
        figure, line = each
        place = LEADING.index(figure.metric) if figure.metric in LEADING else len(LEADING)
        return -len(line.dots), figure.model != default_model, place

    return sorted(lines, key=sort_key)
