"""The page about runs: the published run, its freshness and stages, and metrics over time."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence
from itertools import groupby

from fastapi import APIRouter, Response

from recsys.service.types import RunFigure
from recsys.web.api.params import RecommenderDep
from recsys.web.pages.movies import names_of
from recsys.web.pages.sparkline import Sparkline, bars, sparkline
from recsys.web.pages.templating import page

RUNS = 20
FIGURES_SHOWN = 8
LEADING = ("ndcg@10", "rmse", "recall@10", "precision@10", "map@10", "hit_rate@10", "coverage@10")
"""Metrics in the order of the page; others follow."""

router = APIRouter(include_in_schema=False)


@router.get("/published")
async def published(recommender: RecommenderDep) -> Response:
    now = await recommender.published()
    record, models, freshness, runs, publications, figures = await gather(
        recommender.run(now.run_id),
        recommender.models(),
        # Counting the ratings since the run would read all of them.
        recommender.freshness(count_ratings=False),
        recommender.runs(RUNS),
        recommender.publications(RUNS),
        recommender.figures(RUNS),
    )
    lines = _sparklines(figures, now.default_model)
    lengths = bars([stage.seconds for stage in record.stages])
    values = {
        "now": now,
        "names": names_of(models),
        "freshness": freshness,
        "stages": list(zip(record.stages, lengths, strict=True)),
        "runs": runs,
        "publications": publications,
        "figures": lines[:FIGURES_SHOWN],
        "more_figures": lines[FIGURES_SHOWN:],
    }
    return page("published.html", values)


def _sparklines(
    figures: Sequence[RunFigure], default_model: str
) -> list[tuple[RunFigure, Sparkline]]:
    """Return the latest figure of each metric and model with a sparkline over its runs.

    Ordered by number of runs, then the default model first, then by metric.
    """
    lines = []
    for _, members in groupby(figures, key=lambda f: (f.protocol, f.metric, f.model)):
        history = list(members)
        points = [(f.value, f.ci_low, f.ci_high) for f in history]
        lines.append((history[-1], sparkline([f.run_id for f in history], points)))

    def sort_key(each: tuple[RunFigure, Sparkline]) -> tuple[int, bool, int]:
        figure, line = each
        place = LEADING.index(figure.metric) if figure.metric in LEADING else len(LEADING)
        return -len(line.dots), figure.model != default_model, place

    return sorted(lines, key=sort_key)
