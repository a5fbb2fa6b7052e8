"""`recsys similar-text`: any table of ids and texts, no database."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

PRODUCTS = """id,description
10,blue cotton shirt
20,"red cotton shirt, long"
30,wool socks
1e2,blue wool socks
empty,
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(content: str | bytes = PRODUCTS, name: str = "products.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def cosines(texts: list[str]) -> list[list[float]]:
    vectors = TfidfVectorizer(ngram_range=(1, 3), stop_words="english").fit_transform(texts)
    return (vectors @ vectors.T).toarray().tolist()


def expected_pairs(content: str, n: int) -> list[tuple[str, int, str, float]]:
    table = rows_of(content)
    ids, similar = [row["id"] for row in table], cosines([row["description"] for row in table])
    pairs = []
    for row, scores in enumerate(similar):
        best = sorted(range(len(ids)), key=lambda item: (-scores[item], item))
        best = [item for item in best if item != row and scores[item] > 0][:n]
        pairs += [(ids[row], rank, ids[item], scores[item]) for rank, item in enumerate(best, 1)]
    return pairs


def as_pairs(rows: list[dict[str, Any]]) -> list[tuple[str, int, str, Any]]:
    return [
        (row["id"], int(row["rank"]), row["similar_id"], pytest.approx(float(row["score"]), 1e-12))
        for row in rows
    ]


@pytest.mark.parametrize("n", [1, 2, 10, 100_000])
def test_every_row_as_csv_and_as_json(recsys: Any, write: Any, n: int) -> None:
    path, expected = write(), expected_pairs(PRODUCTS, n)
    assert len(expected) >= 4
    as_csv = recsys("similar-text", path, "-n", str(n))
    assert (as_csv.code, as_csv.err) == (0, "")
    assert as_csv.out.splitlines()[0] == "id,rank,similar_id,score"
    assert as_pairs(rows_of(as_csv.out)) == expected
    as_json = recsys("similar-text", path, "-n", str(n), "--json")
    assert as_pairs(as_json.json) == expected
    assert list(as_json.json[0]) == ["id", "rank", "similar_id", "score"]


def test_one_row_as_a_table_and_as_json(recsys: Any, write: Any) -> None:
    story = "wool   socks\nand a very long story about what one can do in them"
    path = write(f'{PRODUCTS}40,"{story}"\n')
    found = recsys("similar-text", path, "--of", "30", "--json").json
    texts = {row["id"]: row["description"] for row in rows_of(Path(path).read_text())}
    scores = cosines(list(texts.values()))[2]
    assert found == [
        {"rank": rank, "id": id_, "text": texts[id_], "score": pytest.approx(score, abs=1e-12)}
        for rank, (id_, score) in enumerate([("1e2", scores[3]), ("40", scores[5])], start=1)
    ]
    table = recsys("similar-text", path, "--of", "30")
    assert (table.code, table.err) == (0, "")
    lines = [line.split() for line in table.out.splitlines() if line.strip()]
    assert lines[0] == ["Similar", "to", "30"]
    assert lines[1] == ["rank", "id", "text", "score"]
    assert lines[3] == ["1", "1e2", "blue", "wool", "socks", f"{scores[3]:.3f}"]
    assert " ".join(lines[4]).startswith("2 40 wool socks and a very long story")
    assert " ".join(lines[4]).endswith(f"… {scores[5]:.3f}")


def test_no_rows_were_asked_for(recsys: Any, write: Any) -> None:
    assert recsys("similar-text", write(), "-n", "0").out == "id,rank,similar_id,score\n"
    assert recsys("similar-text", write(), "-n", "0", "--json").json == []
    assert recsys("similar-text", write(), "-n", "0", "--of", "30", "--json").json == []


def test_a_row_that_is_like_no_other(recsys: Any, write: Any) -> None:
    assert recsys("similar-text", write(), "--of", "empty", "--json").json == []
    shown = recsys("similar-text", write(), "--of", "empty")
    assert shown.code == 0
    assert "no other text is similar" in shown.out


HEADERS = [
    ("id,description\n", ()),
    ("description,ID\n", ()),
    ("name,description\n", ()),
    ("name,description\n", ("--id", "name")),
    ("description,name\n", ("--text", "description")),
    ("description,name\n", ("--id", "name", "--text", "description")),
    ("id,description,price\n", ("--text", "description")),
    ("price,name,description\n", ("--id", "name", "--text", "description")),
    ("description;name\n", ("--id", "name")),
    ("id\tdescription\tprice\n", ("--text", "description")),
    ('\ufeff"id" , "description"\n', ()),
    ("\n\nid,description\r\n", ()),
]


@pytest.mark.parametrize(("header", "options"), HEADERS)
def test_columns_by_name_or_by_what_they_must_be(
    recsys: Any, write: Any, header: str, options: tuple[str, ...]
) -> None:
    separator = next(s for s in (";", "\t", ",") if s in header)
    values = {"price": ["3", "4", "5"], "description": ["red hat", "blue hat", "red hat"]}
    columns = [
        values.get(name.strip().strip('"'), ["a", "b", "c"])
        for name in header.strip().removeprefix("\ufeff").split(separator)
    ]
    lines = [separator.join(row) for row in zip(*columns, strict=True)]
    path = write(header + "\n".join(lines))
    found = recsys("similar-text", path, *options, "--of", "a", "--json")
    assert [(row["id"], row["text"]) for row in found.json] == [("c", "red hat"), ("b", "blue hat")]
    assert found.json[0]["score"] == 1.0


def test_ids_and_texts_may_be_anything(recsys: Any, write: Any) -> None:
    ids = ["a,b", 'say "hi"', "x\ny", "x\rz", "ключ", "[red]", "0x1F", "-1"]
    stream = io.StringIO()
    csv.writer(stream).writerows([("id", "text"), *((id_, f"[b]hat {id_}") for id_ in ids)])
    path = write(stream.getvalue())
    found = rows_of(recsys("similar-text", path, "-n", "1").out)
    assert [row["id"] for row in found] == ids
    assert {row["similar_id"] for row in found} <= set(ids)
    shown = recsys("similar-text", path, "--of", "[red]")
    assert "Similar to [red]" in shown.out
    assert "[b]hat ключ" in shown.out


def test_the_only_file_in_a_zip(recsys: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/products.csv", PRODUCTS)
    found = recsys("similar-text", str(tmp_path / "a.zip"), "--of", "30", "-n", "1", "--json")
    assert [row["id"] for row in found.json] == ["1e2"]


NO_CSV = "hint: the file must be CSV in UTF-8, every row with the columns of the header"
BAD_FILES = [
    ("", "products.csv is empty", "hint: Check how the file was made."),
    ("\n \n", "products.csv is empty", "hint: Check how the file was made."),
    ("id,text\n", "products.csv has a header and no rows", None),
    (
        "id,text\n1,hat\n2,cap\n 1 ,hat\n",
        "products.csv, line 4: the id '1' is already used on line 2",
        "hint: every row needs an id of its own; --id names another column",
    ),
    ("id,text\n1,hat\n ,cap\n", "products.csv, line 3: the id is empty", None),
    (b"id,text\n1,hat\n2,caf\xe9\n", "products.csv, line 3: not valid UTF-8", NO_CSV),
    (b"id,caf\xe9\n1,hat\n", "products.csv, line 1: not valid UTF-8", "hint: Save it as UTF-8."),
    ("id,text\n1,hat\n2\n", "products.csv, line 3: 1 column where 2 are expected", NO_CSV),
    ("id,text\n1,red, hat\n", "products.csv, line 2: 3 columns where 2 are expected", NO_CSV),
    ('id,text\n1,"hat\n2,cap\n', "products.csv, line 2: a quoted field is not closed", NO_CSV),
    (
        "id,text\n1,\n2,the of\n3,x\n",
        "products.csv has no text with a word that tells anything",
        "hint: is it the right column? --text names another one",
    ),
    (
        "id,a,b\n1,hat,cap\n",
        "products.csv, line 1: its columns are id, a, b",
        "hint: say which is the id and which the text: --id A --text B",
    ),
    (
        "text\nhat\n",
        "products.csv, line 1: its columns are text",
        "hint: say which is the id and which the text: --id A --text B",
    ),
]


@pytest.mark.parametrize(("content", "message", "hint"), BAD_FILES)
def test_a_file_that_cannot_be_used(
    recsys: Any, write: Any, content: str | bytes, message: str, hint: str | None
) -> None:
    for options in ((), ("--of", "1")):
        outcome = recsys("similar-text", write(content), *options)
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.errors == [f"error: {message}", *([hint] if hint else [])]


BAD_REQUESTS = [
    (
        ("--of", "99"),
        "products.csv has no row with the id '99'",
        "its ids: 10, 20, 30, 1e2, empty",
    ),
    (
        ("--id", "description", "--text", "id", "--of", "30"),
        "products.csv, line 6: the id is empty",
        None,
    ),
    (
        ("--text", "price"),
        "products.csv, line 1: its columns are id, description; there is no 'price'",
        "name one of them",
    ),
    (
        ("--id", "Id"),
        "products.csv, line 1: its columns are id, description; there is no 'Id'",
        "name one of them",
    ),
    (
        ("--id", "id", "--text", "id"),
        "products.csv, line 1: its columns are id, description",
        "say which is the id and which the text: --id A --text B",
    ),
]


@pytest.mark.parametrize(("options", "message", "hint"), BAD_REQUESTS)
def test_an_impossible_request(
    recsys: Any, write: Any, options: tuple[str, ...], message: str, hint: str | None
) -> None:
    outcome = recsys("similar-text", write(), *options)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.errors == [f"error: {message}", *([f"hint: {hint}"] if hint else [])]


def test_paths_that_are_no_file(recsys: Any, write: Any, tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "no.csv", "does not exist"), (tmp_path, "is a folder")):
        outcome = recsys("similar-text", str(path))
        assert outcome.code == 1
        assert outcome.errors == [
            f"error: {path} {problem}",
            "hint: give a CSV file with a header",
        ]
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", PRODUCTS)
        archive.writestr("b.csv", PRODUCTS)
    outcome = recsys("similar-text", str(tmp_path / "two.zip"))
    assert outcome.errors == [
        f"error: {tmp_path / 'two.zip'} holds 2 files",
        "hint: give one CSV file",
    ]


def test_too_many_pairs_for_the_memory(
    recsys: Any, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.jobs.similar_text.MOST_PAIRS", 24)
    assert recsys("similar-text", write(), "-n", "4").code == 0
    outcome = recsys("similar-text", write(), "-n", "90000")
    assert outcome.code == 1
    assert outcome.errors == [
        "error: 90,000 rows for each of 5 are too many",
        "hint: ask for fewer with -n, or for those of one row with --of ID",
    ]
    assert recsys("similar-text", write(), "-n", "90000", "--of", "30").code == 0
    assert recsys("similar-text", write(), "-n", "1000000").code == 2


def test_the_figures_of_the_tutorial(recsys: Any, tutorial_products: Path) -> None:
    products = str(tutorial_products / "sample-data.csv")
    found = recsys(
        "similar-text", products, "--id", "id", "--text", "description",
        "--of", "11", "-n", "5", "--json",
    ).json  # fmt: skip
    expected = [
        ("419", "Sunshade hoody", 0.21330296021085024),
        ("465", "Baby baggies apron dress", 0.10975311296284812),
        ("348", "Runshade t-shirt", 0.09988151262780731),
        ("245", "Runshade t-shirt", 0.09530698241688207),
        ("117", "Runshade top", 0.08510550093018411),
    ]
    names = [(row["id"], row["text"].split(" - ")[0], row["score"]) for row in found]
    assert names == [(i, name, pytest.approx(score, abs=1e-12)) for i, name, score in expected]
    every = rows_of(recsys("similar-text", products, "-n", "3").out)
    assert len(every) == 3 * 500
    assert [row["similar_id"] for row in every if row["id"] == "11"] == ["419", "465", "348"]
