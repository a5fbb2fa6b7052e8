"""Users and movies with keys of any form, read as positions."""

import uuid
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from recsys.domain import Dataset, SourceMovie
from recsys.errors import DataError
from recsys.ingest import read_dataset
from recsys.ingest.reading import blocks
from recsys.ingest.reading.blocks import NumericFile, read_numeric
from recsys.ingest.reading.grids import TextGrid
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.keys import KeyField, Keys
from recsys.ingest.reading.numbers import BadField, TimeField, ValueField
from recsys.ingest.reading.records import Grammar, read_records
from recsys.ingest.reading.sources import Entry

NOW = 1_700_000_000
STRANGE = [
    "", " ", " u7 ", "7", "007", "+7", "é", "日本", "a b", "a;b", "a'b", '"u7"', '" u7 "', '"a,b"',
    '"a""b"', '"a', 'a"', 'a"b', '""', '"a"b', "x" * 512, "x" * 513, "é" * 257, "\x1b[31m", "\0",
    "a\0b", "a\rb", "a\x85b", "\u2028", "\ufeff", "nan", "-", "\t", "99999999999999999999",
]  # fmt: skip


def pairs(dataset: Dataset) -> list[tuple[str, str, float]]:
    """Return the ratings with their keys, in the order of the keys."""
    found, users, movies = dataset.ratings, dataset.user_keys, dataset.movie_keys
    assert users is not None
    assert movies is not None
    assert [len(set(keys)) for keys in (users, movies)] == [len(users), len(movies)]
    assert (found.user_ids.dtype, found.movie_ids.dtype) == (np.int32, np.int32)
    rows = zip(found.user_ids, found.movie_ids, found.values.tolist(), strict=True)
    return sorted((users[user], movies[movie], value) for user, movie, value in rows)


def test_keys_join_ratings_and_movies(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(
        "user_id,product_id,rating\nalice,B00X,5\nbob, B00X ,3\nalice,007,1\nbob,B404,2\n,B00X,1\n"
    )
    (tmp_path / "products.csv").write_text("id,title\nB00X,Anvil (1999)\n007,Bond\nB1,Rope\n")
    dataset = read_dataset(tmp_path)
    assert pairs(dataset) == [("alice", "007", 1.0), ("alice", "B00X", 5.0), ("bob", "B00X", 3.0)]
    assert dataset.movie_keys is not None
    assert [dataset.movie_keys[movie.movie_id] for movie in dataset.movies] == ["B00X", "007", "B1"]
    assert dataset.movies[0] == SourceMovie(0, "Anvil", "Anvil (1999)", 1999)
    assert [(row.line, row.reason) for row in dataset.rejected] == [
        (5, 'movie "B404" is unknown'),
        (6, "user id is empty"),
    ]


@pytest.mark.parametrize("odd", ["x7", "007", "-5", "2147483648", "1.0", "9" * 30])
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("quote", ["", '"'])
def test_one_key_that_is_no_id_makes_keys_of_all(
    tmp_path: Path, odd: str, column: int, quote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The odd row comes after several blocks, and after the rows that are looked at before.
    monkeypatch.setattr("recsys.ingest.dataset.Intake", partial(Intake, block_size=128))
    monkeypatch.setattr(blocks, "_LOOKED_AT", 40)
    rows = [[str(n), str(n % 3), "0.5"] for n in range(1, 40)]
    rows[33][column] = odd
    text = "".join(",".join(quote + field + quote for field in row) + "\n" for row in rows)
    (tmp_path / "r.csv").write_text("user,movie,rating\n" + text)
    expected = sorted((user, movie, 0.5) for user, movie, _ in rows)
    dataset = read_dataset(tmp_path / "r.csv")
    assert pairs(dataset) == expected
    assert (dataset.rejected, dataset.rows_read, len(dataset.files)) == ([], 39, 1)


def test_whole_numbers_stay_ids_and_a_bad_row_does_not_change_that(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,movie,rating\n0,7,3\nuser,movie,rating\n,7,2\n8, 9 ,4\n")
    dataset = read_dataset(tmp_path / "r.csv")
    assert (dataset.user_keys, dataset.movie_keys) == (None, None)
    assert dataset.ratings.user_ids.tolist() == [0, 8]
    assert [row.reason for row in dataset.rejected] == [
        'rating "rating" is not a number',
        "user id is empty",
    ]


def test_movies_of_the_database_are_known_by_their_keys(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,movie,rating\n1,7,3\n1,8,3\n")
    dataset = read_dataset(tmp_path / "r.csv", known_movie_keys=["x", "8"])
    assert dataset.ratings.movie_ids.tolist() == [8]
    (tmp_path / "r.csv").write_text("user,movie,rating\nu,x,3\nu,y,3\nu,8,1\n")
    dataset = read_dataset(tmp_path / "r.csv", known_movie_keys=["x", "8"])
    assert pairs(dataset) == [("u", "8", 1.0), ("u", "x", 3.0)]
    assert [row.reason for row in dataset.rejected] == ['movie "y" is unknown']
    assert dataset.movies == []


def test_duplicates_are_named_by_their_keys(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,movie,rating\nu,x,3\nu,x,4\n")
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path / "r.csv", on_duplicate="error")
    assert str(caught.value).startswith('r.csv: user "u" rates movie "x" on line 2 and again on')


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("multiline", [False, True])
@pytest.mark.parametrize("quote", ["", '"'])
def test_bulk_equals_careful_with_keys(
    tmp_path: Path, share: float, multiline: bool, quote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where a stray quote is closed depends on where blocks end.
    monkeypatch.setattr(blocks, "PIECE", 1_000_000 if multiline else 3_000)
    random = np.random.default_rng(int(share * 100))
    lines = []
    for _ in range(1_000):
        user, movie, time = random.integers(0, 50, 3)
        fields = [str(uuid.UUID(int=int(user))), f"B{movie:03d}", "4.5", str(10**9 + time)]
        fields = [quote + field + quote for field in fields]
        if random.random() < share:
            fields[random.integers(0, 4)] = STRANGE[random.integers(0, len(STRANGE))]
        lines.append(",".join(fields))
    data = ("\n".join(lines) + "\n").encode()
    path = tmp_path / "ratings.csv"
    path.write_bytes(data)
    entry = Entry(path.name, len(data), lambda: path.open("rb"))
    grammar = Grammar(",", 4, quoted=True, multiline=multiline)

    def fields_of(users: Keys, movies: Keys) -> tuple:
        rest = (ValueField(2, "rating"), TimeField(3, NOW, flexible=True))
        return (KeyField(0, users), KeyField(1, movies), *rest)

    users, movies = Keys("user"), Keys("movie")
    intake = Intake(block_size=1_000_000 if multiline else 20_000)
    table = read_numeric(intake, NumericFile(entry, grammar, False, fields_of(users, movies)))
    bulk = [
        (users.texts[user], movies.texts[movie], value, time, line)
        for user, movie, value, time, line in zip(*table.columns, table.lines, strict=True)
    ]
    good, bad = [], []
    others = Keys("user"), Keys("movie")
    columns = fields_of(*others)
    for record in read_records(data.split(b"\n"), grammar):
        try:
            if record.problem:
                raise BadField(record.problem)
            row = [column.parse(record.fields[column.position]) for column in columns]
        except BadField as exc:
            bad.append((record.index + 1, str(exc)))
        else:
            user, movie, value, time = row
            texts = others[0].texts[user], others[1].texts[movie]
            good.append((*texts, value, time, record.index + 1))
    assert bulk == good
    assert [(row.line, row.reason) for row in intake.rejects.rows] == bad
    assert len(good) > 200


def test_plain_keys_need_no_line_by_line_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_line = blocks._BlockParser._read_lines

    def only_for_ids(self: blocks._BlockParser, lines: list[bytes]) -> blocks._ParsedBlock:
        assert not isinstance(self.grids[0], TextGrid)
        return by_line(self, lines)

    monkeypatch.setattr(blocks._BlockParser, "_read_lines", only_for_ids)
    for quote in ("", '"'):
        rows = "".join(f'{quote}u{n % 9}{quote},"a,{n % 7}",4.5\n' for n in range(500))
        (tmp_path / "r.csv").write_text("user,movie,rating\n" + rows)
        dataset = read_dataset(tmp_path / "r.csv")
        assert len(dataset.ratings) == 63
        assert dataset.movie_keys is not None
        assert set(dataset.movie_keys) == {f"a,{n}" for n in range(7)}
