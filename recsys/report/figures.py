"""The plots of a report, each with a description in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from recsys.domain import lower_is_better
from recsys.report.findings import (
    CountBin,
    Findings,
    Genre,
    Measured,
    concentration,
    gini,
    top_share,
    without_strays,
)
from recsys.report.pictures import ACCENT, BAR, STYLE, WHISKER, bars, dots
from recsys.service.types import RunEpoch

WIDTH_IN, HEIGHT_IN = 4.8, 3.0
"""Small, so that text stays readable on a phone."""
BAR_IN, REST_IN = 0.26, 0.75
GENRES, VALUES, TIME_LABELS, DECADE_LABELS, LABEL = 20, 24, 6, 8, 26
"""Limits: genres in a plot, bars of rating values, dates and decades on an axis, characters."""
STEPS = (1, 2, 5, 10)
LEADING = {
    "ndcg@10": "nDCG@10, more is better",
    "ndcg_liked@10": "nDCG@10 of liked movies, more is better",
    "rmse": "RMSE, less is better",
}


@dataclass(frozen=True)
class Plot:
    """A figure and its alternative text."""

    figure: Figure
    alt: str


def short(name: str) -> str:
    """Shorten a name to one line of printable characters that fits beside an axis."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= LABEL else line[: LABEL - 1] + "…"


def draw(findings: Findings) -> dict[str, Plot]:
    """Draw every plot that has data, by name."""
    plots: dict[str, Plot] = {}
    if findings.ratings_count:
        plots["ratings"] = _ratings(findings)
        plots["long_tail"] = _long_tail(findings)
        plots["people"] = _people(findings)
    if findings.periods:
        plots["time"] = _time(findings)
    if any(genre.ratings for genre in findings.genres):
        plots["genres"] = _genres(findings)
        if not findings.state.implicit:
            plots["genre_means"] = _genre_means(findings)
    if findings.decades:
        plots["decades"] = _decades(findings)
    for protocol, metric in leading_metrics(findings.measured):
        plots[plot_name(protocol, metric)] = _models(findings, protocol, metric)
    if findings.reach:
        plots["coverage"] = _coverage(findings)
    for model, epochs in groupby(findings.epochs, key=lambda epoch: epoch.model):
        plots[training_plot(model)] = _training(model, list(epochs))
    return plots


def leading_metrics(measured: Sequence[Measured]) -> list[tuple[str, str]]:
    """Return pairs of protocol and metric that have a plot."""
    found = {(m.protocol, m.metric): None for m in measured}
    protocols = dict.fromkeys(m.protocol for m in measured)
    return [(p, metric) for p in protocols for metric in LEADING if (p, metric) in found]


def ranked(measured: Sequence[Measured], protocol: str, metric: str) -> list[Measured]:
    """Return the models measured by a metric, best first."""
    sign = 1 if lower_is_better(metric) else -1
    found = [m for m in measured if (m.protocol, m.metric) == (protocol, metric)]
    return sorted(found, key=lambda m: (sign * m.value, m.model))


def plot_name(protocol: str, metric: str) -> str:
    """Return the name of the plot of a metric, usable as a file name."""
    return re.sub(r"[^a-z0-9]+", "_", f"models {protocol} {metric.partition('@')[0]}")


def training_plot(model: str) -> str:
    """Return the name of the plot of the training of a model."""
    return f"training_{model}"


def _drawn(
    title: str, alt: str, draw_on: Callable[[Axes], None], height: float = HEIGHT_IN
) -> Plot:
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        axes = figure.subplots()
        draw_on(axes)
        axes.set_title(title)
    return Plot(figure, alt)


def _ratings(findings: Findings) -> Plot:
    values = np.array([value for value, _ in findings.by_value])
    counts = np.array([count for _, count in findings.by_value])

    def draw_on(axes: Axes) -> None:
        if len(values) > VALUES:
            axes.hist(values, bins=VALUES, weights=counts, color=BAR, rwidth=0.9)
        else:
            # Bars are as wide as the step of the rating scale.
            step = float(np.diff(values).min()) if len(values) > 1 else 1.0
            axes.bar(values, counts, width=0.8 * step, color=BAR)
            axes.set_xticks(values, [f"{value:g}" for value in values])
        _count_upwards(axes, _rows(findings))
        axes.set_xlabel("times" if findings.state.implicit else "rating")

    what = "number of times" if findings.state.implicit else "rating"
    alt = (
        f"Bar chart of how often each {what} was given, from {values[0]:g} to {values[-1]:g}; "
        f"most often {values[counts.argmax()]:g}, {counts.max():,} times."
    )
    title = "How often people come back" if findings.state.implicit else "How high people rate"
    return _drawn(title, alt, draw_on)


def _rows(findings: Findings) -> str:
    return "interactions" if findings.state.implicit else "ratings"


def _time(findings: Findings) -> Plot:
    periods, unit = findings.periods, "year" if findings.yearly else "month"
    labels = [f"{p.start:%Y}" if findings.yearly else f"{p.start:%Y-%m}" for p in periods]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        above.bar(range(len(periods)), [p.ratings for p in periods], width=0.8, color=BAR)
        above.set_title(f"{_rows(findings).capitalize()} and their mean by {unit}")
        _count_upwards(above, _rows(findings))
        # NaN interrupts the line at periods without ratings.
        means = [np.nan if p.mean is None else p.mean for p in periods]
        below.plot(range(len(periods)), means, color=ACCENT, marker="o", markersize=3)
        below.grid(axis="y")
        below.set_ylabel("mean times" if findings.state.implicit else "mean")
        # The step is rounded up, so that at most TIME_LABELS dates are shown.
        shown = range(0, len(periods), -(-len(periods) // TIME_LABELS))
        below.set_xticks(shown, [labels[place] for place in shown])
        for axes in (above, below):
            axes.tick_params(length=0)
        figure.align_ylabels()
    most = max(range(len(periods)), key=lambda place: periods[place].ratings)
    alt = (
        f"{_rows(findings).capitalize()} and their mean by {unit}, {labels[0]} to {labels[-1]}; "
        f"most in {labels[most]}, {periods[most].ratings:,}."
    )
    return Plot(figure, alt)


def _rated_genres(findings: Findings) -> list[Genre]:
    return [genre for genre in findings.genres if genre.ratings][:GENRES]


def _genres(findings: Findings) -> Plot:
    shown = _rated_genres(findings)

    def draw_on(axes: Axes) -> None:
        short_count = EngFormatter(places=1, sep="")
        counts = [genre.ratings for genre in shown]
        labels = [short_count(count) if count >= 1000 else str(count) for count in counts]
        bars(axes, [short(g.genre) for g in shown], counts, labels)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel(_rows(findings))

    first = shown[0]
    alt = (
        f"Bar chart of the {_rows(findings)} of {len(shown)} genres; "
        f"most for {short(first.genre)}: {first.ratings:,}."
    )
    return _drawn(
        f"Genres by {_rows(findings)}", alt, draw_on, REST_IN + 0.25 + BAR_IN * len(shown)
    )


def _genre_means(findings: Findings) -> Plot:
    """Draw the means in the order of the bars, so that rows of both plots agree."""
    shown = _rated_genres(findings)
    means = [genre.mean or 0.0 for genre in shown]
    overall = findings.mean or 0.0

    def draw_on(axes: Axes) -> None:
        axes.axvline(overall, color=WHISKER, linestyle=":", linewidth=1)
        dots(axes, [short(g.genre) for g in shown], means, [f"{mean:.2f}" for mean in means])
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.set_xlabel(f"mean rating; dotted: the mean of all, {overall:.2f}")

    best, worst = (short(shown[int(place)].genre) for place in (np.argmax(means), np.argmin(means)))
    alt = (
        f"Mean rating of {len(shown)} genres; highest for {best}, {max(means):.2f}, "
        f"lowest for {worst}, {min(means):.2f}; mean of all ratings {overall:.2f}."
    )
    return _drawn("Genres by mean rating", alt, draw_on, REST_IN + 0.25 + BAR_IN * len(shown))


def _decades(findings: Findings) -> Plot:
    counts = {each.decade: each.movies for each in findings.decades}
    known = without_strays(counts, least_gap=30)
    shown = range(known[0], known[-1] + 1, 10)

    def draw_on(axes: Axes) -> None:
        axes.bar(range(len(shown)), [counts.get(each, 0) for each in shown], width=0.8, color=BAR)
        step = -(-len(shown) // DECADE_LABELS)
        places = range((len(shown) - 1) % step, len(shown), step)
        axes.set_xticks(places, [f"{shown[place]}s" for place in places])
        _count_upwards(axes, "movies")

    most = max(known, key=lambda each: counts[each])
    alt = (
        f"Bar chart of the movies by decade of release, {shown[0]}s to {shown[-1]}s; "
        f"most from the {most}s: {counts[most]:,}."
    )
    return _drawn("Movies by decade of release", alt, draw_on)


def _long_tail(findings: Findings) -> Plot:
    members, ratings = concentration(findings.movies)
    fifth = top_share(findings.movies, 0.2)

    def draw_on(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=WHISKER, linestyle=":", linewidth=1)
        axes.fill_between(members, ratings, color=BAR, alpha=0.2, linewidth=0)
        axes.plot(members, ratings, color=BAR)
        axes.plot([0.2, 0.2, 0], [0, fifth, fifth], color=ACCENT, linewidth=1)
        axes.plot([0.2], [fifth], color=ACCENT, marker="o")
        words = f"20 % of the movies have\n{100 * fifth:.1f} % of the ratings"
        axes.text(0.97, 0.06, words, ha="right", va="bottom", fontsize=9)
        _percent_axes(axes)
        axes.set_xlabel("movies, the most rated first")
        axes.set_ylabel(_rows(findings))

    alt = (
        f"Share of the ratings that the most rated movies have: 20 % of the movies have "
        f"{100 * fifth:.1f} %; Gini coefficient {gini(findings.movies):.3f}."
    )
    return _drawn("The long tail", alt, draw_on)


def _percent_axes(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.grid()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.tick_params(length=0)


def _people(findings: Findings) -> Plot:
    edges, counts = activity(findings.people)

    def draw_on(axes: Axes) -> None:
        axes.bar(range(len(counts)), counts, width=0.85, color=BAR)
        labels = [str(low) for low in edges[:-1]]
        axes.set_xticks(range(len(counts)), labels, rotation=30 if len(counts) > 10 else 0)
        _count_upwards(axes, "people")
        axes.set_xlabel(f"{_rows(findings)} per person, in bins that double")

    most = int(np.argmax(counts))
    alt = (
        f"Bar chart of people by how much they have rated; the most people, {counts[most]:,}, "
        f"have given {_bin(edges[most], edges[most + 1])} ratings."
    )
    return _drawn("How much people rate", alt, draw_on)


def activity(people: Sequence[CountBin]) -> tuple[list[int], list[int]]:
    """Count people in bins of ratings given; each bin edge is twice the one before."""
    most = max(group.ratings for group in people)
    least = min(group.ratings for group in people)
    edges = [2**power for power in range(least.bit_length() - 1, most.bit_length() + 1)]
    counts = [0] * (len(edges) - 1)
    # A number of b bits lies in the bin from 2**(b - 1).
    for group in people:
        counts[group.ratings.bit_length() - least.bit_length()] += group.members
    return edges, counts


def _bin(low: int, high: int) -> str:
    return str(low) if high - low == 1 else f"{low}–{high - 1}"


def _count_upwards(axes: Axes, unit: str) -> None:
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS, integer=True))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(length=0)
    axes.set_ylabel(unit)


def _models(findings: Findings, protocol: str, metric: str) -> Plot:
    found = ranked(findings.measured, protocol, metric)
    default = short(findings.default_model or "")

    def draw_on(axes: Axes) -> None:
        values, intervals = [m.value for m in found], [(m.ci_low, m.ci_high) for m in found]
        names = [short(m.model) for m in found]
        dots(axes, names, values, [f"{value:.4f}" for value in values], intervals, default)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))

    best = found[0]
    alt = (
        f"The {metric} of {len(found)} models with 95 % intervals; "
        f"best {best.model}: {best.value:.4f}."
    )
    title = f"{protocol}: {LEADING[metric]}"
    return _drawn(title, alt, draw_on, REST_IN + BAR_IN * len(found))


def _training(model: str, epochs: Sequence[RunEpoch]) -> Plot:
    """Draw the loss and the validation figure by epoch, and mark the best epoch."""
    best = next((epoch for epoch in epochs if epoch.best), None)
    curves = {"loss": [epoch.loss for epoch in epochs]}
    if best is not None:
        measured = (epoch.validation for epoch in epochs)
        curves[str(best.metric)] = [np.nan if each is None else each for each in measured]
    numbers = [epoch.epoch for epoch in epochs]
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        rows = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, values) in zip(rows, curves.items(), strict=True):
            # The line of a single epoch could not be seen.
            axes.plot(numbers, values, color=BAR, marker="o" if len(numbers) == 1 else None)
            if best is not None:
                at = numbers.index(best.epoch)
                axes.plot([best.epoch], [values[at]], color=ACCENT, marker="o", markersize=6)
                axes.axvline(best.epoch, color=ACCENT, linewidth=1, alpha=0.55)
            axes.grid(axis="y")
            axes.set_ylabel(name)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
            axes.tick_params(length=0)
        rows[-1].xaxis.set_major_locator(MaxNLocator(6, steps=STEPS, integer=True, min_n_ticks=1))
        rows[-1].set_xlabel("epoch")
        rows[0].set_title(f"{short(model)}: training")
        figure.align_ylabels()
    ends = f"from {epochs[0].loss:.4f} to {epochs[-1].loss:.4f}"
    alt = f"Loss of {model} over {len(epochs)} epochs, {ends}."
    if best is not None:
        figure_of_best = f"{best.metric} {best.validation:.4f}"
        alt += f" Best validation figure: {figure_of_best} in epoch {best.epoch}."
    return Plot(figure, alt)


def _coverage(findings: Findings) -> Plot:
    shares = [one.movies / findings.movies_count for one in findings.reach]
    default = short(findings.default_model or "")

    def draw_on(axes: Axes) -> None:
        names = [short(one.model) for one in findings.reach]
        bars(axes, names, shares, [f"{100 * share:.1f} %" for share in shares], default)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))

    first = findings.reach[0]
    alt = (
        f"Bar chart of the share of all movies in the top ten of any user, "
        f"for {len(shares)} models; most {first.model}: {100 * shares[0]:.1f} %."
    )
    title = "Movies in the top ten of any user"
    return _drawn(title, alt, draw_on, REST_IN + BAR_IN * len(shares))
