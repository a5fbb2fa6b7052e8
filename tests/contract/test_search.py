"""`search_movies`: words, their beginnings, names, years, accents, one mistake a word."""

import csv
import random
import re

import pytest
import sqlalchemy as sa
from psycopg import sql

from recsys.ingest.movielens.titles import split_title
from recsys.storage.schema import versions
from recsys.storage.server.engine import Database

ADD = sa.text(
    "INSERT INTO recsys_store.movies (movie_id, key, title, original_title, year) "
    "VALUES (:movie_id, CAST(:movie_id AS text), :title, :original, :year)"
)
SEARCH = sa.text("SELECT movie_id FROM recsys.search_movies(:query, :n)")
TITLES = {
    1001: "Matrix, The (1999)",
    1002: "Matrix Reloaded, The (2003)",
    1003: "Matrixes (1980)",
    1004: "Star Wars: Episode IV - A New Hope (1977)",
    1005: "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    1006: "Star Is Born, A (1954)",
    1007: "Seven Samurai (七人の侍) (1954)",
    1008: "U-571 (2000)",
    1009: "Fahrenheit 9/11 (2004)",
    1010: "8 1/2 (8½) (1963)",
    1011: "K-19: The Widowmaker (2002)",
    1012: "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
    1013: "Heat (1995)",
    1014: "Heat (1986)",
    1015: "White Heat (1949)",
    1016: "Blade Runner 2049 (2017)",
    1017: "2001: A Space Odyssey (1968)",
    1018: "Сталкер (1979)",
    1019: "Schindler's List (1993)",
    1020: "WALL·E (2008)",
    1021: "Spider-Man (2002)",
    1022: "E.T. the Extra-Terrestrial (1982)",
    1023: "Thelma & Louise (1991)",
    1024: "Avventura, L' (Adventure, The) (1960)",
    1025: "Ægir and Straße (1990)",
    1026: "Frontière(s) (2007)",
    1027: "Nausicaä of the Valley of the Wind (風の谷のナウシカ) (1984)",
    1028: "Godfather: Part II, The (1974)",
    1029: "Godfather, The (1972)",
    1030: "Léon: The Professional (1994)",
}


def row(movie_id, original):
    title, year = split_title(original)
    return {"movie_id": movie_id, "title": title, "original": original, "year": year}


def search(connection, query, n=10):
    return connection.scalars(SEARCH, {"query": query, "n": n}).all()


@pytest.fixture
def titled(published):
    published.execute(ADD, [row(*each) for each in TITLES.items()])
    return published


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("matrix", [1001, 1002, 1003]),
        ("MATRIX", [1001, 1002, 1003]),
        ("the matrix", [1001, 1002]),
        ("Matrix, The", [1001, 1002]),
        ("Matrix, The (1999)", [1001]),
        ("matr", [1001, 1002, 1003]),
        ("reloaded the matrix", [1002]),
        ("hope new", [1004]),
        ("star", [1004, 1006]),
        ("a star is born", [1006]),
        ("star-wars!", [1004]),
        ("amelie", [1005]),
        ("Amélie", [1005]),
        ("AME\u0301LIE", [1005]),
        ("le fabuleux destin d'amelie poulain", [1005]),
        ("poulain", [1005]),
        ("leo", [1030]),  # too short for a mistake
        ("nausicaa", [1027]),
        ("風の谷の", [1027]),
        ("u-571", [1008]),
        ("u571", [1008]),
        ("571", [1008]),
        ("fahrenheit 9/11", [1009]),
        ("8 1/2", [1010]),
        ("k-19", [1011]),
        ("cité des enfants perdus, la", [1012]),
        ("cite des enfants", [1012]),
        ("city of lost children, the", [1012]),
        ("schindlers list", [1019]),
        ("schindler’s list", [1019]),
        ("wall-e", [1020]),
        ("walle", [1020]),
        ("spiderman", [1021]),
        ("spider man", [1021]),
        ("et the extraterrestrial", [1022]),
        ("thelma and louise", [1023]),
        ("thelma & louise", [1023]),
        ("avventura", [1024]),
        ("aegir strasse", [1025]),
        ("matrix samurai", []),
        ("xyzzy", []),
    ],
)
def test_search_finds_all_words_or_their_beginnings_in_any_order(titled, query, found):
    assert search(titled, query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("heat", [1013, 1014, 1015]),
        ("heat 1995", [1013]),
        ("Heat (1986)", [1014]),
        ("heat 19", [1013, 1014, 1015]),
        ("1949 heat", [1015]),
        ("heat 1994", []),
        ("matrix 1999", [1001]),
        ("blade runner 2049", [1016]),
        ("blade runner 2049 2017", [1016]),
        ("blade runner 2017", [1016]),
        ("2001 space", [1017]),
        ("2001 amelie", [1005]),
        ("сталкер 1979", [1018]),
        ("1000", []),
    ],
)
def test_a_year_is_that_of_the_movie_or_a_word_of_its_title(titled, query, found):
    assert search(titled, query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("matirx", [1001, 1002]),  # changed places
        ("matrxi", [1001, 1002]),
        ("natrix", [1001, 1002]),  # a wrong letter
        ("matrx", [1001, 1002]),  # one missing
        ("atrix", [1001, 1002]),
        ("mattrix", [1001, 1002]),  # one too many
        ("matrixx", [1001, 1002]),
        ("matrixs", [1001, 1002, 1003]),
        ("matrixe", [1003, 1001, 1002]),  # a beginning goes before a mistake
        ("htae", []),
        ("maitirx", []),  # two mistakes
        ("shindlers lisst", [1019]),
        ("seven samuray", [1007]),
        ("spdierman", [1021]),
        ("amelei", [1005]),
        ("сталкир", [1018]),
        ("blde runer 2049", [1016]),
        ("blade runner 2048", []),  # a figure is no mistake
        ("hea", [1013, 1014, 1015]),
        ("hae", []),  # too short to tell
        ("het", []),
        ("ehat", [1013, 1014, 1015]),
    ],
)
def test_from_four_letters_on_a_word_may_hold_one_mistake(titled, query, found):
    assert search(titled, query) == found


def test_whole_names_come_first_with_a_year_and_in_parentheses_too(titled):
    first = {900: "Heat Wave (1995)", 901: "Fabuleux destin d'Amélie Poulain II, Le (2001)"}
    titled.execute(ADD, [row(*each) for each in first.items()])
    assert search(titled, "heat 1995") == [1013, 900]
    assert search(titled, "le fabuleux destin d'amélie poulain") == [1005, 901]
    assert search(titled, "fabuleux destin") == [901, 1005]


def test_misspellings_come_last_and_only_fill_up(titled):
    titled.execute(ADD, [row(1050, "Heart (1990)"), row(1051, "Heath Ledger (2000)")])
    assert search(titled, "heat") == [1013, 1014, 1051, 1015, 1050]
    assert search(titled, "heat", 4) == [1013, 1014, 1051, 1015]


def test_typing_the_godfather_finds_it_early_and_to_the_end(titled):
    title = "the godfather"
    found = {title[:end]: search(titled, title[:end], 1) for end in range(5, len(title) + 1)}
    # Not a whole name yet: the older id goes first among unrated ones.
    assert found == {typed: [1029 if typed == title else 1028] for typed in found}
    assert search(titled, "the g", 2) == [1028, 1029]


@pytest.mark.parametrize(
    "query", ["", "   ", "!!!", "' \" \\ & | ! ( ) : *", "%", "_", "&", "\u0301"]
)
def test_search_for_no_word_finds_nothing(titled, query):
    assert search(titled, query) == []


@pytest.mark.parametrize(
    "query",
    [
        "matrix'; DROP TABLE recsys_store.movies; --",
        "matrix' | 'x",
        "matrix:* & !star",
        "matrix <-> x",
        "mat\\'rix",
        "=matrix",
        "_matr_x",
        "matrix $$ :1 %s",
        "\u2019 \u2028 \ufeff matrix \U0001f3ac",
        "a " * 500,
        "ma" * 500,
        "matrixx " * 100,
    ],
)
def test_search_ignores_query_syntax(titled, query):
    search(titled, query)
    assert search(titled, "matrix") == [1001, 1002, 1003]


def test_the_marks_of_the_index_are_no_part_of_a_query(titled):
    assert search(titled, "=matrix") == search(titled, "_matrix") == [1001, 1002, 1003]
    assert search(titled, "_atrix") == [1001, 1002]
    assert search(titled, "m_trix") == []


def test_search_is_cut_at_n(titled):
    assert search(titled, "matrix", 1) == [1001]
    assert search(titled, "matrix", 0) == []
    assert search(titled, "matrix", 10_000) == [1001, 1002, 1003]


@pytest.mark.parametrize(
    ("query", "n", "code"),
    [(None, 10, "22004"), ("matrix", None, "22004"), ("matrix", -1, "22023")],
)
def test_bad_arguments_are_refused(titled, query, n, code):
    with pytest.raises(sa.exc.DBAPIError) as caught:
        search(titled, query, n)
    assert caught.value.orig.sqlstate == code


def test_of_equal_titles_the_most_rated_comes_first(published):
    counted = dict(
        map(tuple, published.execute(sa.text("SELECT movie_id, ratings_count FROM recsys.movies")))
    )
    expected = sorted(range(1, 61), key=lambda movie: (-counted[movie], movie))
    assert search(published, "film", 1000) == search(published, "filn", 1000) == expected
    # Of many the first ones are looked up along the chart, which has two movies less.
    found = {n: search(published, "film", n) for n in (1, 2, 3, 58, 59)}
    assert found == {n: expected[:n] for n in found}


def test_of_many_movies_without_ratings_the_first_come(published):
    published.execute(ADD, [row(n, f"Sequel {n} (1990)") for n in range(2001, 2101)])
    assert search(published, "sequel", 2) == [2001, 2002]
    assert search(published, "sequle 1990", 2) == [2001, 2002]


def test_search_works_before_anything_is_published(titled):
    titled.execute(sa.text("DELETE FROM recsys_store.published"))
    assert search(titled, "matrix") == [1001, 1002, 1003]
    assert search(titled, "matirx") == [1001, 1002]


def test_a_title_of_any_length_can_be_stored(titled):
    long = {1060: "x" * 20_000, 1061: "word " * 20_000, 1062: "(" * 3_000, 1063: "七" * 5_000}
    titled.execute(ADD, [row(*each) for each in long.items()])
    assert search(titled, "x" * 150) == [1060]
    assert search(titled, "word") == [1061]


def test_titles_are_read_with_no_search_path(titled):
    """A restored dump builds its indexes so."""
    titled.execute(sa.text("SET LOCAL search_path = ''"))
    titled.execute(ADD, row(1070, "Inception (2010)"))
    titled.execute(sa.text("REINDEX INDEX recsys_store.ix_movies_search_terms"))
    assert search(titled, "incepton") == [1070]


def test_search_knows_all_scripts_in_a_database_of_locale_c(server_url, run_on_server):
    name = f"recsys_test_locale_c_{random.randrange(10**9)}"
    create = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER libc"
    run_on_server(sql.SQL(create).format(sql.Identifier(name)))
    url = sa.make_url(server_url).set(drivername="postgresql", database=name)
    database = Database(url.render_as_string(hide_password=False))
    try:
        with database.transaction() as connection:
            versions.upgrade(connection)
            connection.execute(ADD, [row(*each) for each in TITLES.items()])
            queries = ("AMÉLIE", "七人の侍", "сталкир", "风", "cité des enfantz", "ÆGIR STRASSE")
            found = [search(connection, query) for query in queries]
            assert found == [[1005], [1007], [1018], [], [1012], [1025]]
    finally:
        run_on_server(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# --- a catalogue of real titles -------------------------------------------------------------------

SCANS = sa.text("""
SELECT relname, pg_stat_get_xact_numscans(oid) FROM pg_class
WHERE relname IN ('movies', 'ix_movies_search_terms')
  AND relnamespace = 'recsys_store'::regnamespace
""")
REAL = [
    ("jurasic park", "Jurassic Park"),
    ("forest gump", "Forrest Gump"),
    ("shawshank redemtion", "The Shawshank Redemption"),
    ("silense of the lambs", "The Silence of the Lambs"),
    ("pulp fictoin", "Pulp Fiction"),
    ("the godfater", "The Godfather"),
    ("terminater 1984", "The Terminator"),
    ("casablnca", "Casablanca"),
    ("gladiatr 2000", "Gladiator"),
    ("inceptoin", "Inception"),
    ("apocalypes now", "Apocalypse Now"),
    ("raiders of the lots ark", "Raiders of the Lost Ark"),
    ("schindlers list", "Schindler's List"),
    ("amelie", "Amelie"),
    ("se7en", "Seven"),
    ("star wars new hope", "Star Wars: Episode IV - A New Hope"),
]


@pytest.fixture(scope="module")
def real_titles(ml_latest_small):
    """Movies of a real edition, by their ids."""
    with (ml_latest_small / "movies.csv").open(encoding="utf-8") as lines:
        return [row(int(each["movieId"]), each["title"]) for each in csv.DictReader(lines)]


@pytest.fixture(scope="module")
def real(real_titles, server_url, template):
    """A connection to a database with real titles; its transaction is rolled back."""
    url = sa.make_url(server_url).set(drivername="postgresql", database=template)
    with Database(url.render_as_string(hide_password=False)).engine.connect() as connection:
        connection.execute(ADD, real_titles)
        yield connection
        connection.rollback()


@pytest.mark.parametrize(("query", "title"), REAL)
def test_real_titles_are_found_as_people_write_them(real, real_titles, query, title):
    by_id = {each["movie_id"]: each["title"] for each in real_titles}
    assert by_id[search(real, query, 1)[0]].startswith(title)


@pytest.mark.parametrize("query", ["t", "the", "the godfather", "the godfater", "1995", "xyzzyq"])
def test_search_reads_its_index(real, query):
    before = dict(map(tuple, real.execute(SCANS)))
    search(real, query)
    after = dict(map(tuple, real.execute(SCANS)))
    assert after["ix_movies_search_terms"] > before["ix_movies_search_terms"]
    assert after["movies"] == before["movies"]


def one_apart(a, b):
    """Whether one letter is wrong, missing or too many, or two neighbours changed places."""
    a, b = sorted((a, b), key=len)
    start = next(
        (i for i, pair in enumerate(zip(a, b, strict=False)) if len(set(pair)) > 1), len(a)
    )
    rest_a, rest_b = a[start:], b[start:]
    if len(a) == len(b):
        swapped = rest_a[1::-1] + rest_a[2:]
        return rest_a[1:] == rest_b[1:] or swapped == rest_b
    return rest_a == rest_b[1:]


def test_mistakes_are_told_as_by_comparing_every_word(real, real_titles):
    plain = [each for each in real_titles if re.fullmatch(r"[A-Za-z ]+", each["title"])]
    words = {each["movie_id"]: set(each["title"].lower().split()) for each in plain}
    draw = random.Random(7)
    known = sorted({word for each in words.values() for word in each if len(word) > 3})
    for word in draw.sample(known, 40):
        place = draw.randrange(len(word))
        query = word[:place] + draw.choice(["", "q", word[place] * 2]) + word[place + 1 :]
        if len(query) < 4:
            continue
        expected = {
            movie_id
            for movie_id, found in words.items()
            if any(
                each.startswith(query) or (len(each) > 2 and one_apart(each, query))
                for each in found
            )
        }
        assert set(search(real, query, 10_000)) & set(words) == expected, query
