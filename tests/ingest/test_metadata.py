"""The Movies Dataset: every defect of the real files in a small one, and the real files' counts."""

from __future__ import annotations

import ast
import csv
import hashlib
import itertools
import random
import warnings
import zipfile
from pathlib import Path

import pytest

from recsys.domain import Credit, MovieMetadata, Person, RejectedRow, SourceFile
from recsys.errors import DataError
from recsys.ingest.tmdb.dataset import read_metadata
from recsys.ingest.tmdb.python_literals import _as_json, parse_literal

HEADER = (
    "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_language,"
    "original_title,overview,popularity,poster_path,production_companies,production_countries,"
    "release_date,revenue,runtime,spoken_languages,status,tagline,title,video,vote_average,"
    "vote_count"
)
COLUMNS = HEADER.split(",")
TOY_STORY = {
    "adult": "False",
    "belongs_to_collection": "{'id': 10194, 'name': \"Andy's \\xa0Toys\", 'poster_path': None}",
    "budget": "30000000",
    "genres": "[{'id': 16, 'name': 'Animation'}]",
    "id": "862",
    "imdb_id": "tt0114709",
    "original_language": "en",
    "original_title": "Toy Story",
    "overview": 'Led by Woody,\n"Andy\'s" toys\nlive happily.',
    "popularity": "21.946943",
    "poster_path": "/rhIR.jpg",
    "release_date": "1995-10-30",
    "revenue": "373554033",
    "runtime": "81.0",
    "tagline": " To infinity ",
    "title": "Toy Story",
    "vote_average": "7.7",
    "vote_count": "5415",
}
UNKNOWN = {
    "id": "2",
    "imdb_id": "0",
    "original_title": "Ariel",
    "budget": "0",
    "revenue": "0",
    "runtime": "0.0",
    "vote_average": "0.0",
    "vote_count": "0",
    "overview": "No overview found.",
    "release_date": "1",
}


def line(*cells: str) -> str:
    """Quote every cell that needs it, as the real files do."""
    quoted = ('"' + c.replace('"', '""') + '"' if set(c) & set('",\n\r') else c for c in cells)
    return ",".join(quoted) + "\n"


def film(**cells: str) -> str:
    return line(*(cells.get(column, "") for column in COLUMNS))


def write(folder: Path, name: str, *lines: str, header: str | None = None) -> Path:
    headers = {"movies_metadata.csv": HEADER, "keywords.csv": "id,keywords"}
    first = header or headers.get(name, "cast,crew,id")
    path = folder / name
    path.write_bytes((first + "\n" + "".join(lines)).encode("utf-8", "surrogateescape"))
    return path


def actor(id_: object, name: object, order: object, character: object = "") -> dict[str, object]:
    return {
        "cast_id": 14, "character": character, "credit_id": "52fe4284c3a36847f8024f95",
        "gender": 2, "id": id_, "name": name, "order": order, "profile_path": None,
    }  # fmt: skip


def crew(id_: object, name: object, job: str = "Director") -> dict[str, object]:
    return {
        "credit_id": "52fe4284c3a36847f8024f49", "department": "Directing", "gender": 0,
        "id": id_, "job": job, "name": name, "profile_path": "/7Edq.jpg",
    }  # fmt: skip


# --- movies_metadata.csv --------------------------------------------------------------------------


def test_movie_row_becomes_typed_values(tmp_path: Path) -> None:
    found = read_metadata(write(tmp_path, "movies_metadata.csv", film(**TOY_STORY)))
    assert found.movies == [
        MovieMetadata(
            tmdb_id=862,
            imdb_id=114709,
            title="Toy Story",
            overview='Led by Woody,\n"Andy\'s" toys\nlive happily.',
            tagline="To infinity",
            release_date="1995-10-30",
            runtime=81.0,
            original_language="en",
            vote_average=7.7,
            vote_count=5415,
            popularity=21.946943,
            budget=30000000,
            revenue=373554033,
            poster_path="/rhIR.jpg",
            collection="Andy's \xa0Toys",
            genres=("Animation",),
        )
    ]
    assert (found.rejected, found.rows_read, found.duplicates) == ([], 1, 0)
    assert (found.keywords, found.movie_keywords, found.people, found.credits) == ({}, [], [], [])


def test_zero_is_unknown_except_for_votes(tmp_path: Path) -> None:
    found = read_metadata(write(tmp_path, "movies_metadata.csv", film(**UNKNOWN)))
    assert found.movies == [MovieMetadata(2, None, "Ariel", vote_average=0.0, vote_count=0)]
    assert found.rejected == []


@pytest.mark.parametrize(
    ("column", "cell", "field", "value"),
    [
        ("budget", "/ff9qCepilowshEtG2GYWwzt2bs4.jpg", "budget", None),
        ("budget", "9" * 19, "budget", None),
        ("revenue", "-5", "revenue", None),
        ("revenue", "373554033.0", "revenue", 373554033),
        ("runtime", "nan", "runtime", None),
        ("popularity", "Beware Of Frost Bites", "popularity", None),
        ("popularity", "inf", "popularity", None),
        ("popularity", "1_0", "popularity", None),
        ("vote_average", "10.5", "vote_average", None),
        ("vote_count", "160.0", "vote_count", 160),
        ("vote_count", "٣", "vote_count", None),
        ("vote_count", str(2**31), "vote_count", None),
        ("imdb_id", "", "imdb_id", None),
        ("imdb_id", "tt", "imdb_id", None),
        ("imdb_id", "tt0000000", "imdb_id", None),
        ("release_date", "1995-02-29", "release_date", None),
        ("release_date", "19951030", "release_date", None),
        ("release_date", "1995-W44-1", "release_date", None),
        ("poster_path", "poster.jpg", "poster_path", None),
        ("poster_path", "", "poster_path", None),
        ("overview", "  ", "overview", None),
        ("overview", "No Overview", "overview", None),
        ("belongs_to_collection", "", "collection", None),
        ("belongs_to_collection", "0.065736", "collection", None),
        ("belongs_to_collection", "None", "collection", None),
        ("belongs_to_collection", "{'name': None}", "collection", None),
        ("belongs_to_collection", "{'name': '\\ud800'}", "collection", None),
        ("belongs_to_collection", "{'name': ", "collection", None),
        ("title", "", "title", "Toy Story"),
    ],
)
def test_bad_optional_cell_leaves_the_rest(
    tmp_path: Path, column: str, cell: str, field: str, value: object
) -> None:
    whole = read_metadata(write(tmp_path, "movies_metadata.csv", film(**TOY_STORY))).movies[0]
    path = write(tmp_path, "movies_metadata.csv", film(**(TOY_STORY | {column: cell})))
    found = read_metadata(path)
    expected = {name: getattr(whole, name) for name in MovieMetadata.__slots__} | {field: value}
    assert found.movies == [MovieMetadata(**expected)]
    assert found.rejected == []


def test_row_split_by_a_bare_newline_is_a_short_movie_and_a_rejected_rest(tmp_path: Path) -> None:
    head = "False,,0,[],,82663,tt0113002,en,Midnight Man,British soldiers force a terrorist\n"
    rest = (
        " - Written by Ørnås,0.065736,/ff9qCepilowshEtG2GYWwzt2bs4.jpg,\"[{'name': 'X', 'id': 1}]\""
        ",\"[{'iso': 'CA'}, {'iso': 'LU'}]\",1997-08-20,0,104.0,[],Released,,Midnight Man,False,6.0"
        ",1\n"
    )
    path = write(tmp_path, "movies_metadata.csv", film(**TOY_STORY), head, rest, film(**UNKNOWN))
    found = read_metadata(path)
    assert [movie.tmdb_id for movie in found.movies] == [862, 82663, 2]
    assert found.movies[1] == MovieMetadata(
        82663, 113002, "Midnight Man", "British soldiers force a terrorist", original_language="en"
    )
    # The header is line 1 and Toy Story's overview takes lines 2 to 4.
    assert found.rejected == [
        RejectedRow("movies_metadata.csv", 6, rest.rstrip("\n"), "id is not a number: '1997-08-20'")
    ]
    assert found.rows_read == 4


def test_rejected_row_tells_the_line_it_starts_on(tmp_path: Path) -> None:
    bad = film(**(TOY_STORY | {"id": "x", "overview": "a\nb" + "c" * 1000}))
    good = film(**TOY_STORY)
    found = read_metadata(write(tmp_path, "movies_metadata.csv", good, "\n", bad, good, bad))
    assert [(r.line, r.content, r.reason) for r in found.rejected] == [
        (6, bad[:500], "id is not a number: 'x'"),
        (11, bad[:500], "id is not a number: 'x'"),
    ]
    assert (found.rows_read, found.duplicates, len(found.movies)) == (4, 1, 1)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (film(**(TOY_STORY | {"id": ""})), "id is not a number: ''"),
        (film(**(TOY_STORY | {"id": "0"})), "id is not a number: '0'"),
        (film(**(TOY_STORY | {"id": "9" * 12})), "id is not a number: '999999999999'"),
        (film(**(TOY_STORY | {"title": "", "original_title": " "})), "no title"),
        (film(**TOY_STORY).replace("862", "862,1"), "25 fields where the header has 24"),
        (
            film(**TOY_STORY).replace("Story", "St\udcffory"),
            "broken encoding: not UTF-8",
        ),
        (film(**TOY_STORY).replace("Story", "St\0ory"), "broken encoding: a NUL byte"),
        ('False,,0,[],,5,tt1,en,"Four Rooms,x\ny,z\n', "9 fields where the header has 24"),
        (
            film(**(TOY_STORY | {"overview": "h" * (1 << 20) + "h"})),
            "field larger than field limit (1048576)",
        ),
    ],
)
def test_unusable_row_is_rejected_and_the_others_stay(
    tmp_path: Path, bad: str, reason: str
) -> None:
    found = read_metadata(write(tmp_path, "movies_metadata.csv", film(**UNKNOWN), bad))
    assert [(r.file, r.line, r.reason) for r in found.rejected] == [
        ("movies_metadata.csv", 3, reason)
    ]
    assert [movie.tmdb_id for movie in found.movies] == [2]
    for row in found.rejected:
        row.content.encode()
        assert "\0" not in row.content


def test_reading_goes_on_after_a_field_too_long(tmp_path: Path) -> None:
    long = film(**(UNKNOWN | {"homepage": "h" * (1 << 21)}))
    found = read_metadata(write(tmp_path, "movies_metadata.csv", long, film(**TOY_STORY)))
    assert [movie.tmdb_id for movie in found.movies] == [862]
    assert [(r.line, len(r.content)) for r in found.rejected] == [(2, 500)]
    assert found.rows_read == 2


def test_broken_bytes_are_shown_escaped(tmp_path: Path) -> None:
    found = read_metadata(write(tmp_path, "keywords.csv", "862,caf\udce9 \0\n"))
    assert found.rejected == [
        RejectedRow("keywords.csv", 2, "862,caf\\xe9 \\x00", "broken encoding: not UTF-8")
    ]


def test_of_duplicates_the_most_voted_counts_and_the_first_of_equals(tmp_path: Path) -> None:
    rows = [
        film(id="1", title="broken off", vote_count=""),
        film(id="7", title="first", vote_count="8"),
        film(id="1", title="whole", vote_count="0"),
        film(id="7", title="better", vote_count="9"),
        film(id="7", title="equal", vote_count="9"),
        film(id="1", title="bare", vote_count=""),
    ]
    found = read_metadata(write(tmp_path, "movies_metadata.csv", *rows))
    assert [(movie.tmdb_id, movie.title) for movie in found.movies] == [(1, "whole"), (7, "better")]
    assert (found.rows_read, found.duplicates) == (6, 4)


def test_bom_and_crlf_change_nothing(tmp_path: Path) -> None:
    lines = [film(**TOY_STORY), film(**(UNKNOWN | {"id": "x"}))]
    plain = read_metadata(write(tmp_path, "movies_metadata.csv", *lines))
    path = tmp_path / "movies_metadata.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    windows = read_metadata(path)
    assert windows.movies == plain.movies
    assert windows.rejected == plain.rejected
    assert [r.line for r in windows.rejected] == [5]


def test_bom_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = write(tmp_path, "keywords.csv", line("1", "[]"), header="\ufeffid,keywords")
    found = read_metadata(path)
    assert (found.rows_read, found.rejected) == (1, [])


def test_field_limit_of_the_csv_module_is_given_back(tmp_path: Path) -> None:
    path = write(tmp_path, "keywords.csv", line("1", str([{"id": 1, "name": "n" * 200_000}])))
    before = csv.field_size_limit(150_000)
    try:
        assert len(read_metadata(path).keywords[1]) == 200_000
        assert csv.field_size_limit() == 150_000
    finally:
        csv.field_size_limit(before)


# --- keywords.csv ---------------------------------------------------------------------------------


def test_keywords_of_duplicate_rows_are_united_and_the_first_name_wins(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "keywords.csv",
        line("862", "[{'id': 931, 'name': 'jealousy'}, {'id': 4290, 'name': 'toy'}]"),
        line("2", "[]"),
        line("3", str([{"id": 15101, "name": 'based on children\'s "book"'}])),
        line("862", "[{'id': 4290, 'name': 'toys'}, {'id': 7, 'name': '\\xa0boy'}]"),
        line("2", "[{'id': 13091, 'name': '\\xa0'}, {'id': 931, 'name': 'envy'}]"),
    )
    found = read_metadata(path)
    assert found.keywords == {
        931: "jealousy",
        4290: "toy",
        15101: 'based on children\'s "book"',
        7: "boy",
    }
    assert found.movie_keywords == [(862, 931), (862, 4290), (862, 7), (2, 931), (3, 15101)]
    assert (found.rows_read, found.duplicates, found.rejected) == (5, 2, [])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "keywords: not a Python literal (SyntaxError)"),
        ("[{'id': 1, 'name': 'a'}", "keywords: not a Python literal (SyntaxError)"),
        ("__import__('os').getcwd()", "keywords: not a Python literal (ValueError)"),
        ("[open('x')]", "keywords: not a Python literal (ValueError)"),
        ("{[]: 1}", "keywords: not a Python literal (TypeError)"),
        ("{'id': 1, 'name': 'a'}", "keywords: not a list of entries"),
        ("[1]", "keywords: not a list of entries"),
        ("[{'id': '1', 'name': 'a'}]", "keywords: an entry whose id is not a number: '1'"),
        ("[{'id': True, 'name': 'a'}]", "keywords: an entry whose id is not a number: True"),
        ("[{'name': 'a'}]", "keywords: an entry whose id is not a number: None"),
        (
            f"[{{'id': {2**31}, 'name': 'a'}}]",
            "keywords: an entry whose id is not a number: 2147483648",
        ),
        ("[{'id': 1, 'name': '\\ud83d'}]", "keywords: half a character in name"),
        ("[{'id': 1, 'name': 'a\\x00'}]", "keywords: a NUL byte in name"),
    ],
)
def test_hostile_cell_rejects_its_row_only(tmp_path: Path, cell: str, reason: str) -> None:
    good = line("2", "[{'id': 931, 'name': 'jealousy'}]")
    found = read_metadata(write(tmp_path, "keywords.csv", line("1", cell), good))
    assert found.rejected == [RejectedRow("keywords.csv", 2, line("1", cell).rstrip("\n"), reason)]
    assert (found.keywords, found.movie_keywords) == ({931: "jealousy"}, [(2, 931)])


@pytest.mark.parametrize(
    "cell", ["[" * 100_000, "-" * 500_000 + "1", "1+" * 100_000 + "1", "(" * 150, "9" * 5000]
)
def test_cell_that_exhausts_the_parser_rejects_its_row_only(tmp_path: Path, cell: str) -> None:
    good = line("2", "[{'id': 931, 'name': 'jealousy'}]")
    found = read_metadata(write(tmp_path, "keywords.csv", line("1", cell), good))
    assert [(r.line, len(r.content)) for r in found.rejected] == [(2, min(500, len(cell) + 2))]
    assert found.movie_keywords == [(2, 931)]


# --- credits.csv ----------------------------------------------------------------------------------


def test_credits_are_the_leading_cast_and_the_directors(tmp_path: Path) -> None:
    cast = [
        actor(12898, "Tim Allen", 1, "Buzz Lightyear (voice)"),
        actor(31, "Tom Hanks", 0, 'Sheriff "Woody" O\'Pride'),
        actor(7166, "Wallace Shawn", 3, "  "),
        *(actor(100 + order, f"Extra {order}", order, None) for order in range(4, 40)),
        actor(None, "Not looked at", 40),
    ]
    people = [
        crew(7879, "John Lasseter"),
        crew(12891, "Joss Whedon", "Screenplay"),
        crew(5, "Maureen O'Hara"),
        crew(7879, "John Lasseter"),
    ]
    found = read_metadata(write(tmp_path, "credits.csv", line(str(cast), str(people), "862")))
    assert found.credits == [
        Credit(862, 31, "cast", 0, 'Sheriff "Woody" O\'Pride'),
        Credit(862, 12898, "cast", 1, "Buzz Lightyear (voice)"),
        Credit(862, 7166, "cast", 3),
        *(Credit(862, 100 + order, "cast", order) for order in range(4, 10)),
        Credit(862, 7879, "director", 0),
        Credit(862, 5, "director", 1),
    ]
    assert found.people == [
        Person(31, "Tom Hanks"),
        Person(12898, "Tim Allen"),
        Person(7166, "Wallace Shawn"),
        *(Person(100 + order, f"Extra {order}") for order in range(4, 10)),
        Person(7879, "John Lasseter"),
        Person(5, "Maureen O'Hara"),
    ]
    assert (found.rows_read, found.duplicates, found.rejected) == (1, 0, [])


def test_one_person_has_one_credit_a_role_and_one_position_one_person(tmp_path: Path) -> None:
    cast = [
        actor(1, "Eddie Murphy", 0, "Sherman"),
        actor(1, "Eddie Murphy", 1, "Buddy"),
        actor(2, "Jada Pinkett", 1, "Carla"),
        actor(3, "Larry Miller", 1, "Dean"),
        actor(4, "No Order", None),
        actor(5, "", 5),
        actor(6, None, 6),
        actor(7, "Minus", -1),
        actor(10, "Last", 9),
        actor(11, "One too many", 9),
    ]
    again = [actor(1, "Ed Murphy", 0, "Papa"), actor(8, "Newcomer", 0, "Lance")]
    path = write(
        tmp_path,
        "credits.csv",
        line(str(cast), str([crew(1, "E. Murphy"), crew(9, "")]), "9327"),
        line("[]", "[]", "10"),
        line(str(again), str([crew(9, "Tom Shadyac")]), "9327"),
    )
    found = read_metadata(path)
    assert found.credits == [
        Credit(9327, 1, "cast", 0, "Sherman / Papa / Buddy"),
        Credit(9327, 8, "cast", 1, "Lance"),
        Credit(9327, 2, "cast", 2, "Carla"),
        Credit(9327, 3, "cast", 3, "Dean"),
        Credit(9327, 4, "cast", 4),
        Credit(9327, 7, "cast", 7),
        Credit(9327, 10, "cast", 9),
        Credit(9327, 1, "director", 0),
        Credit(9327, 9, "director", 1),
    ]
    assert {p.person_id: p.name for p in found.people} == {
        1: "Eddie Murphy",
        8: "Newcomer",
        2: "Jada Pinkett",
        3: "Larry Miller",
        4: "No Order",
        7: "Minus",
        10: "Last",
        9: "Tom Shadyac",
    }
    assert (found.rows_read, found.duplicates) == (3, 1)


def test_row_rejected_for_its_cast_leaves_no_director_behind(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "credits.csv",
        line("[{'id': None, 'name': 'X', 'order': 0}]", str([crew(1, "A")]), "1"),
        line("[]", "None", "2"),
        line("[]", str([crew(3, "C")]), "x"),
    )
    found = read_metadata(path)
    assert (found.credits, found.people) == ([], [])
    assert [(r.line, r.reason) for r in found.rejected] == [
        (2, "cast: an entry whose id is not a number: None"),
        (3, "crew: not a list of entries"),
        (4, "id is not a number: 'x'"),
    ]


# --- stringified Python ---------------------------------------------------------------------------

LITERALS = [
    "[{'id': 931, 'name': 'jealousy'}]",
    "{'a': None, 'b': True, 'c': False, 'd': -1, 'e': 1.5e3, 'f': []}",
    """[{'n': "O'Brien"}, {'n': 'Robert "Rocky" B'}, {'n': '"'}, {'n': "'"}]""",
    r"""[{'n': 'Sgt. "Bull" O\'Neil'}, {'n': "\xa0nightgown"}, {'n': '\\'}, {'n': '\U0001f600'}]""",
    "{'n': ': None, True', 'None': 'null', 'true': \"null: false\"}",
    "{'n': 'a\tb'}",
    "['a' 'b']",
    "['a' \"b\"]",
    "('a', 'b')",
    "['a',]",
    "{1: 'a', None: 'b'}",
    "{'a', 'b'}",
    "b'abc'",
    "u'abc'",
    "r'a\\d'",
    "'\\d'",
    "'''triple 'quoted' text'''",
    "''",
    "''''''",
    "[0x10, 1_000, 1., .5, 1j, - 5, +5, 1+2j]",
    "['a', # comment\n 'b']",
    "['a'\r\n, 'b']",
    "  ['a']  ",
    "{'a': 1, 'a': 2}",
    "['三船敏郎', 'Ørnås', '\u2028', '\x7f']",
    "1e999",
    "-0.0",
]
NO_LITERALS = [
    "", "null", "[true]", "[NaN]", "[Infinity]", "-Infinity", "[None null]", "[nNoneull]", "['a]",
    "[\"a]", "['a\nb']", "['a\rb']", "['\0']", "[01]", "'a' 1", "[\"'a']", "['\"a\"]", "NoneNone",
    "[1 2]", "{'a'}{", "\ufeff['a']", "f'{1}'", "lambda: 1", "a.b", "[x for x in 'a']",
    "1 if 1 else 2", "\n ['a']", "['a'\0, 'b']", "\0",
]  # fmt: skip


@pytest.mark.parametrize("text", LITERALS)
def test_literal_is_read_as_python_reads_it(text: str) -> None:
    assert repr(parse_literal(text)) == repr(_python(text))


@pytest.mark.parametrize("text", NO_LITERALS)
def test_invalid_literals_are_refused(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        _python(text)
    with pytest.raises(ValueError, match="not a Python literal"):
        parse_literal(text)


def test_any_short_text_is_read_as_python_reads_it() -> None:
    random_ = random.Random(7)
    pieces = [
        "'", "'", "'", '"', '"', "[", "]", "{", "}", ":", ", ", "None", "True", "null", "1", "-",
        ".5", "a", " ", "\\", "\\'", "\\x41", "\t", "#", "b", "(", ")",
    ]  # fmt: skip
    read = 0
    for size, _ in itertools.product(range(1, 9), range(4000)):
        text = "".join(random_.choices(pieces, k=size))
        try:
            expected = repr(_python(text))
        except (ValueError, SyntaxError, TypeError):
            with pytest.raises(ValueError, match="not a Python literal"):
                parse_literal(text)
        else:
            assert repr(parse_literal(text)) == expected, text
            read += 1
    assert read > 1000


def test_nested_values_of_any_kind_are_read_back() -> None:
    random_ = random.Random(11)
    alphabet = "ab'\"\\{}[]:, None\n\t\xa0é三\u2028\U0001f600"
    for _ in range(2000):
        value = _random_value(random_, alphabet, depth=3)
        assert parse_literal(repr(value)) == value


def test_usual_cells_take_the_fast_path() -> None:
    cell = str([actor(1, "Conan O'Brien", 0, 'The "Kid"'), actor(2, "Renée", 1)])
    assert _as_json(cell) == (
        '[{"cast_id": 14, "character": "The \\"Kid\\"", "credit_id": "52fe4284c3a36847f8024f95", '
        '"gender": 2, "id": 1, "name": "Conan O\'Brien", "order": 0, "profile_path": null}, '
        '{"cast_id": 14, "character": "", "credit_id": "52fe4284c3a36847f8024f95", '
        '"gender": 2, "id": 2, "name": "Renée", "order": 1, "profile_path": null}]'
    )
    assert _as_json(r"['\'']") is None


def _python(text: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.literal_eval(text)


def _random_value(random_: random.Random, alphabet: str, depth: int) -> object:
    kind = random_.randrange(7 if depth else 5)
    if kind == 5:
        return [_random_value(random_, alphabet, depth - 1) for _ in range(random_.randrange(4))]
    if kind == 6:
        return {
            "".join(random_.choices(alphabet, k=3)): _random_value(random_, alphabet, depth - 1)
            for _ in range(random_.randrange(4))
        }
    scalars = (None, True, random_.randrange(-9, 10**6), random_.random())
    return scalars[kind] if kind < 4 else "".join(random_.choices(alphabet, k=6))


# --- folders, zips, files -------------------------------------------------------------------------


def three_files(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write(folder, "movies_metadata.csv", film(**TOY_STORY))
    write(folder, "keywords.csv", line("862", "[{'id': 931, 'name': 'jealousy'}]"))
    write(folder, "credits.csv", line("[]", str([crew(7879, "John Lasseter")]), "862"))


def test_folder_and_zip_give_the_same_and_leave_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "in.zip"  # a name is no proof
    three_files(folder)
    (folder / "ratings.csv").write_text("not ours")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    archive = inner / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.mkdir("keywords.csv")
        out.write(folder / "movies_metadata.csv", "../../movies_metadata.csv")
        out.write(folder / "keywords.csv", "keywords.csv/keywords.csv")
        out.write(folder / "credits.csv", "C:\\data\\credits.csv")
        out.writestr("deep/er/and/deeper/keywords.csv", "older")
        out.writestr("__MACOSX/._keywords.csv", "junk")
    before = sorted(tmp_path.rglob("*"))
    zipped = read_metadata(archive)
    assert zipped == read_metadata(folder)
    assert sorted(tmp_path.rglob("*")) == before
    assert [file.name for file in zipped.files] == [
        "movies_metadata.csv",
        "keywords.csv",
        "credits.csv",
    ]
    assert (len(zipped.movies), zipped.movie_keywords) == (1, [(862, 931)])
    assert zipped.credits == [Credit(862, 7879, "director", 0)]


def test_zip_is_known_by_its_content_too(tmp_path: Path) -> None:
    three_files(tmp_path)
    with zipfile.ZipFile(tmp_path / "download", "w") as out:
        out.write(tmp_path / "keywords.csv", "keywords.csv")
    assert read_metadata(tmp_path / "download").keywords == {931: "jealousy"}


def test_each_file_is_recorded_with_size_and_checksum(tmp_path: Path) -> None:
    path = write(tmp_path, "keywords.csv", line("1", "[]"), line("x", "[]"))
    content = path.read_bytes()
    assert read_metadata(path).files == (
        SourceFile("keywords.csv", len(content), hashlib.sha256(content).hexdigest()),
    )


@pytest.mark.slow
def test_progress_ends_with_the_whole_of_each_file(tmp_path: Path) -> None:
    rows = [line(str(movie_id), "[]") for movie_id in range(1, 250_000)]
    path = write(tmp_path, "keywords.csv", *rows)
    size = path.stat().st_size
    calls: list[tuple[int, int]] = []
    read_metadata(path, progress=lambda *call: calls.append(call))
    assert calls == [(done, size) for done in (1 << 20, 2 << 20, size)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.zip", None, "none.zip does not exist"),
        ("archive.zip", b"PK, but no", "archive.zip cannot be read: File is not a zip file"),
        ("ratings.csv", b"userId,movieId\n", "ratings.csv is no file of The Movies Dataset"),
        ("keywords.csv", b"", "line 1: without the columns id, keywords"),
        ("keywords.csv", b"id;keywords\n1;[]\n", "line 1: without the columns id, keywords"),
        ("keywords.csv", b"id\r1\r", "line 1: without the columns keywords"),
        ("credits.csv", b"cast,id\n", "line 1: without the columns crew"),
        ("movies_metadata.csv", b"id,overview\n", "line 1: without the columns title"),
    ],
)
def test_files_that_cannot_be_loaded_are_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_metadata(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_folder_and_zip_without_our_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as out:
        out.writestr("movies.csv", "movieId,title\n")
    for path in (tmp_path, tmp_path / "other.zip"):
        with pytest.raises(DataError, match="holds no file of The Movies Dataset") as caught:
            read_metadata(path)
        assert "movies_metadata.csv, keywords.csv, credits.csv" in (caught.value.hint or "")


def test_damaged_zip_member_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "damaged.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("keywords.csv", "id,keywords\n" + line("1", "[]") * 100)
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"1,[]\n", b"2,[]\n", 1))
    with pytest.raises(DataError, match=r"^keywords\.csv cannot be read: Bad CRC-32"):
        read_metadata(archive)


def test_encrypted_zip_member_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "secret.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("keywords.csv", "id,keywords\n")
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"^keywords\.csv cannot be read: .* is encrypted"):
        read_metadata(archive)


# --- the real files -------------------------------------------------------------------------------


def test_the_real_keywords(the_movies_dataset: Path) -> None:
    found = read_metadata(the_movies_dataset / "keywords.csv")
    assert (found.rows_read, found.duplicates, found.rejected) == (46_419, 46_419 - 45_432, [])
    # One keyword of the 19,956 is a single no-break space.
    assert (len(found.keywords), len(found.movie_keywords)) == (19_955, 156_598)
    assert len(set(found.movie_keywords)) == 156_598
    assert [found.keywords[k] for m, k in found.movie_keywords if m == 862] == [
        "jealousy",
        "toy",
        "boy",
        "friendship",
        "friends",
        "rivalry",
        "boy next door",
        "new toy",
        "toy comes to life",
    ]


def test_the_real_keywords_are_read_as_python_reads_them(the_movies_dataset: Path) -> None:
    with (the_movies_dataset / "keywords.csv").open(encoding="utf-8", newline="") as file:
        cells = [row[1] for row in csv.reader(file)][1::7]
    assert [parse_literal(cell) for cell in cells] == [ast.literal_eval(cell) for cell in cells]


def test_the_real_movies(the_movies_dataset: Path) -> None:
    found = read_metadata(the_movies_dataset / "movies_metadata.csv")
    assert (found.rows_read, found.duplicates, found.rejected) == (5_000, 0, [])
    assert len({movie.tmdb_id for movie in found.movies}) == 5_000
    assert sum(movie.release_date is None for movie in found.movies) == 4
    assert sum(movie.collection is not None for movie in found.movies) == 825
    assert sum(movie.vote_average == 0.0 for movie in found.movies) > 100
