"""Freshness of the published results in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsys.service.types import Freshness

GAUGES = {
    "recsys_stale": (
        "1 if the results are missing or older than their maximum age",
        "stale",
    ),
    "recsys_age_seconds": ("Seconds since the published run read the ratings", "age_seconds"),
    "recsys_max_age_seconds": ("Age from which the results are stale", "max_age_seconds"),
    "recsys_published_run": ("Number of the published run", "run_id"),
    "recsys_ratings_since_run": ("Ratings that are newer than the published run", "ratings_since"),
    "recsys_consecutive_failures": (
        "Refreshes since the last publication that failed or were refused",
        "consecutive_failures",
    ),
}
"""Help text of each gauge and the field that it shows, with one sample per kind of result."""


# Not by prometheus_client: `recsys status --prometheus` works without the extra `web`.
def as_prometheus(fresh: Sequence[Freshness]) -> str:
    """Return the gauges; unknown values have no sample."""
    return "\n".join(_lines(fresh))


def _lines(fresh: Sequence[Freshness]) -> Iterator[str]:
    for name, (text, field) in GAUGES.items():
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} gauge"
        for row in fresh:
            value = getattr(row, field)
            # The format has no null: a missing sample means unknown.
            if value is not None:
                # 17 significant digits keep every float64 exact.
                yield f'{name}{{artefact="{row.artefact}"}} {float(value):.17g}'
    attempts = [row.last_attempt_at for row in fresh if row.last_attempt_at is not None]
    if attempts:
        yield "# HELP recsys_last_attempt_timestamp_seconds Start of the last refresh"
        yield "# TYPE recsys_last_attempt_timestamp_seconds gauge"
        yield f"recsys_last_attempt_timestamp_seconds {max(attempts).timestamp():.3f}"
