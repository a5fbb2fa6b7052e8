"""The pages as a browser without scripts gets them."""

import re
from html import unescape

import pytest
import sqlalchemy as sa
from store import change

from recsys.web.pages.assets import ASSETS, FOREVER, asset_url
from recsys.web.pages.posters import poster_of

PATHS = (
    "/", "/top", "/search", "/search?q=film", "/movie/1", "/movie/60", "/person", "/person/1",
    "/person/1/why/3", "/person/1/ratings", "/try", "/try?m1=5", "/published",
)  # fmt: skip
TITLES_BY_CHART = """
SELECT genre, array_agg(title ORDER BY rank) FROM recsys.charts
WHERE chart = 'top_rated' AND rank <= 12 GROUP BY genre
"""


def words(html):
    """The text of a page, tags and runs of white space taken out."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def section(html, heading):
    """The part of a page from a heading to the end of its section."""
    after = re.split(rf"<(?:h[234]|caption)[^>]*>{re.escape(heading)}", html, maxsplit=1)[1]
    return after.split("</section>")[0]


def movies(html):
    return [int(found) for found in re.findall(r'href="/movie/(\d+)"', html)]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_a_title_one_heading_and_nothing_inline(get, path):
    page = get(path)
    assert re.search(r"<title>\S[^<]* · recsys</title>", page)
    assert len(re.findall(r"<h1[ >]", page)) == 1
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    outside = set(re.findall(r'(?:src|href)="(https?://[^/"]+)', page))
    links = {"https://www.imdb.com", "https://www.themoviedb.org"}
    assert outside - links <= {"https://image.tmdb.org"}


def test_home_shows_the_leading_chart_then_trending_then_genres(get, contract):
    page = get("/")
    chart = dict(contract(TITLES_BY_CHART))
    headings = re.findall(r'<h2 id="shelf-\d+">([^<]+)', page)
    assert headings[:2] == ["Top rated", "Trending"]
    assert set(headings[2:]) == set(chart) - {None}
    # With as many ratings the genres change places.
    votes = dict(
        contract(
            "SELECT genre, sum(votes) FROM recsys.charts "
            "WHERE chart = 'top_rated' AND rank <= 12 GROUP BY genre"
        )
    )
    found = [votes[genre] for genre in headings[2:]]
    assert found == sorted(found, reverse=True)
    ids = dict(contract("SELECT title, movie_id FROM recsys.movies"))
    for heading, genre in [("Top rated", None), ("Drama", "Drama")]:
        assert movies(section(page, heading)) == [ids[title] for title in chart[genre]]
    assert "60 movies, rated " in words(page)


def test_home_links_to_whole_charts(get, contract):
    assert 'href="/top?chart=top_rated&amp;genre=Sci-Fi"' in get("/")
    rows = contract("SELECT movie_id FROM recsys.top_movies(60, 'Sci-Fi', 'most_rated')")
    page = get("/top?chart=most_rated&genre=sci-fi")
    assert movies(page) == [row[0] for row in rows]
    assert "<h1>Most rated: Sci-Fi</h1>" in page
    assert "<option selected>Sci-Fi</option>" in page


def test_names_and_order_of_charts_come_from_the_contract(request_page, refreshed_database):
    with refreshed_database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE recsys_store.models SET display_name = 'Crowd favourites', top_order = 1, "
            "popularity_order = 1 WHERE name = 'popular'"
        )
        chart = "SELECT movie_id FROM recsys.top_movies(18, NULL, 'popular')"
        movie_ids = list(connection.exec_driver_sql(chart).scalars())
    home = request_page(refreshed_database, "/").text
    headings = re.findall(r'<h2 id="shelf-\d+">([^<]+)', home)
    assert headings[:3] == ["Crowd favourites", "Top rated", "Trending"]
    assert "<h1>Crowd favourites</h1>" in request_page(refreshed_database, "/top").text
    to_rate = request_page(refreshed_database, "/try").text
    found = re.findall(r'<li class="rate" data-movie="(\d+)"', to_rate)
    assert [int(movie_id) for movie_id in found] == movie_ids


def test_search_results_and_empty_results(get):
    assert movies(get("/search?q=film+12")) == [12]
    assert "No title matches." in get("/search?q=xyzzy")
    assert movies(get("/search?q=+")) == []
    assert "Movies matching “&lt;b&gt;”" in get("/search?q=%3Cb%3E")


def test_a_movie_with_metadata(get, contract):
    page = get("/movie/1")
    [(count, mean)] = contract(
        "SELECT ratings_count, ratings_mean FROM recsys.movies WHERE movie_id = 1"
    )
    text = words(page)
    assert f"{mean:.2f} mean of {count} ratings · 81 min" in text
    actors = ", ".join(f"Player {n}" for n in range(10))
    assert (
        "A film is shot <on film>. Director The Director "
        f"Cast {actors} Released 2 March 1951 Series The Films Language French "
        "Keywords camera, film "
    ) in text
    assert 'src="https://image.tmdb.org/t/p/w342/first.jpg"' in page
    assert 'href="https://www.imdb.com/title/tt0001001/"' in page
    assert 'href="https://www.themoviedb.org/movie/2001"' in page
    assert 'href="/top?genre=' in page


def test_a_movie_without_metadata_or_ratings(get, contract):
    [(movie_genres,)] = contract("SELECT genres FROM recsys.movies WHERE movie_id = 60")
    page = get("/movie/60")
    assert "No ratings yet." in page
    assert "Keywords" not in page
    poster = re.search(r'<div class="movie-poster">(.*?)</div>', page, re.DOTALL)[1]
    assert words(poster) == "The Film 60 2010"
    drawn = poster_of(60, "The Film 60", 2010, movie_genres)
    assert f'<img class="drawn" src="{drawn.url}" alt=""' in poster


def test_more_like_this_then_the_models_compared(get, contract):
    page = get("/movie/2")
    shelf, compared = section(page, "More like this").split("<details>")
    rows = contract("SELECT movie_id FROM recsys.similar(2, 12)")
    assert movies(shelf) == [row[0] for row in rows]
    assert "<summary>Compare models</summary>" in compared
    assert "Above are those of EASE." in compared
    by_name = dict(contract("SELECT display_name, model FROM recsys.models"))
    headings = re.findall(r'<h3 id="by-\d+">([^<]+?) *<', page)
    assert [by_name[name] for name in headings] == [
        "ease", "als", "content_genres", "item_knn", "mf",
    ]  # fmt: skip
    for name in headings:
        rows = contract(f"SELECT movie_id FROM recsys.similar(2, 8, '{by_name[name]}')")
        assert movies(section(page, name)) == [row[0] for row in rows]
    # Everywhere models have their display names.
    assert not re.search(r">[^<]*(item_knn|content_genres)[^<]*<", page)


def test_a_movie_that_the_default_model_does_not_know(get, contract):
    page = get("/movie/60")
    rows = contract("SELECT movie_id, model FROM recsys.similar(60, 12)")
    assert {row[1] for row in rows} == {"content_genres"}
    assert movies(section(page, "More like this")) == [row[0] for row in rows]
    # One model leaves nothing to compare.
    assert "Compare models" not in page


def test_how_people_rate_a_movie(get, contract):
    page = get("/movie/2")
    rows = contract("SELECT rating_from, ratings FROM recsys.rating_histogram(2)")
    named = re.search(r'<figure class="histogram.*?aria-label="([^"]+)"', page, re.DOTALL)[1]
    shown = [f"{rating:g}: {count} rating{'' if count == 1 else 's'}" for rating, count in rows]
    assert named == ", ".join(shown)
    assert "histogram" not in get("/movie/60")


def test_a_person_with_recommendations_and_reasons(get, contract):
    page = get("/person/1?reasons=1")
    recommended = [row[0] for row in contract("SELECT movie_id FROM recsys.recommend(1, 12)")]
    picks = re.search(r'<ol class="grid picks".*?</ol>', page, re.DOTALL)[0]
    lines = re.findall(r"<li>(.*?)</li>", picks, re.DOTALL)
    assert [movies(line)[0] for line in lines] == recommended
    for line, movie_id in zip(lines, recommended, strict=True):
        because = contract(
            f"SELECT because_movie_id FROM recsys.explain(1, {movie_id}) "
            "WHERE rating >= (SELECT avg(rating) FROM recsys.ratings WHERE user_id = 1) "
            "ORDER BY contribution DESC, because_movie_id LIMIT 2"
        )
        assert movies(line)[1:] == [row[0] for row in because]
        assert "because of The Film" in words(line)
    latest = [row[0] for row in contract(
        "SELECT movie_id FROM recsys.ratings WHERE user_id = 1 "
        "ORDER BY rated_at DESC NULLS LAST, rating DESC, movie_id LIMIT 12"
    )]  # fmt: skip
    assert movies(section(page, "Their ratings, newest first")) == latest
    assert "EASE computed the list from the ratings of " in words(page)


ORIGINS = {
    "/person/1": "EASE computed the list from the ratings of \\d+ \\w+ ago. The page",
    "/person/1?model=top_rated": "Top rated is a chart, which is the same for everybody. The page",
    "/person/81": "Trending is a chart, which is the same for everybody. The page",
    "/person/2": "EASE follows their ratings at once, with 1 rating newer than the last run. The",
    "/person/82": "The chart Trending fills the list, because their ratings say too little.",
}


def test_how_each_list_was_made(request_page, refreshed_database):
    with refreshed_database.transaction() as connection:
        # Movie 60 is new, so that nobody else has rated it; its content has no neighbours either.
        connection.exec_driver_sql("SELECT recsys.rate(2, 60, 4), recsys.rate(82, 60, 4)")
        connection.exec_driver_sql(
            "DELETE FROM recsys_store.movie_similarities WHERE movie_id = 60"
        )
    for path, text in ORIGINS.items():
        page = request_page(refreshed_database, path)
        assert re.search(text, words(section(page.text, "How the list was made"))), path
    assert "They have not rated a movie yet." in request_page(refreshed_database, "/person/81").text


def test_the_taste_of_a_person(get, contract):
    page = get("/person/1")
    rows = contract("SELECT * FROM recsys.user_taste(1)")
    [(_, _, count, _, mean, others)] = [row for row in rows if row[0] == "all"]
    than = "higher" if others > 0 else "lower"
    assert (
        f"{count} ratings, mean ★ rated {mean:.2f} : they rate movies {abs(others):.1f} {than} "
        "than others do. They like "
    ) in words(page)
    for facet in ("genre", "decade"):
        table = words(section(page, facet.capitalize()))
        for _, name, ratings, _, mean, others in [row for row in rows if row[0] == facet]:
            sign = "+" if others > 0.05 else "−" if others < -0.05 else ""
            assert f"{name} {ratings} {mean:.1f} {sign}{abs(others):.1f}" in table


def test_all_ratings_of_a_person_page_by_page(get, contract):
    rows = [row[0] for row in contract(
        "SELECT movie_id FROM recsys.ratings WHERE user_id = 1 "
        "ORDER BY rated_at DESC NULLS LAST, rating DESC, movie_id"
    )]  # fmt: skip
    page = get("/person/1/ratings")
    assert movies(page) == rows
    assert f"{len(rows)} ratings, newest first." in page
    assert "There are no ratings on this page." in get("/person/1/ratings?page=9")
    assert "pager" not in page


def test_people_are_examples_with_their_taste(get, contract):
    page = get("/person")
    people = re.findall(r'<li class="panel">(.*?)</li>', page, re.DOTALL)
    assert len(people) == 6
    for one in people:
        user = int(re.search(r'<h3><a href="/person/(\d+)">Person \1</a></h3>', one)[1])
        [(count, mean)] = contract(
            f"SELECT count(*), avg(rating) FROM recsys.ratings WHERE user_id = {user}"
        )
        assert f"{count} ratings, mean ★ rated {mean:.1f}" in words(one)
        assert re.search("(Likes|Mostly) [A-Z]", words(one))
        best = contract(
            f"SELECT movie_id FROM recsys.ratings WHERE user_id = {user} "
            "ORDER BY rating DESC, rated_at DESC NULLS LAST, movie_id LIMIT 4"
        )
        assert movies(one) == [row[0] for row in best]


def test_nobody_has_rated(request_page, database):
    response = request_page(database, "/person")
    assert response.status_code == 200
    assert "There are no ratings yet." in response.text


def test_reasons_are_loaded_after_the_list(get, contract):
    ids = [row[0] for row in contract("SELECT movie_id FROM recsys.recommend(1, 12, 'als')")]
    page = get("/person/1?model=als")
    assert "because of" not in page
    address = unescape(re.search(r'data-because="([^"]+)"', page)[1])
    assert address == "/person/1/because?model=als"
    alone = get(f"{address}&movie={ids[3]}&movie={ids[1]}")
    assert re.findall(r'data-movie="(\d+)"', alone) == [str(ids[1]), str(ids[3])]
    assert alone.count("because of") == 2
    whole = get("/person/1?model=als&reasons=1")
    for reason in re.findall(r"because of.*?</a>", alone):
        assert reason in whole


def test_why_separates_what_they_like_from_the_rest(get, contract):
    [(movie_id, title)] = contract("SELECT movie_id, title FROM recsys.recommend(1, 1)")
    rows = contract(
        "SELECT because_title, rating, contribution, share, score, "
        "contribution > 0 AND rating >= greatest(2.75, ("
        "SELECT avg(rating) FROM recsys.ratings WHERE user_id = 1)), weight "
        f"FROM recsys.explain(1, {movie_id})"
    )
    page = get(f"/person/1/why/{movie_id}")
    assert f"Why {title} ?" in words(page)
    assert f"EASE gives it a score of {rows[0][4]:.4g}, the sum of what their ratings add." in page
    reasons, rest = map(words, page.split("<details>"))
    counts = [sum(row[5] for row in rows), sum(not row[5] for row in rows)]
    assert min(counts) > 0
    for because, rating, contribution, share, _, liked, weight in rows:
        row = f"{because} {rating:g} {weight:.2f} {contribution:.4f} {100 * share:.1f} %"
        assert (row in reasons, row in rest) == (liked, not liked)
    assert f"{counts[1]} other rating" in rest


def test_going_to_a_person(request_page, pages_database, contract):
    there = request_page(pages_database, "/person?id=7")
    assert (there.status_code, there.headers["location"]) == (303, "/person/7")
    anybody = request_page(pages_database, "/person/random")
    users = {f"/person/{row[0]}" for row in contract("SELECT DISTINCT user_id FROM recsys.ratings")}
    assert anybody.status_code == 303
    assert anybody.headers["location"] in users
    assert anybody.headers["cache-control"] == "no-store"


def test_trying_without_scripts(get, contract):
    first = get("/try")
    assert "Popular movies, until you rate some." in first
    many = [
        row[0] for row in contract("SELECT movie_id FROM recsys.top_movies(18, NULL, 'most_rated')")
    ]
    assert [int(m) for m in re.findall(r'<li class="rate" data-movie="(\d+)"', first)] == many
    page = get("/try?m2=5&m4=1&q=film+6")
    rated = section(page, "Your ratings")
    assert re.findall(r'name="m(\d+)" value="(\d+)" checked', rated) == [("2", "5"), ("4", "1")]
    assert re.findall(r'data-movie="(\d+)"', section(page, "Titles matching “film 6”"))[0] == "6"
    listed = contract("""SELECT movie_id FROM recsys.recommend_for('{"2": 5, "4": 1}', 10)""")
    assert movies(section(page, "Your list")) == [row[0] for row in listed]
    assert movies(get("/try/list?m2=5&m4=1")) == [row[0] for row in listed]
    assert "Based on 2 ratings. Rate 3 more for a better list." in page


def test_dropped_and_invalid_ratings_are_ignored(get):
    page = get("/try?m2=5&m4=1&drop=4&m999999=3&m5=x&m6=nan&m99999999999=1")
    assert re.findall(r'name="m(\d+)" value="\d+" checked', page) == ["2"]


def test_a_single_movie_to_rate(get):
    alone = get("/try/movie/9")
    assert alone.startswith('<li class="rate" data-movie="9">')
    assert re.findall(r'name="m9" value="(\d+)"', alone) == ["1", "2", "3", "4", "5"]


def test_runs_show_stages_runs_and_publications(get, contract):
    page = get("/published")
    text = words(page)
    assert "Run 1 is published" in text
    assert re.search(r"Fresh It read ml-small-made-up \d+ \w+ ago", text)
    stages = re.findall(r"<li><b>([^<]+)", section(page, "Stages of run 1"))
    rows = contract("SELECT stage FROM recsys.run_stages WHERE run_id = 1 ORDER BY position")
    names = dict(contract("SELECT model, display_name FROM recsys.models"))
    names |= {"read": "Read the ratings", "gate": "Publish gate"}
    names |= {"write": "Write the results", "index": "Build the indexes"}
    assert stages == [names[row[0]] for row in rows]
    assert re.search(r"1 Refresh Published \S+ \S+ UTC [\d.]+ s ml-small-made-up", text)
    assert "Run 1 was published by" in text
    # A single run is no line, and the gate's figures are the only comparison.
    assert "Metrics over the runs" not in page
    assert "There is no evaluation yet." in text
    for model, value, low, high in contract(
        "SELECT model, value, ci_low, ci_high FROM recsys.run_metrics "
        "WHERE protocol = 'gate' AND metric = 'ndcg@10'"
    ):
        row = f"{names[model]} {value:.4f} {low:.3f} to {high:.3f}"
        assert row in words(section(page, "nDCG@10"))


EPOCHS = """
INSERT INTO recsys_store.training_epochs
    (run_id, model_id, epoch, loss, metric, validation, seconds)
SELECT 1, m.model_id, e.epoch, e.loss, 'rmse', e.validation, 1.5
FROM recsys_store.models AS m
CROSS JOIN (VALUES (1, 1.0, 0.95), (2, 0.5, 0.85), (3, 0.25, 0.9)) AS e (epoch, loss, validation)
WHERE m.name = 'als' OR m.name = 'mf' AND e.epoch = 1
"""


def test_curves_of_trainings_mark_the_epoch_that_is_kept(request_page, refreshed_database):
    page = request_page(refreshed_database, "/published").text
    assert "Training of the networks" not in page
    with refreshed_database.transaction() as connection:
        connection.execute(sa.text(EPOCHS))
    page = request_page(refreshed_database, "/published").text
    shown = section(page, "Training of the networks")
    assert "ALS 3 epochs in 4.5 s. Marked is the best one, epoch 2" in words(shown)
    assert "RMSE held out 0.8500 epoch 2" in words(shown)
    # A single epoch is no line.
    assert re.findall(r'polyline points="([^"]*)"', shown) == [
        "8.0,8.0 120.0,56.0 232.0,32.0", "8.0,8.0 120.0,40.0 232.0,56.0",
    ]  # fmt: skip
    assert re.findall(r'circle cx="([^"]*)" cy="([^"]*)"', shown) == [
        ("120.0", "56.0"), ("120.0", "40.0"),
    ]  # fmt: skip
    assert 'aria-label="rmse: epoch 1: 0.9500; epoch 2: 0.8500; epoch 3: 0.9000"' in shown


EVALUATION = """
INSERT INTO recsys_store.runs OVERRIDING SYSTEM VALUE
SELECT (jsonb_populate_record(r, jsonb_build_object(
    'run_id', :run_id, 'kind', 'evaluation', 'pruned_at', now(), 'snapshot_at', CAST(:at AS text)
))).*
FROM recsys_store.runs AS r WHERE run_id = 1
"""
FIGURE = """
INSERT INTO recsys_store.run_metrics
    (run_id, model_id, protocol, metric, segment, value, ci_low, ci_high, n)
SELECT :run_id, model_id, 'random-90-10', 'ndcg@10', 'all', :value, :low, :high, 80
FROM recsys_store.models WHERE name = :model
"""


@pytest.fixture
def evaluate(refreshed_database):
    """Store an evaluation with these values of nDCG by model."""

    def evaluate(run_id, values, at="now"):
        with refreshed_database.transaction() as connection:
            connection.execute(sa.text(EVALUATION), {"run_id": run_id, "at": at})
            for model, value in values.items():
                row = {"run_id": run_id, "model": model, "value": value}
                row |= {"low": value - 0.01, "high": value + 0.01}
                connection.execute(sa.text(FIGURE), row)

    return evaluate


def test_models_are_compared_by_the_latest_evaluation(request_page, refreshed_database, evaluate):
    evaluate(2, {"als": 0.9, "ease": 0.8})
    evaluate(3, {"als": 0.2, "ease": 0.3, "item_knn": 0.25})
    # An evaluation of a single model compares nothing.
    evaluate(4, {"als": 0.2})
    page = request_page(refreshed_database, "/published").text
    first = section(page, "random-90-10")
    assert "Evaluation 3" in first
    assert re.findall(r'<tr><th scope="row">([^<]+)', first) == ["EASE", "Item kNN", "ALS"]
    assert "EASE 0.3000 0.290 to 0.310 Item kNN 0.2500" in words(first)
    # The ends of the intervals span the axis.
    assert re.findall(r'"reach" d="M([\d.]+) 8H([\d.]+)', first) == [
        ("81.3", "97.0"), ("42.2", "57.8"), ("3.0", "18.7"),
    ]  # fmt: skip
    assert "1 other measurement" in page
    text = words(page)
    assert "3 Evaluation Finished" in text
    assert "ml-small-made-up 0 9 –" not in text
    # Evaluations of one model are a line.
    lines = section(page, "Metrics over the runs")
    assert "nDCG@10 EASE 0.3000 −0.5000" in words(lines)


def test_figures_of_different_data_sets_are_not_joined(request_page, refreshed_database, evaluate):
    evaluate(2, {"als": 0.9, "ease": 0.8}, at="2001-01-01")
    evaluate(3, {"als": 0.2, "ease": 0.3})
    page = request_page(refreshed_database, "/published").text
    assert "Metrics over the runs" not in page
    evaluate(4, {"als": 0.2, "ease": 0.300001})
    lines = section(request_page(refreshed_database, "/published").text, "Metrics over the runs")
    assert "nDCG@10 EASE 0.3000 0.0000" in words(lines)
    assert re.findall(r'aria-label="([^"]+)"', lines) == [
        "run 3: 0.3000; run 4: 0.3000", "run 3: 0.2000; run 4: 0.2000",
    ]  # fmt: skip


def test_ratings_of_one_value_are_not_shown_as_stars(request_page, refreshed_database):
    """Views and purchases are ratings of 1."""
    with refreshed_database.transaction() as connection:
        connection.exec_driver_sql("UPDATE recsys_store.ratings SET rating = 1")
        connection.exec_driver_sql(
            "UPDATE recsys_store.ingests SET rating_min = 1, rating_max = 1, rating_step = NULL"
        )
    for path in ("/", "/top", "/movie/2", "/person/1?reasons=1", "/person", "/person/1/ratings"):
        page = request_page(refreshed_database, path)
        assert (page.status_code, "★" in page.text) == (200, False)
    assert re.search(
        r"(19|20)\d\d watched by \d+", words(request_page(refreshed_database, "/top").text)
    )
    assert "histogram" not in request_page(refreshed_database, "/movie/2").text
    assert "Mostly " in words(request_page(refreshed_database, "/person").text)


def test_interactions_are_shown_as_what_was_watched(request_page, refreshed_database):
    with refreshed_database.transaction() as connection:
        connection.exec_driver_sql("UPDATE recsys_store.ratings SET rating = 3")
        connection.exec_driver_sql(
            "UPDATE recsys_store.ingests SET feedback = 'implicit', rating_min = NULL, "
            "rating_max = NULL, rating_step = NULL"
        )
    texts = {
        path: words(request_page(refreshed_database, path).text)
        for path in ("/", "/movie/2", "/person", "/person/1", "/person/1/ratings", "/try")
    }
    assert not [path for path, text in texts.items() if "★" in text]
    for path, expected in (
        ("/", r"60 movies, watched [\d,]+ times by \d+ people"),
        ("/movie/2", r"Watched by \d+"),
        ("/person", r"\d+ movies watched"),
        ("/person/1", r"What they watched, newest first .* 3 times"),
        ("/person/1/ratings", r"Watched by person 1 \d+ movies, newest first\. .* 3 times"),
        ("/try", r"Choose at least 5 movies you know.*✓ ?Watched"),
    ):
        assert re.search(expected, texts[path]), path


HOSTILE = "</title><script>alert(1)</script>'\"&amp;{{ 7 * 7 }}"


def test_hostile_titles_genres_and_names_are_escaped(request_page, refreshed_database):
    with refreshed_database.transaction() as connection:
        values = {"text": HOSTILE}
        connection.execute(sa.text("UPDATE recsys_store.movies SET title = :text"), values)
        connection.execute(
            sa.text("UPDATE recsys_store.genres SET name = :text || genre_id"), values
        )
        connection.execute(sa.text("UPDATE recsys_store.models SET display_name = :text"), values)
        connection.execute(sa.text("UPDATE recsys_store.ingests SET edition = :text"), values)
    for path in (*PATHS, "/person/1?reasons=1", "/person/1/ratings"):
        page = request_page(refreshed_database, path)
        assert page.status_code == 200, path
        assert "<script>" not in page.text, path
        assert "&amp;amp;{{ 7 * 7 }}" in page.text or path in ("/search", "/search?q=film"), path


def test_an_unknown_person_gets_the_list_of_the_api(request_page, pages_database):
    page = request_page(pages_database, "/person/999")
    assert page.status_code == 200
    assert "There is no such person yet." in page.text
    rows = request_page(pages_database, "/users/999/recommendations?n=12").json()
    assert len(rows) == 12
    at = [page.text.index(f'href="/movie/{row["movie_id"]}"') for row in rows]
    assert at == sorted(at)


# --- keys ---


def test_pages_name_people_and_movies_by_their_keys(request_page, make_database, keyed_template):
    database = make_database(keyed_template)
    odd = "a/b c?#"
    change(
        database,
        f"UPDATE recsys_store.movies SET key = '{odd}' WHERE movie_id = 2",
        "UPDATE recsys_store.movies SET key = 'ü%' WHERE movie_id = 4",
        "UPDATE recsys_store.users SET key = 'o''neil & <b>' WHERE user_id = 1",
    )
    person, name = "/person/o%27neil%20%26%20%3Cb%3E", "o&#39;neil &amp; &lt;b&gt;"
    shown = {}
    for path in (
        person, f"{person}?reasons=1", f"{person}/ratings", f"{person}/why/B03", "/person/1",
        "/person", "/", "/top", "/search?q=film", "/movie/%C3%BC%25", "/movie/2", "/try?m2=5",
    ):  # fmt: skip
        response = request_page(database, path)
        assert response.status_code == 200, path
        shown[path] = response.text
    for path in (person, f"{person}/ratings", f"{person}/why/B03", "/person/1"):
        assert f"Person {name}" in shown[path], path
    assert (
        f'type="text" maxlength="512" autocomplete="off" required value="{name}"' in shown[person]
    )
    links = {link for text in shown.values() for link in re.findall(r'href="(/[^"#]*)', text)}
    # No path can hold a slash: that movie is linked by its id.
    assert {"/movie/2", "/movie/%C3%BC%25", "/movie/B03"} <= links
    assert any(link.startswith("/person/user%20") for link in links)
    for link in links:
        assert not re.match(r"/movie/(?!2$)\d", link), link
    followed = sorted(link for link in links if re.match(r"/(person|movie)/[^/?]+$", link))
    assert {request_page(database, link).status_code for link in followed[:15]} <= {200, 303}
    redirect = request_page(database, "/person?id=o%27neil+%26+%3Cb%3E")
    assert (redirect.status_code, redirect.headers["location"]) == (303, person)


def test_the_page_of_a_withdrawn_movie_says_so(request_page, refreshed_database):
    told = "It is withdrawn: no list shows it."
    assert told not in request_page(refreshed_database, "/movie/1").text
    change(refreshed_database, "SELECT recsys.set_available(1, false)")
    assert told in request_page(refreshed_database, "/movie/1").text


# --- errors ------------------------------------------------------------------------

PROBLEMS = {
    "/movie/999": (404, "There is no movie 999. What to do: Search for its title."),
    "/nowhere": (404, "There is nothing at /nowhere."),
    "/static/nothing.css": (404, "There is no file nothing.css."),
    "/top?chart=best": (422, "Run 1 has no chart 'best'. What to do: It has: most_rated,"),
    "/person/999/ratings": (404, "There is no person 999. What to do: Try a random person."),
    "/person/1/ratings?page=0": (422, "Page: Input should be greater than or equal to 1."),
    "/person/1?model=best": (422, "Run 1 has no model 'best'."),
    "/movie/one": (404, "There is no movie 'one'. What to do: Search for its title."),
    "/try/movie/999": (404, "There is no movie 999."),
}


@pytest.mark.parametrize("path", PROBLEMS)
def test_browsers_get_an_error_page(request_page, pages_database, path):
    status, text = PROBLEMS[path]
    response = request_page(pages_database, path)
    assert (response.status_code, response.headers["vary"]) == (status, "Accept")
    assert text in words(response.text)


def test_programs_get_problem_details(request_page, pages_database):
    response = request_page(pages_database, "/movie/999", accept="*/*")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "there is no movie 999"


@pytest.mark.parametrize("path", ["/", "/top", "/person/1", "/try", "/published"])
def test_nothing_is_published(request_page, filled_database, path):
    response = request_page(filled_database, path)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    text = words(response.text)
    assert "Nothing is published yet. What to do: Come back after the first refresh." in text


def test_an_empty_database(request_page, empty_database):
    response = request_page(empty_database, "/")
    assert response.status_code == 503
    assert "The database is empty. What to do: Come back after the first refresh." in words(
        response.text
    )


def test_a_movie_is_shown_before_anything_is_published(request_page, filled_database):
    response = request_page(filled_database, "/movie/1")
    assert response.status_code == 200
    assert "Nothing is published yet. Similar movies appear after the first refresh." in words(
        response.text
    )


# --- style, scripts, icon ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ASSETS)
def test_assets_with_the_right_hash_are_cached_forever(request_page, pages_database, name):
    response = request_page(pages_database, asset_url(name))
    assert (response.status_code, response.headers["cache-control"]) == (200, FOREVER)
    assert response.content == ASSETS[name].content
    wrong_hash = request_page(pages_database, f"/static/{name}?v=0")
    assert wrong_hash.headers["cache-control"] == "no-cache"


def test_pages_are_not_cached(request_page, pages_database):
    assert request_page(pages_database, "/").headers["cache-control"] == "private, no-cache"
