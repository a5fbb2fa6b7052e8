"""The page about runs: what is published, how fresh and how good, how it came about."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Sequence
from itertools import groupby

from fastapi import APIRouter, Request, Response

from recsys.service.run_types import RunFigure
from recsys.web.api.params import asked
from recsys.web.pages.sparkline import Sparkline, bars, sparkline
from recsys.web.pages.templating import page

RUNS = 20
CHARTS_AT_FIRST = 8
TELLING = ("ndcg@10", "rmse", "recall@10", "precision@10", "map@10", "hit_rate@10", "coverage@10")
"""Metrics that are shown before others."""

router = APIRouter(include_in_schema=False)


@router.get("/published")
async def published(request: Request) -> Response:
    recommender = asked(request)
    now = await recommender.published()
    record, freshness, runs, publications, figures = await gather(
        recommender.run(now.run_id),
        # Counting ratings would read them all.
        recommender.freshness(count_ratings=False),
        recommender.runs(RUNS),
        recommender.publications(RUNS),
        recommender.figures(RUNS),
    )
    charts = _charts(figures, now.default_model)
    lengths = bars([stage.seconds for stage in record.stages])
    values = {
        "now": now,
        "freshness": freshness,
        "stages": list(zip(record.stages, lengths, strict=True)),
        "runs": runs,
        "publications": publications,
        "charts": charts[:CHARTS_AT_FIRST],
        "more_charts": charts[CHARTS_AT_FIRST:],
    }
    return page("published.html", values)


def _charts(figures: Sequence[RunFigure], default_model: str) -> list[tuple[RunFigure, Sparkline]]:
    """Return each figure as of its last run, drawn over the runs.

    Those of most runs come first, then those of the default model, then what tells most.
    """
    drawn = []
    for _, members in groupby(figures, key=lambda f: (f.protocol, f.metric, f.model)):
        one = list(members)
        points = [(f.value, f.ci_low, f.ci_high) for f in one]
        drawn.append((one[-1], sparkline([f.run_id for f in one], points)))

    def order(each: tuple[RunFigure, Sparkline]) -> tuple[int, bool, int]:
        figure, line = each
        place = TELLING.index(figure.metric) if figure.metric in TELLING else len(TELLING)
        return -len(line.dots), figure.model != default_model, place

    return sorted(drawn, key=order)
