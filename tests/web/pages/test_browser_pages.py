"""The pages in a browser: search as you type, stars, keyboard, no scripts, accessibility."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from itertools import product

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from recsys.web.pages.posters import poster_of

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
POSTERS = re.compile(r"^https://image\.tmdb\.org/")
PATHS = (
    "/", "/top?genre=Drama", "/search?q=film", "/movie/1", "/person", "/person/1",
    "/person/1/why/3", "/person/1/ratings", "/try?m1=5&q=film+2", "/published", "/nowhere",
)  # fmt: skip


@pytest.fixture(scope="module")
def address(pages_database):
    """The address of `recsys serve` over the database of the pages."""
    command = [sys.executable, "-m", "recsys", "serve", "--port", "0"]
    environment = {**os.environ, "RECSYS_DATABASE_URL": pages_database.url}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        said = server.stderr.readline()
        yield re.search(r"http://[^ ]+", said)[0]
        server.terminate()
        server.stderr.read()


@pytest.fixture(scope="module")
def browser(chromium):
    # Only for this module: while it runs, the thread has a running event loop.
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser, address):
    """Open a page in a browser context of its own, with or without posters."""
    contexts = []

    def open_page(path, *, posters=True, **options):
        context = browser.new_context(base_url=address, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        if posters:
            context.route(
                POSTERS, lambda route: route.fulfill(body=PIXEL, content_type="image/png")
            )
        else:
            context.route(POSTERS, lambda route: route.abort())
        page = context.new_page()
        page.messages = []
        page.on("console", lambda message: page.messages.append((message.type, message.text)))
        page.on("pageerror", lambda error: page.messages.append(("error", str(error))))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def listed(page):
    return [int(found.get_attribute("data-movie")) for found in page.locator("#listed li").all()]


# The dark scheme differs from the light one in its colours only.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "rules"),
    [
        ("light", {}),
        ("dark", {"runOnly": ["cat.color"]}),
    ],
)
def test_every_page_is_accessible_and_silent(open_page, scheme, rules):
    page = open_page("/", color_scheme=scheme, reduced_motion="reduce")
    found = {}
    for path in PATHS:
        page.goto(path)
        page.evaluate(OPEN)
        results = Axe().run(page, options=rules).response["violations"]
        found[path] = [(each["id"], each["nodes"][0]["html"][:200]) for each in results]
    assert found == {path: [] for path in PATHS}
    # The browser logs the 404 of the last page.
    assert [text for _, text in page.messages if "404" not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_page_is_wider_than_the_window(open_page, width):
    page = open_page("/", viewport={"width": width, "height": 700})
    wide = {}
    for path in PATHS:
        page.goto(path)
        page.evaluate(OPEN)
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert wide == {path: width for path in PATHS}


def test_search_as_you_type_by_keyboard(open_page):
    page = open_page("/")
    field = page.get_by_role("combobox", name="Search for a movie")
    field.press_sequentially("film 1")
    options = page.get_by_role("option")
    expect(options).to_have_count(8)
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(options.first).to_have_text("The Film 1 1951")
    field.press("ArrowDown")
    field.press("ArrowDown")
    second = options.nth(1)
    expect(second).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", second.get_attribute("id"))
    movie = second.get_attribute("data-movie")
    field.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_value("film 1")
    field.press("ArrowDown")
    field.press("ArrowDown")
    field.press("Enter")
    page.wait_for_url(f"**/movie/{movie}")
    assert page.messages == []


def test_search_by_the_form(open_page):
    page = open_page("/")
    page.get_by_role("combobox", name="Search for a movie").fill("film 12")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=film+12")
    expect(page.get_by_role("heading", level=1)).to_have_text("Movies matching “film 12”")


def test_the_list_follows_stars_by_keyboard_only(open_page, contract):
    page = open_page("/try")
    before = listed(page)
    first = page.locator("li.rate input").first
    while not first.evaluate("field => field === document.activeElement"):
        page.keyboard.press("Tab")
    given = {}
    for _ in range(5):
        name = page.evaluate("document.activeElement.name")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        given[int(name[1:])] = 3
        expect(page.locator("#listed [data-ratings]")).to_have_attribute(
            "data-ratings", str(len(given))
        )
        page.keyboard.press("Tab")  # to the button that clears
        page.keyboard.press("Tab")
    expect(page.get_by_role("status")).to_contain_text("5 ratings.")
    page.wait_for_function("!document.querySelector('#listed .muted').textContent.includes('more')")
    ratings = ", ".join(f'"{movie}": {rating}' for movie, rating in given.items())
    rows = contract(f"SELECT movie_id FROM recsys.recommend_for('{{{ratings}}}', 10)")
    assert listed(page) == [row[0] for row in rows] != before
    assert page.messages == []


def test_changes_of_the_list_are_announced(open_page):
    page = open_page("/try?m2=5")
    before = listed(page)
    page.locator("li.rate .stars:not(:has(:checked)) label").first.click()
    status = page.get_by_role("status")
    expect(status).to_contain_text("2 ratings. The list")
    after = listed(page)
    new = len(set(after) - set(before))
    first = page.locator("#listed b").first.inner_text()
    expected = (
        f"The list changed: {new} new, first is {first}."
        if after != before
        else "The list is the same."
    )
    expect(status).to_have_text(f"2 ratings. {expected}")
    assert len(page.locator("#listed .is-new").all()) == new


def test_ratings_stay_in_the_address_and_in_the_browser(open_page):
    page = open_page("/try")
    page.locator("li.rate .stars").first.locator("label").nth(4).click()
    page.wait_for_url("**/try?m*=5")
    address = page.url
    page.goto("/")
    page.goto("/try")
    page.wait_for_url(address)
    expect(page.locator("#rated li.rate")).to_have_count(1)
    page.get_by_role("button", name="Clear the rating of").first.click()
    expect(page.locator("#listed [data-ratings]")).to_have_attribute("data-ratings", "0")
    page.wait_for_url("**/try")
    page.goto(address)
    page.get_by_role("link", name="Start again").click()
    page.wait_for_url("**/try")
    expect(page.locator(".stars input:checked")).to_have_count(0)


def test_a_movie_that_is_found_can_be_rated(open_page):
    page = open_page("/try")
    page.get_by_role("combobox", name="Find a movie you know").press_sequentially("film 60")
    page.get_by_role("option", name="The Film 60").click()
    expect(page.locator("#rated li[data-movie='60'] input").first).to_be_focused()
    page.keyboard.press("Space")
    page.wait_for_url("**/try?m60=1")
    # It has no ratings, so the list follows from its content only.
    expect(page.locator("#listed [data-ratings]")).to_have_attribute("data-ratings", "1")


def test_trying_without_scripts(open_page):
    page = open_page("/try", java_script_enabled=False)
    before = listed(page)
    first = [tile.get_attribute("data-movie") for tile in page.locator("li.rate").all()[:5]]
    for movie in first:
        page.locator(f"input[name='m{movie}'][value='5']").check(force=True)
    page.get_by_role("button", name="Show my list").click()
    parameters = page.url.split("?")[1].split("&")
    assert parameters == ["q=", *(f"m{movie}=5" for movie in first)]
    expect(page.locator("#listed")).to_contain_text("Based on 5 ratings.")
    assert listed(page) != before
    page.get_by_role("button", name=f"Clear the rating of The Film {first[0]}", exact=True).click()
    expect(page.locator("#listed")).to_contain_text("Based on 4 ratings")


def test_a_poster_that_fails_to_load_shows_the_drawn_one(open_page):
    there = open_page("/movie/1").locator(".movie-poster")
    expect(there.locator("img")).to_have_js_property("naturalWidth", 1)
    missing = open_page("/movie/1", posters=False).locator(".movie-poster")
    expect(missing.locator("img.drawn")).to_have_js_property("naturalWidth", 200)
    expect(missing.locator(".poster-title")).to_be_visible()
    expect(missing.locator(".poster-title")).to_have_text("The Film 1")


TITLES = (
    "Z", "Koyaanisqatsi", "The Shawshank Redemption", "Wild Strawberries (Smultronstället)",
    "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb", "Frost/Nixon",
    "Bollywood/Hollywood", "The Last Wedding (Kivenpyörittäjän kylä)", "HyperNormalisation",
    "Star Wars: Episode VI - Return of the Jedi", "Mississippi Mermaid", "Wallace & Gromit",
    "Independence Day (a.k.a. ID4)", "Supercalifragilisticexpialidocious", "<b>Bold</b> & Co",
)  # fmt: skip
FACES = (["Sci-Fi"], ["Comedy"], ["Romance"], ["Film-Noir"], ["Drama"])
# Words of more than one line that have no hyphen, titles wider than their poster, missing pictures.
BROKEN = """posters => posters.flatMap(poster => {
  const title = poster.querySelector(".poster-title");
  const found = title.scrollWidth > title.clientWidth ? ["wide: " + title.textContent] : [];
  const walk = document.createTreeWalker(title, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    for (const word of walk.currentNode.data.matchAll(/[^\\s\\u00ad\\u200b-]+/g)) {
      // The first letter after a soft hyphen also has the box of the hyphen, before its own.
      const boxes = place => {
        const range = document.createRange();
        range.setStart(walk.currentNode, place);
        range.setEnd(walk.currentNode, place + 1);
        return [...range.getClientRects()];
      };
      const first = boxes(word.index).at(-1), last = boxes(word.index + word[0].length - 1)[0];
      if (first && last && first.top !== last.top) found.push(word[0]);
    }
  }
  return found;
})"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [90, 342])
def test_no_word_of_a_drawn_title_is_broken(open_page, width):
    page = open_page("/")
    drawn = [
        poster_of(number, title, 1994, genres)
        for number, (title, genres) in enumerate(product(TITLES, FACES))
    ]
    page.evaluate(
        "html => document.querySelector('main').innerHTML = html",
        "".join(
            f'<div class="test"><span class="poster {each.classes}"><img class="drawn" '
            f'src="{each.url}"><span class="poster-title">{each.title}</span></span></div>'
            for each in drawn
        ),
    )
    page.evaluate(
        f"document.querySelectorAll('.test').forEach(each => each.style.width = '{width}px')"
    )
    assert page.locator(".poster").evaluate_all(BROKEN) == []
    assert page.locator(".poster-title").first.inner_text() == "Z"
    page.locator("img.drawn").last.evaluate("image => image.decode()")
    assert not [text for kind, text in page.messages if kind == "error"]


def test_a_person_and_reasons(open_page, contract):
    page = open_page("/person")
    page.get_by_label("Person").fill("1")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/person/1")
    expect(page.locator("text=because of")).to_have_count(12)
    page.get_by_label("Model").select_option("als")
    page.get_by_role("button", name="Show the list of this model").click()
    page.wait_for_url("**/person/1?model=als")
    rows = contract("SELECT title FROM recsys.recommend(1, 12, 'als')")
    titles = page.locator(".picks .poster-title")
    expect(titles).to_have_text([row[0] for row in rows], use_inner_text=False)
    page.get_by_role("link", name=f"Why? {rows[0][0]}", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Why {rows[0][0]}?")
    assert page.messages == []


def test_models_are_compared_by_keyboard_and_without_scripts(open_page):
    page = open_page("/movie/2", java_script_enabled=False)
    by_als = page.get_by_role("heading", name="ALS", exact=True)
    expect(by_als).to_be_hidden()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(by_als).to_be_visible()


def test_a_movie_and_a_person_are_short_on_a_phone(open_page):
    page = open_page("/movie/2", viewport={"width": 390, "height": 844})
    height = "document.documentElement.scrollHeight"
    assert page.evaluate(height) < 1800
    page.goto("/person/1")
    assert page.evaluate(height) < 2800


def test_the_first_tab_skips_to_the_content(open_page):
    page = open_page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
