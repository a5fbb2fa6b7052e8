"""The results of `recsys tune --all`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.cli import output
from recsys.config import settings

if TYPE_CHECKING:
    from recsys.jobs.tune_all import TuneAllReport, Tuned


@dataclass(frozen=True)
class _Line:
    model: str
    metric: str
    configured: output.Figure
    best: output.Figure
    gain: output.Figure
    trials: output.Figure


def show(report: TuneAllReport) -> None:
    """Print one line per model, and the better parameters as lines of recsys.toml."""
    from recsys.jobs.tune import settings_lines

    columns = ("model", "metric", "configured", "best", "gain", "trials")
    output.table(
        [_line(one) for one in report.tuned],
        columns,
        title=f"All models, inside the train part of {report.protocol}",
        caption="gain: 95 % interval, of rmse in the mean squared error; chart: for new users",
    )
    for one in report.tuned:
        if one.error:
            output.message(f"{one.name} failed: {one.error}")
    if report.left_out:
        output.message(f"Not measured by this protocol: {', '.join(report.left_out)}")
    output.message(_verdict(report))
    for one in _better(report):
        for line in settings_lines(one.table, one.values or {}):
            output.write_line(line)


def write(report: TuneAllReport, current: settings.Settings) -> None:
    """Write the values whose gain is above the noise to recsys.toml."""
    found = _better(report)
    for one in found:
        path = settings.write_settings(current, one.table, one.values or {})
    if found:
        output.message(f"Written to {path}: the next refresh uses it.")
    else:
        output.message("recsys.toml stays as it is.")


def document(report: TuneAllReport) -> dict[str, Any]:
    """Return the report for JSON."""
    return {
        "protocol": report.protocol,
        "interrupted": report.interrupted,
        "not_measured": list(report.left_out),
        "tuned": [
            {
                "name": one.name,
                "metric": one.metric,
                "trials": one.trials,
                "values": one.values,
                "configured": one.configured,
                "best": one.best,
                "gain": None if one.gain is None else list(one.gain),
                "better": one.better,
                "n": one.n,
                "error": one.error,
            }
            for one in report.tuned
        ],
    }


def _better(report: TuneAllReport) -> list[Tuned]:
    return [one for one in report.tuned if one.better]


def _line(one: Tuned) -> _Line:
    name = one.name
    if name == "cold_start" and one.values:
        name = f"chart: {one.values['cold_start']}"
    gain = "-" if one.gain is None else f"{one.gain.low:+.4f} to {one.gain.high:+.4f}"
    return _Line(
        name,
        one.metric,
        _figure(one.configured),
        _figure(one.best),
        output.Figure(gain),
        output.Figure(one.trials),
    )


def _figure(value: float | None) -> output.Figure:
    return output.Figure("-" if value is None else f"{value:.4f}")


def _verdict(report: TuneAllReport) -> str:
    cut = "Interrupted; of the models so far: " if report.interrupted else ""
    names = ", ".join(one.name for one in _better(report))
    if not names:
        return f"{cut}No gain over the configured parameters is above the noise."
    return f"{cut}The gain is above the noise for {names}."
