"""The report: its page agrees with the contract, and values from the database are escaped."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image
from psycopg import sql

from recsys.config.settings import GateSettings, RefreshSettings
from recsys.domain import Epoch, Metric, TrainingCurve
from recsys.errors import InvalidArgument, MissingDependency, NotPublished
from recsys.jobs.ingest import ingest
from recsys.jobs.plan import plan
from recsys.jobs.publish import rollback
from recsys.jobs.refresh import refresh
from recsys.report import page as page_of_reports
from recsys.report import queries
from recsys.report.clouds import DARK, LIGHT, WORDS, cloud, cloud_of_titles
from recsys.report.figures import VALUES, activity, draw, ranked, short
from recsys.report.findings import (
    CountBin,
    Decade,
    Measured,
    RatingGroup,
    concentration,
    gini,
    median,
    top_share,
    without_strays,
)
from recsys.report.page import as_png, inline_svg, model_tables
from recsys.report.pictures import ACCENT, BAR
from recsys.report.targets import check_targets
from recsys.report.write import write_report
from recsys.storage.runs import lifecycle as stored
from recsys.storage.server.engine import Database, sqlalchemy_url

PNG = b"\x89PNG\r\n\x1a\n"
EMPTY_TAGS = {"meta", "img", "br", "link", "source"}
EVIL = '<script>alert("1")</script> $x_1$ & \'tis'
SECOND = RefreshSettings(
    models=("als", "item_knn", "most_rated", "top_rated"),
    default_model="als",
    threads=1,
    parameters={"als": {"factors": 2, "iterations": 1}},
    gate=GateSettings(enabled=False),
)
FIGURES = (
    Metric("random-90-10", "ndcg@10", 0.2, 80, "all", 0.1, 0.25),
    Metric("random-90-10", "rmse", 0.9, 70, "all", None, None),
    Metric("random-90-10", "ndcg@10", 0.7, 8, "new users", 0.6, 0.8),
    Metric("train", "rmse", 0.0123, 70, "all", None, None),
)


class Page(HTMLParser):
    """The contents of a page: facts, tables by section, text, pictures, addresses."""

    def __init__(self, text):
        super().__init__()
        self.source, self.text, self.tags, self.facts, self.tables = text, "", [], {}, {}
        self.alts, self.addresses, self.ids = [], [], []
        self._open, self._term = [], ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.addresses += [
            given[name] for name in ("src", "srcset", "href", "data") if name in given
        ]
        self.ids += [given["id"]] if "id" in given else []
        self.alts += [given[name] for name in ("alt", "aria-label") if name in given]
        if tag == "table":
            self.tables.setdefault(self._section(), []).append([])
        elif tag == "tr":
            self.tables[self._section()][-1].append([])
        elif tag in ("td", "th"):
            self.tables[self._section()][-1][-1].append("")
        if tag not in EMPTY_TAGS:
            self._open.append((tag, given.get("id")))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_data(self, data):
        self.text += data
        tags = [tag for tag, _ in self._open]
        tag = tags[-1] if tags else ""
        if tag == "dt":
            self._term = data.replace("\u00a0", " ")
        elif tag == "dd":
            self.facts[self._term] = data
        elif "td" in tags or tag == "th":
            self.tables[self._section()][-1][-1][-1] += data.strip("\n")

    def _section(self):
        return next(name for tag, name in self._open if tag == "section")


def rows_of(database, query):
    with database.snapshot() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def change(database, statement, **values):
    with database.transaction() as connection:
        connection.execute(sa.text(statement), values)


def page_of(database, folder, **more):
    write_report(database, folder / "report.html", **more)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def two_runs(server_url, refreshed_template, run_on_server):
    """The edition with run 1 published, then 2; 3 an evaluation of als, 4 a newer one."""
    name = f"{refreshed_template}_report"
    made, source = sql.Identifier(name), sql.Identifier(refreshed_template)
    run_on_server(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(made, source))
    parsed = sqlalchemy_url(server_url).set(drivername="postgresql", database=name)
    database = Database(parsed.render_as_string(hide_password=False))
    change(database, "ALTER TABLE recsys_store.runs ALTER COLUMN run_id RESTART WITH 2")
    refresh(database, plan(SECOND))
    with database.transaction() as connection:
        ids = dict(
            connection.execute(sa.text("SELECT name, model_id FROM recsys_store.models")).all()
        )
        facts = {"seed": 5, "parameters": {"models": {}, "protocol": "random-90-10"}}
        for value in (0.3, 0.1):
            better = [replace(each, value=value) for each in FIGURES[:1]]
            measured = [(ids["als"], each) for each in FIGURES]
            measured += [(ids["top_rated"], each) for each in better]
            run_id = stored.record_evaluation(connection, [], {**facts, "versions": {}})
            stored.record_metrics(connection, run_id, measured)
    yield database
    run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made))


@pytest.fixture(scope="module")
def page(two_runs, tmp_path_factory):
    return page_of(two_runs, tmp_path_factory.mktemp("page"))


def test_the_page_agrees_with_the_contract(page, two_runs):
    [(ratings, people, mean, first, last)] = rows_of(
        two_runs,
        "SELECT count(*), count(DISTINCT user_id), avg(rating), min(rated_at), max(rated_at) "
        "FROM recsys.ratings",
    )
    [(fresh, published_at)] = rows_of(
        two_runs, "SELECT max_age + snapshot_at, published_at FROM recsys.freshness LIMIT 1"
    )
    facts = page.facts
    assert facts["edition"] == "ml-small-made-up"
    assert (facts["ratings"], facts["people with ratings"]) == (f"{ratings:,}", f"{people:,}")
    assert (facts["movies"], facts["movies without a rating"]) == ("60", "2")
    assert facts["density"] == f"{100 * ratings / (people * 60):.3f} %"
    assert facts["mean rating"] == f"{mean:.2f}"
    assert facts["first rating"] == f"{first:%Y-%m-%d}"
    assert facts["last rating"] == f"{last:%Y-%m-%d}"
    assert (facts["run"], facts["default model"]) == ("2", "als")
    assert facts["published"] == f"{published_at:%Y-%m-%d %H:%M} UTC"
    assert facts["stale from"] == f"{fresh:%Y-%m-%d %H:%M} UTC"
    assert facts["ratings changed since"] == "0"
    [(top,)] = rows_of(
        two_runs,
        "SELECT sum(t.ratings_count) FROM (SELECT ratings_count FROM recsys.movies "
        "ORDER BY ratings_count DESC LIMIT 12) AS t",
    )
    assert facts["ratings of the top 20 % of movies"] == f"{100 * top / ratings:.1f} %"
    [(middle, most)] = rows_of(
        two_runs,
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), max(n) "
        "FROM (SELECT count(*) AS n FROM recsys.ratings GROUP BY user_id) AS u",
    )
    assert facts["ratings per person, median"] == f"{middle:g}"
    assert facts["most ratings of a person"] == str(most)


def test_tables_of_ratings_and_genres(page, two_runs):
    values, months = page.tables["ratings"]
    wanted = rows_of(
        two_runs,
        "SELECT rating, count(*), count(*) / sum(count(*)) OVER () "
        "FROM recsys.ratings GROUP BY rating ORDER BY rating",
    )
    assert values[1:] == [[f"{r:g}", f"{n:,}", f"{100 * share:.1f} %"] for r, n, share in wanted]
    assert [row[0] for row in months] == ["month", "2001-09"]
    wanted = rows_of(
        two_runs,
        "SELECT g, count(*), sum(ratings_count), "
        "sum(ratings_mean * ratings_count) / sum(ratings_count) "
        "FROM recsys.movies CROSS JOIN unnest(genres) AS g GROUP BY g ORDER BY 3 DESC, 1",
    )
    [genres] = page.tables["genres"]
    assert genres[1:] == [[g, str(m), f"{n:,}", f"{mean:.3f}"] for g, m, n, mean in wanted]
    assert len(wanted) == 5


def test_models_by_the_latest_evaluation_of_each_protocol(page, two_runs):
    tables = page.tables["models"]
    evaluated = tables[0]
    assert evaluated == [
        ["model", "ndcg@10", "rmse"],
        ["als default", "0.20000.1000–0.2500", "0.9000"],
        ["top_rated", "0.10000.1000–0.2500", "–"],
    ]
    assert "Evaluation 4, seed 5" in page.text
    assert "0.0123" not in page.text  # on the training ratings
    assert "0.7000" not in page.text  # of a segment
    assert len(tables) == 1


def test_coverage_of_the_lists(page, two_runs):
    wanted = rows_of(
        two_runs,
        "SELECT model, count(DISTINCT movie_id) FILTER (WHERE rank <= 10) AS movies, "
        "count(DISTINCT user_id) FROM recsys.recommendations GROUP BY model ORDER BY 2 DESC, 1",
    )
    [table] = page.tables["coverage"]
    assert table[1:] == [
        [
            f"{model} default" if model == "als" else model,
            str(movies),
            f"{100 * movies / 60:.1f} %",
            str(people),
            f"{100 * people / 80:.1f} %",
        ]
        for model, movies, people in wanted
    ]
    assert {row[0] for row in wanted} == {"als", "item_knn"}


def test_changes_since_the_previous_run(page, two_runs):
    wanted = rows_of(
        two_runs,
        "SELECT model, metric, value, n FROM recsys.compare_runs(1, 2, 10) WHERE part = 'lists'",
    )
    found = {(model, metric): value for model, metric, value, _ in wanted}
    people = {model: n for model, _, _, n in wanted}
    both, lists = page.tables["changes"][:2]
    assert both[0] == ["", "run 1", "run 2", "change"]
    assert [row[3] for row in both[2:]] == ["+0", "+0", "+0"]
    assert lists[1:] == [
        [
            f"{model} default" if model == "als" else model,
            str(people[model]),
            f"{100 * found[model, 'overlap@10']:.1f} %",
            f"{found[model, 'rbo@10']:.4f}",
            f"{found[model, 'users_changed']:.0f} "
            f"({100 * found[model, 'users_changed_share']:.1f} %)",
            f"{found[model, 'users_gained']:.0f}",
            f"{found[model, 'users_lost']:.0f}",
        ]
        for model in ("als", "item_knn")
    ]
    assert 0 < found["als", "users_changed"] <= 80


def test_the_page_loads_nothing_and_pictures_have_alternative_texts(page):
    text = re.sub(r"base64,[\w+/=]+", "", page.source)
    assert not re.search(r"https?:|//\w|@import|<script|<link|<object|<iframe", text)
    assert not re.search(r"url\((?!#)", text)
    assert all(each.startswith("data:image/png;base64,") for each in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") + page.tags.count("img") == len(page.alts)
    assert all(len(alt) > 20 for alt in page.alts)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "#0072b2" not in text.partition("</style>")[2]  # plots follow light and dark
    assert "<h1>Report on ml-small-made-up</h1>" in text


@pytest.mark.slow
def test_the_same_data_give_the_same_files(page, two_runs, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    write_report(two_runs, None, first)
    write_report(two_runs, tmp_path / "a.html", second)
    assert (tmp_path / "a.html").read_bytes() == page.source.encode()
    names = sorted(each.name for each in first.iterdir())
    assert names == [
        "coverage.png", "decades.png", "genre_means.png", "genres.png", "long_tail.png",
        "models_random_90_10_ndcg.png", "models_random_90_10_rmse.png", "people.png",
        "ratings.png", "time.png",
    ]  # fmt: skip
    for name in names:
        content = (first / name).read_bytes()
        assert content.startswith(PNG)
        assert content == (second / name).read_bytes()


def test_titles_and_genres_are_escaped(filled_database, tmp_path):
    change(
        filled_database,
        "UPDATE recsys_store.movies SET title = :t WHERE movie_id IN (1, 2)",
        t=f"{EVIL} 七人の侍 שלום Alpha Beta Gamma",
    )
    change(filled_database, "UPDATE recsys_store.genres SET name = :t WHERE name = 'Drama'", t=EVIL)
    names = "UPDATE recsys_store.genres SET name = :t WHERE name = :old"
    change(filled_database, names, old="Comedy", t="七人の侍")
    change(filled_database, names, old="Action", t="\u202eשלום\n" + "x" * 60)
    write_report(filled_database, tmp_path / "a.html", tmp_path / "plots", title=EVIL)
    assert (tmp_path / "plots" / "words_of_titles.png").read_bytes().startswith(PNG)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    found = Page(text)
    assert "script" not in found.tags
    assert "<script" not in text
    assert EVIL in found.text
    genres = [row[0] for row in found.tables["genres"][0][1:]]
    assert {EVIL, "七人の侍"} <= set(genres)
    assert [each.partition(",")[0] for each in found.addresses] == ["data:image/png;base64"] * 2
    assert "2 words are left out because the picture cannot show their letters." in found.text
    plotted = inline_svg("genres", draw(queries.read(filled_database))["genres"].figure)
    assert "&lt;script&gt;alert" in plotted
    assert "七人の侍" in plotted


def test_nothing_published_and_nothing_measured(filled_database, tmp_path):
    found = page_of(filled_database, tmp_path)
    assert "Nothing is published yet: recsys refresh computes" in found.text
    assert "There is no evaluation yet: recsys evaluate measures" in found.text
    assert "run" not in found.facts
    assert not {"coverage", "changes", "models"} & set(found.tables)


def test_a_single_run(refreshed_database, tmp_path):
    found = page_of(refreshed_database, tmp_path)
    assert "No other run was published before" in found.text
    assert found.facts["run"] == "1"
    assert "changes" not in found.tables


@pytest.mark.slow
def test_the_training_of_a_network(refreshed_database, tmp_path):
    trained = TrainingCurve(
        "rmse", (Epoch(0.5, 0.9, 1.0), Epoch(0.25, 0.8, 1.0), Epoch(0.125, 0.85, 1.0))
    )
    with refreshed_database.transaction() as connection:
        als, mf = connection.scalars(
            sa.text(
                "SELECT model_id FROM recsys_store.models WHERE name IN ('als', 'mf') ORDER BY name"
            )
        )
        cold = TrainingCurve("", (Epoch(0.5, None, 1.0),))
        stored.record_epochs(connection, 1, [(als, trained), (mf, cold)])
    plots = draw(queries.read(refreshed_database))
    loss, validation = plots["training_als"].figure.axes
    lines = [line for axes in (loss, validation) for line in axes.lines[:2]]
    assert [line.get_ydata().tolist() for line in lines] == [
        [0.5, 0.25, 0.125], [0.25], [0.9, 0.8, 0.85], [0.8],
    ]  # fmt: skip
    assert loss.lines[1].get_xdata().tolist() == validation.lines[1].get_xdata().tolist() == [2]
    assert plots["training_als"].alt == (
        "Loss of als over 3 epochs, from 0.5000 to 0.1250. "
        "Best validation figure: rmse 0.8000 in epoch 2."
    )
    assert len(plots["training_mf"].figure.axes) == 1
    write_report(refreshed_database, tmp_path / "report.html")
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert {plots["training_als"].alt, plots["training_mf"].alt} <= set(found.alts)


def test_missing_times_and_ratings(refreshed_database, tmp_path):
    change(refreshed_database, "UPDATE recsys_store.ratings SET rated_at = NULL")
    found = page_of(refreshed_database, tmp_path)
    assert "The ratings have no times" in found.text
    assert (found.facts["first rating"], found.facts["last rating"]) == ("–", "–")
    assert "Ratings and their mean" not in " ".join(found.alts)
    change(refreshed_database, "DELETE FROM recsys_store.ratings")
    found = page_of(refreshed_database, tmp_path)
    assert "no ratings yet" in found.text
    assert (found.facts["ratings"], found.facts["density"]) == ("0", "–")
    assert found.tables["coverage"][0][1][-1] == "–"


def test_interactions_have_counts_and_no_stars(refreshed_database):
    with refreshed_database.transaction() as connection:
        connection.execute(sa.text("UPDATE recsys_store.ratings SET rating = ceil(rating)"))
        connection.execute(sa.text("UPDATE recsys_store.ingests SET feedback = 'implicit'"))
    found = queries.read(refreshed_database)
    assert found.state.implicit
    plots = draw(found)
    assert "genre_means" not in plots
    assert plots["ratings"].alt.startswith("Bar chart of how often each number of times was given")


def test_a_pruned_previous_run(two_runs, make_database, tmp_path):
    copy = make_database(sa.make_url(two_runs.url).database)
    change(copy, "UPDATE recsys_store.runs SET pruned_at = now() WHERE run_id = 1")
    found = page_of(copy, tmp_path)
    assert "The results of run 1 were pruned, so its lists cannot be compared." in found.text
    assert len(found.tables["changes"]) == 1


def test_after_a_rollback_the_later_run_is_the_previous_one(two_runs, make_database):
    copy = make_database(sa.make_url(two_runs.url).database)
    rollback(copy)
    found = queries.read(copy)
    assert (found.published.run_id, found.previous.run_id) == (1, 2)
    [(latest,)] = rows_of(copy, "SELECT max(published_at) FROM recsys.publications")
    assert found.published.published_at == latest
    assert found.changes


def test_empty_databases(empty_database, database, tmp_path):
    for each, message in (
        (empty_database, "the database is empty"),
        (database, "there are no movies to report on"),
    ):
        with pytest.raises(NotPublished, match=f"^{message}$") as caught:
            write_report(each, tmp_path / "a.html")
        assert caught.value.hint == "load ratings, and publish a refresh of them"
    assert list(tmp_path.iterdir()) == []


def test_a_single_rating(database, write_edition, tmp_path):
    ingest(database, write_edition(tmp_path / "ml-one", ["1,1,4,1000000000"]))
    found = page_of(database, tmp_path)
    assert found.tables["ratings"][0][1:] == [["4", "1", "100.0 %"]]
    assert found.facts["Gini coefficient"] == "0.000"


# --- figures that follow from the rows ------------------------------------------------------------


def test_concentration_is_that_of_single_movies():
    counts = [9, 5, 5, 1, 0]
    groups = [CountBin(0, 1), CountBin(1, 1), CountBin(5, 2), CountBin(9, 1)]
    members, ratings = concentration(groups)
    assert members.tolist() == pytest.approx([0, 0.2, 0.6, 0.8, 1])
    assert ratings.tolist() == pytest.approx([0, 0.45, 0.95, 1, 1])
    assert [top_share(groups, share) for share in (0.2, 0.4)] == pytest.approx([0.45, 0.7])
    differences = np.abs(np.subtract.outer(counts, counts)).sum()
    assert gini(groups) == pytest.approx(differences / (2 * len(counts) * sum(counts)))
    assert gini([CountBin(3, 7)]) == 0
    assert median(groups) == 5
    assert median([CountBin(2, 1), CountBin(4, 1)]) == 3
    assert median([CountBin(2, 3), CountBin(4, 1)]) == 2


def group(rating, month, ratings):
    return RatingGroup(rating, month, ratings, month, month)


def test_the_plots_of_genres_stand_side_by_side(two_runs):
    plots = draw(queries.read(two_runs))
    bars, means = plots["genres"].figure, plots["genre_means"].figure
    assert bars.get_size_inches().tolist() == means.get_size_inches().tolist()
    names = [
        [label.get_text() for label in each.axes[0].get_yticklabels()] for each in (bars, means)
    ]
    assert names[0] == names[1]
    dots = [line.get_xdata()[0] for line in means.axes[0].lines if line.get_marker() == "o"]
    wanted = rows_of(
        two_runs,
        "SELECT sum(ratings_mean * ratings_count) / sum(ratings_count) "
        "FROM recsys.movies CROSS JOIN unnest(genres) AS g GROUP BY g "
        "ORDER BY sum(ratings_count) DESC, g",
    )
    assert dots == pytest.approx([mean for (mean,) in wanted])


def test_movies_by_decade(two_runs):
    found = queries.read(two_runs)
    wanted = rows_of(
        two_runs, "SELECT year / 10 * 10, count(*) FROM recsys.movies GROUP BY 1 ORDER BY 1"
    )
    assert [(each.decade, each.movies) for each in found.decades] == wanted
    many = replace(found, decades=[Decade(10, 1), Decade(1980, 30), Decade(2000, 70)])
    axes = draw(many)["decades"].figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [30, 0, 70]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1980s", "1990s", "2000s"]
    assert "decades" not in draw(replace(found, decades=[]))


def test_many_months_become_years(two_runs):
    def periods(*groups):
        found = replace(queries.read(two_runs), groups=groups)
        return [(f"{p.start:%Y-%m}", p.ratings, p.mean) for p in found.periods], found.yearly

    start = datetime(2000, 11, 1, tzinfo=UTC)
    groups = [group(4.0, start, 1), group(1.0, start, 2), group(3.0, None, 5)]
    assert periods(*groups) == ([("2000-11", 3, 2.0)], False)
    later = group(5.0, datetime(2001, 1, 1, tzinfo=UTC), 4)
    by_month = [("2000-11", 3, 2.0), ("2000-12", 0, None), ("2001-01", 4, 5.0)]
    assert periods(*groups, later) == (by_month, False)
    much_later = replace(later, month=datetime(2005, 12, 1, tzinfo=UTC))
    by_year = [("2000-01", 3, 2.0), *((f"{year}-01", 0, None) for year in range(2001, 2005))]
    assert periods(*groups, much_later) == ([*by_year, ("2005-01", 4, 5.0)], True)
    assert periods(group(3.0, None, 5)) == ([], False)


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ({}, []),
        ({5: 1}, [5]),
        ({5: 1, 900: 1}, [5, 900]),  # too few to tell which one is stray
        ({0: 1, 600: 500, 601: 500}, [600, 601]),
        ({600: 500, 601: 500, 1900: 1}, [600, 601]),
        ({0: 1, 600: 500, 601: 500, 1900: 1}, [600, 601]),
        ({588: 1, 600: 500, 601: 500}, [588, 600, 601]),  # a year apart
        ({587: 1, 600: 500, 601: 500}, [600, 601]),
        ({0: 2, 600: 500, 601: 500}, [0, 600, 601]),  # more than a thousandth
        ({0: 10, 3: 1, 600: 9000, 640: 9000}, [600, 640]),
        ({0: 1, **{month: 50 for month in range(60, 301)}}, [0, *range(60, 301)]),
    ],
)
def test_strays(counts, kept):
    assert without_strays(counts, least_gap=12) == kept


def test_one_stray_rating_does_not_stretch_the_time_axis(filled_database, tmp_path):
    stray = "UPDATE recsys_store.ratings SET rated_at = :t WHERE (user_id, movie_id) IN (SELECT "
    stray += "user_id, movie_id FROM recsys_store.ratings ORDER BY 1, 2 LIMIT 1)"
    before = queries.read(filled_database)
    change(filled_database, stray, t=datetime(1970, 1, 1, tzinfo=UTC))
    found = queries.read(filled_database)
    assert [p.start for p in found.periods] == [p.start for p in before.periods]
    assert (found.strays, before.strays) == (1, 0)
    page = page_of(filled_database, tmp_path)
    assert "Left out of the plot over time: 1 far from all others." in page.text
    assert page.facts["first rating"] == "1970-01-01"


def test_people_by_number_of_ratings():
    people = [CountBin(3, 5), CountBin(4, 1), CountBin(7, 2), CountBin(16, 1)]
    assert activity(people) == ([2, 4, 8, 16, 32], [5, 3, 0, 1])
    assert activity([CountBin(1, 9)]) == ([1, 2], [9])


def measured(model, metric, value, protocol="p"):
    return Measured(protocol, 3, "evaluation", 1, model, metric, value, None, None, 9)


def test_the_best_model_first():
    rows = [
        measured("b", "rmse", 0.9), measured("b", "ndcg@10", 0.1), measured("a", "rmse", 0.8),
        measured("c", "ndcg@10", 0.4), measured("c", "novelty@10", 3.0),
        measured("a", "train_seconds", 9.0), measured("c", "peak_memory_mb", 7.0, "costs"),
    ]  # fmt: skip
    [table] = model_tables(rows)
    assert table.metrics == ["ndcg@10", "novelty@10", "rmse"]
    assert [model for model, _ in table.rows] == ["c", "b", "a"]
    best = [table.best(metric) for metric in table.metrics]
    assert best == [0.4, None, 0.8]
    assert [row.model for row in ranked(rows, "p", "rmse")] == ["a", "b"]
    assert [row.model for row in ranked(rows, "p", "ndcg@10")] == ["c", "b"]


def test_the_least_disliked_are_the_best():
    name = "disliked_share@10"
    [table] = model_tables([measured("a", name, 0.2), measured("b", name, 0.1)])
    assert ([model for model, _ in table.rows], table.best(name)) == (["b", "a"], 0.1)


def test_a_scale_of_many_values_is_binned(two_runs):
    month = datetime(2001, 1, 1, tzinfo=UTC)
    groups = [group(value / 10, month, 1) for value in range(101)]
    drawn = draw(replace(queries.read(two_runs), groups=groups))["ratings"]
    heights = [bar.get_height() for bar in drawn.figure.axes[0].patches]
    assert (len(heights), sum(heights)) == (VALUES, 101)


# --- word clouds ----------------------------------------------------------------------------------


def test_word_counts():
    found = cloud_of_titles(["The Love Bug", "Love, Actually", "Rocky II", "Dogs", "Dog", "七人"])
    assert dict(found.words) == {"Dog": 2, "Love": 2, "Actually": 1, "Bug": 1, "Rocky": 1}
    assert found.left_out == 1
    assert found.alt.startswith("Word cloud of the words of the titles; most frequent: Dog (2), ")


def test_clouds_without_drawable_words():
    assert cloud("x", {}) is None
    assert cloud("x", {"七人の侍": 3, "שלום": 1, "\x01": 2, "none": 0}) is None
    assert cloud_of_titles(["七人の侍", "the"]) is None
    assert cloud_of_titles([f"Movie {number}" for number in range(99)]) is None


def luminance(color):
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_words_are_readable_on_light_and_dark_pages():
    template = (Path(page_of_reports.__file__).parent / "page.html.j2").read_text()
    light, dark = re.findall(r"--card: (#[0-9a-f]{6})", template)
    for ground, colors in ((light, LIGHT), (dark, DARK)):
        for color in colors:
            low, high = sorted((luminance(ground), luminance(color)))
            assert (high + 0.05) / (low + 0.05) >= 5


def test_clouds_for_light_pages_dark_pages_and_white_paper():
    words = {f"word{number}": 20_000 // (number + 1) for number in range(WORDS + 5)}
    found = cloud("x", words | {"y" * 300: 7})
    # In their order; words without room at a readable size are left out.
    assert list(found.words) == [word for word in words if word in found.words][: len(found.words)]
    assert WORDS // 2 < len(found.words) <= WORDS
    images = [Image.open(BytesIO(png)).convert("RGBA") for png in found.transparent()]
    paper = Image.open(BytesIO(found.on_white())).convert("RGBA")
    assert [image.getextrema()[3][0] < 5 for image in (*images, paper)] == [True, True, False]
    # The same words at the same places, in other colors.
    covered = [np.asarray(image)[..., 3] > 128 for image in images]
    assert (covered[0] != covered[1]).mean() < 0.01
    tops = [np.asarray(image)[np.asarray(image)[..., 3] > 250][:, :3].mean() for image in images]
    assert tops[0] + 60 < tops[1]


def test_names_that_fit_beside_an_axis():
    assert short("Film-Noir") == "Film-Noir"
    assert short(" a\n\x01b\u202e ") == "a b"
    assert short("x" * 40) == "x" * 25 + "…"


# --- files --------------------------------------------------------------------------------


def test_targets_are_checked_first(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    check_targets(tmp_path / "a.html", tmp_path / "new")
    check_targets(tmp_path / "a.HTM", tmp_path)
    for page, pictures, message in (
        (tmp_path / "a.pdf", None, r"a\.pdf is not an \.html file$"),
        (tmp_path / "folder.html", None, r"folder\.html cannot be written: it is a folder$"),
        (tmp_path / "no" / "a.html", None, "there is no folder .*no$"),
        (None, tmp_path / "file", "file is not a writable folder$"),
        (None, tmp_path / "no" / "new", "there is no folder .*no$"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            check_targets(page, pictures)
    missing = {"jinja2", "wordcloud"}
    monkeypatch.setattr(
        "recsys.report.pictures.find_spec", lambda name: name not in missing or None
    )
    with pytest.raises(
        MissingDependency, match=r"^reports need the packages jinja2 and wordcloud,"
    ):
        check_targets(tmp_path / "a.html", None)


def test_a_full_disk_keeps_the_old_file(two_runs, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.html").write_text("before")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(
        InvalidArgument, match=r"a\.html cannot be written: No space left on device"
    ):
        write_report(two_runs, tmp_path / "a.html")
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "before"


def test_pictures_stand_alone(two_runs):
    plots = draw(queries.read(two_runs))
    content = as_png(plots["models_random_90_10_ndcg"].figure)
    assert content.startswith(PNG)
    assert [each.get_title("left") for each in plots["time"].figure.axes] == [
        "Ratings and their mean by month", ""
    ]  # fmt: skip
    drawn = plots["models_random_90_10_ndcg"].figure.axes[0]
    dots = [line for line in drawn.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [0.2, 0.1]
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["als (default)", "top_rated"]
    assert [line.get_color() for line in dots] == [ACCENT, BAR]
