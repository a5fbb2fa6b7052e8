"""Drawn posters: what decides them, their pictures, their colors, and the letters of titles."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise, product

import pytest

from recsys.web.pages.posters import VERSION, poster_of
from recsys.web.posters.colors import ERAS
from recsys.web.posters.design import Design, design_of, series_of
from recsys.web.posters.drawing import colors_of, draw, is_light
from recsys.web.posters.genres import GENRES, OTHER
from recsys.web.posters.lettering import MINIMUM, ROOM, SIZES, lettering, measure

SCIENCE_FICTION = ("Action", "Adventure", "Sci-Fi")
STAR_WARS = [
    (260, "Star Wars: Episode IV - A New Hope", 1977),
    (1196, "Star Wars: Episode V - The Empire Strikes Back", 1980),
    (1210, "Star Wars: Episode VI - Return of the Jedi", 1983),
    (2628, "Star Wars: Episode I - The Phantom Menace", 1999),
    (5378, "Star Wars: Episode II - Attack of the Clones", 2002),
    (33493, "Star Wars: Episode III - Revenge of the Sith", 2005),
    (122886, "Star Wars: Episode VII - The Force Awakens", 2015),
    (179819, "Star Wars: The Last Jedi", 2017),
]
SERIES = {
    "Heat": ("heat", 0),
    "Toy Story 2": ("toy story", 2),
    "Rocky IV": ("rocky", 4),
    "Alien³": ("alien³", 0),
    "The Godfather: Part II": ("the godfather", 2),
    "Star Trek II: The Wrath of Khan": ("star trek", 2),
    "Star Wars: Episode V - The Empire Strikes Back": ("star wars", 5),
    "Mission: Impossible - Fallout": ("mission", 0),
    "Harry Potter and the Half-Blood Prince": ("harry potter", 0),
    "Beauty and the Beast": ("beauty and the beast", 0),
    "2001: A Space Odyssey": ("2001", 0),
    "Saw (a.k.a. X)": ("saw", 0),
    "II": ("ii", 0),
    ": ": (":", 0),
}
# A browser shows a picture without running scripts, but also as a page of its own if one opens it.
ELEMENTS = {
    "svg", "g", "path", "rect", "circle", "ellipse", "clipPath", "linearGradient",
    "radialGradient", "stop",
}  # fmt: skip
SEEDS = range(0, 0x10000, 0x8A7)


@pytest.mark.parametrize(("title", "found"), SERIES.items())
def test_the_series_of_a_title(title, found):
    assert series_of(title) == found


def test_what_decides_a_poster():
    heat = poster_of(6, "Heat", 1995, ["Action", "Crime", "Thriller"])
    assert (heat.url, heat.classes, heat.title) == (
        f"/poster/crime/action/1990/e6f89af7.svg?v={VERSION}",
        "l-bottom f-sans s0 capitals",
        "Heat",
    )
    for genres, slugs in (
        (["Film-Noir", "Mystery"], ("film-noir", "mystery")),
        (["Drama", "Children's"], ("children", "drama")),
        (["Science Fiction", "Music"], ("musical", "sci-fi")),
        (["Comedy"], ("comedy", "comedy")),
        (["(no genres listed)"], ("other", "other")),
        ([], ("other", "other")),
    ):
        found = design_of(1, "Heat", None, tuple(genres))
        assert (found.genre, found.second, found.decade) == (*slugs, 1990)


def test_sequels_differ_and_look_related():
    found = [design_of(*each, SCIENCE_FICTION) for each in STAR_WARS]
    assert len({(one.series, one.layout, one.face) for one in found}) == 1
    assert len({draw(one) for one in found}) == len(STAR_WARS)
    # Neighbours on a shelf have different hues for certain.
    by_part = [found[place] for place in (3, 4, 5, 0, 1, 2)]
    assert all(a.own % 8 != b.own % 8 for a, b in pairwise(by_part))


def test_movies_of_a_genre_have_many_motifs():
    titles = [f"Title {chr(65 + n)}{chr(97 + n)}" for n in range(26)]
    for name, style in GENRES.items():
        found = {design_of(1, title, 1990, (name,)).motif for title in titles}
        assert len(style.motifs) >= 4
        assert len(found) >= len(style.motifs) - 2


def test_every_picture_is_well_formed_and_harmless():
    drawn = set()
    for place, name in enumerate([*GENRES, "other"]):
        for number in range(24):
            decade = 1900 + (number + place) % 14 * 10
            design = Design(name, name, decade, 133 * number, SEEDS[number])
            text = draw.__wrapped__(design)
            drawn |= {design.motif, design.layout}
            elements = list(ET.fromstring(text).iter())
            assert {one.tag.split("}")[1] for one in elements} <= ELEMENTS
            assert not any("href" in key for one in elements for key in one.attrib)
            assert not any(key in ("style", "class") for one in elements for key in one.attrib)
            assert "nan" not in text
            assert len(text) < 30_000
            assert draw.__wrapped__(design) == text
    assert drawn == {m for style in (*GENRES.values(), OTHER) for m in style.motifs} | set(ROOM)


def luminance(color):
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_titles_contrast_with_their_ground():
    least = []
    for (name, second), decade, seed in product(
        zip(GENRES, [*list(GENRES)[5:], *list(GENRES)[:5]], strict=True), ERAS, SEEDS
    ):
        design = Design(name, second, decade, seed, seed * 7 % 0x10000)
        colors = colors_of(design)
        light = is_light(design)
        least.append(contrast("#ffffff", colors.near))  # at the bottom
        least.append(contrast("#1b1a20" if light else "#ffffff", colors.deep))  # at the top
        least.append(contrast("#1b1a20", colors.spark) if light else least[0])  # below a frame
    assert min(least) >= 7


TITLES = (
    "Z", "Heat", "Koyaanisqatsi", "Rush Hour", "The Shawshank Redemption", "Wild Strawberries",
    "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb", "Bollywood/Hollywood",
    "The Last Wedding (Kivenpyörittäjän kylä)", "Frost/Nixon", "HyperNormalisation",
    "Star Wars: Episode VI - Return of the Jedi", "Mission: Impossible", "七人の侍", "기생충",
    "Бриллиантовая рука", "גבעת חלפון אינה עונה", "باب الحديد", "ลุงบุญมีระลึกชาติ",
)  # fmt: skip


@pytest.mark.parametrize("layout", ROOM)
@pytest.mark.parametrize("face", ["sans", "wide", "serif", "italic"])
def test_the_longest_word_fits(face, layout):
    for title in TITLES:
        found = lettering(title, face, layout)
        words = title.replace("/", "/ ").split()
        if not title.isascii():
            continue
        widest = max(measure(word, face, False) for word in words)
        assert SIZES[found.size] * widest <= ROOM[layout][0] or found.size == MINIMUM


def test_titles_as_html():
    def html(title):
        return str(lettering(title, "sans", "top").html)

    assert html("Star Wars: Episode VI - Return of the Jedi") == (
        "Star Wars<i>: </i><small>Episode VI\u00a0- Return of the Jedi</small>"
    )
    assert html("Mission: Impossible - Ghost Protocol") == (
        "Mission: Impossible<i>\u00a0- </i><small>Ghost Protocol</small>"
    )
    assert html("Mission: Impossible") == "Mission: Impossible"
    assert html("Léon (The Professional)") == "Léon<i> </i><small>(The Professional)</small>"
    assert html('<b> & "x": <script>y z') == (
        "&lt;b&gt; &amp; &#34;x&#34;<i>: </i><small>&lt;script&gt;y z</small>"
    )
    # A word that never fits gets places for hyphens.
    assert html("Supercalifragilisticexpialidocious") == (
        "Superca\u00adlifra\u00adgi\u00adlisti\u00adcexpia\u00adli\u00addo\u00adcious"
    )
    assert html("x" * 500) == "x" * 500


def test_a_picture_needs_no_query_and_is_kept_by_browsers(request_page, pages_database):
    url = poster_of(6, "Heat", 1995, ["Crime"]).url
    response = request_page(pages_database, url)
    assert (response.status_code, response.text) == (
        200,
        draw(design_of(6, "Heat", 1995, ("Crime",))),
    )
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    # Another version of the program may draw it differently.
    assert request_page(pages_database, url[:-1] + "x").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nonsense/drama/1990/00000000.svg", 404),
        ("drama/nonsense/1990/00000000.svg", 404),
        ("drama/drama/199x/00000000.svg", 422),
        ("drama/drama/-10/00000000.svg", 422),
        ("drama/drama/99999/00000000.svg", 422),
        ("drama/drama/1990/0000000g.svg", 422),
        ("drama/drama/1990/000000000.svg", 422),
    ],
)
def test_pictures_that_do_not_exist(request_page, pages_database, path, status):
    assert request_page(pages_database, f"/poster/{path}").status_code == status
