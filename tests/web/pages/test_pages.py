"""The pages as a browser without scripts gets them."""

import re
from html import unescape

import pytest

from recsys.web.pages.assets import ASSETS, FOREVER, asset_url
from recsys.web.pages.posters import poster_of

PATHS = (
    "/", "/top", "/search", "/search?q=film", "/movie/1", "/movie/60", "/person", "/person/1",
    "/person/1/why/3", "/try", "/try?m1=5", "/published",
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
    return re.split(rf"<h[23][^>]*>{re.escape(heading)}", html, maxsplit=1)[1].split("</section>")[
        0
    ]


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


def test_similar_movies_stand_side_by_side_by_model(get, contract):
    page = get("/movie/2")
    by_name = dict(contract("SELECT display_name, model FROM recsys.models"))

    def models_of(page):
        return [by_name[name] for name in re.findall(r'<h3 id="by-\d+">([^<]+?) *<', page)]

    names = {model: name for name, model in by_name.items()}
    models = models_of(page)
    assert models == ["ease", "als", "content_genres", "item_knn"]
    for model in models:
        rows = contract(f"SELECT movie_id FROM recsys.similar(2, 8, '{model}')")
        assert movies(section(page, names[model])) == [row[0] for row in rows]
    assert "1 more model" in page
    everything = get("/movie/2?models=all")
    assert models_of(everything) == [*models, "mf"]
    assert "more model" not in everything


def test_a_person_with_recommendations_and_reasons(get, contract):
    page = get("/person/1?reasons=1")
    recommended = [row[0] for row in contract("SELECT movie_id FROM recsys.recommend(1, 12)")]
    lines = re.findall(r'<li class="panel">(.*?)</li>', page, re.DOTALL)
    assert [movies(line)[0] for line in lines] == recommended
    for line, movie_id in zip(lines, recommended, strict=True):
        because = contract(
            f"SELECT because_movie_id FROM recsys.explain(1, {movie_id}) "
            "ORDER BY contribution DESC, because_movie_id LIMIT 2"
        )
        assert movies(line)[1:] == [row[0] for row in because]
        assert "because of The Film" in words(line)
    liked = [row[0] for row in contract(
        "SELECT movie_id FROM recsys.ratings WHERE user_id = 1 "
        "ORDER BY rating DESC, rated_at DESC NULLS LAST, movie_id LIMIT 12"
    )]  # fmt: skip
    assert movies(section(page, "What they liked")) == liked
    assert "Stored list" in page
    assert "Run 1 stored a list by ease." in page


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


def test_why_has_every_contribution(get, contract):
    [(movie_id, title)] = contract("SELECT movie_id, title FROM recsys.recommend(1, 1)")
    rows = contract(
        "SELECT because_title, rating, contribution, share, score "
        f"FROM recsys.explain(1, {movie_id})"
    )
    text = words(get(f"/person/1/why/{movie_id}"))
    assert f"Why {title} ?" in text
    [(name,)] = contract("SELECT display_name FROM recsys.models WHERE model = 'ease'")
    assert f"{name} gives it a score of {rows[0][4]:.4g}, the sum of these contributions." in text
    for because, rating, contribution, share, _ in rows[:20]:
        assert f"{because} {rating:g} {contribution:.4f} {100 * share:.1f} %" in text


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


def test_runs_show_metrics_stages_and_publications(get, contract):
    page = get("/published")
    text = words(page)
    assert "Run 1 is published" in text
    for model, metric, value in contract(
        "SELECT m.display_name, k.metric, k.value FROM recsys.run_metrics AS k "
        "JOIN recsys.models AS m ON m.model = k.model WHERE k.segment = 'all'"
    ):
        assert re.search(rf"{metric} {re.escape(model)} · [^·]*? {value:.4f}", text)
    stages = re.findall(r'<th scope="row">(\w+)', section(page, "Stages of run 1"))
    rows = contract("SELECT stage FROM recsys.run_stages WHERE run_id = 1 ORDER BY position")
    assert stages == [row[0] for row in rows]
    fresh = re.findall(r'<th scope="row">([\w ]+)', section(page, "Freshness"))
    assert fresh == ["charts", "factors", "recommendations", "similar movies"]
    assert "publish run 1 by" in text


# --- errors ------------------------------------------------------------------------

PROBLEMS = {
    "/movie/999": (404, "There is no movie 999. What to do: Search for its title."),
    "/person/999": (404, "There is no person 999. What to do: Try a random person."),
    "/nowhere": (404, "There is nothing at /nowhere."),
    "/static/nothing.css": (404, "There is no file nothing.css."),
    "/top?chart=best": (422, "Run 1 has no chart 'best'. What to do: It has: most_rated,"),
    "/person/1?model=best": (422, "Run 1 has no model 'best'."),
    "/movie/one": (422, "Movie_id: Input should be a valid integer"),
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
