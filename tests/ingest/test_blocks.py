"""The bulk readers take exactly the rows that the careful one takes, and name the same lines."""

from pathlib import Path

import numpy as np
import pytest

from recsys.domain import NO_TIME, RatingScale
from recsys.ingest.reading import numbers
from recsys.ingest.reading.blocks import NumericFile, read_numeric
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.numbers import BadField, IdField, NumericField, TimeField, ValueField
from recsys.ingest.reading.records import Grammar, read_records
from recsys.ingest.reading.sources import Entry

NOW = 1_700_000_000
HALF_STARS = RatingScale(0.5, 5.0, 0.5)
KNOWN = np.arange(1, 60, dtype=np.int32)
MOVIELENS = Grammar(",", 4, quoted=True)
STRICT: tuple[NumericField, ...] = (
    IdField(0, "user"),
    IdField(1, "movie", KNOWN),
    ValueField(2, "rating", HALF_STARS),
    TimeField(3, NOW),
)
FREE = Grammar(";", 5, quoted=True, multiline=True)
FREE_COLUMNS: tuple[NumericField, ...] = (
    IdField(1, "user"),
    IdField(0, "movie"),
    ValueField(4, "rating"),
    TimeField(2, NOW, flexible=True),
)

Outcome = tuple[list[tuple[float, ...]], list[tuple[int, str]]]


def numeric_file(
    path: Path, data: bytes, grammar: Grammar, columns: tuple[NumericField, ...]
) -> NumericFile:
    path.write_bytes(data)
    entry = Entry(path.name, len(data), lambda: path.open("rb"))
    return NumericFile(entry, grammar, False, columns)


def bulk(file: NumericFile, block_size: int) -> Outcome:
    intake = Intake(block_size=block_size)
    rows = read_numeric(intake, file)
    columns = [column.tolist() for column in (*rows.columns, rows.lines)]
    assert intake.rows_read == len(rows) + len(intake.rejects.rows)
    return list(zip(*columns, strict=True)), [(row.line, row.reason) for row in intake.rejects.rows]


def careful(data: bytes, file: NumericFile) -> Outcome:
    good, bad = [], []
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    for record in read_records(lines, file.grammar):
        line = record.index + 1
        if record.problem:
            bad.append((line, record.problem))
            continue
        try:
            values = [column.parse(record.fields[column.position]) for column in file.columns]
        except BadField as exc:
            bad.append((line, str(exc)))
        else:
            good.append((*values, line))
    return good, bad


def valid_line(random: np.random.Generator) -> str:
    user, movie = random.integers(0, 10**6), random.integers(1, 60)
    return f"{user},{movie},{random.integers(1, 11) / 2:g},{random.integers(0, NOW)}"


STRANGE = [
    "", "-", "--1", "1-2", "-5", "-0", "0", "007", "1.0", "1.", ".5", "1.5", "1e1", "1e999", "+3",
    "nan", "NaN", "inf", "-inf", "NA", "null", "None", " 4", "4 ", "4\t", '"4"', '" 4 "', ' "4"',
    '"4', '4"', '"', '""', '"4"4', '4"4"', '"4""4"', "4,4", '"4,4"', "x", "é", "٣", "1_0", "0x1",
    "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "9" * 30, "9" * 400,
    "-9223372036854775808", "0" * 40 + "3", "0" * 200, "3.7", "5.5", "0.25", "3.0000000000000001",
    "\0", "4\0", "1:2", "60", "\x85", "'4'", "4;4", "1,000", "1 2", ".", "-.5", "5.", "\r", "4\r4",
]  # fmt: skip


def corrupted(random: np.random.Generator, line: str) -> bytes:
    fields = line.split(",")
    kind = random.integers(0, 8)
    if kind < 5:
        fields[random.integers(0, 4)] = STRANGE[random.integers(0, len(STRANGE))]
    elif kind == 5:
        del fields[random.integers(0, 4)]
    elif kind == 6:
        fields.insert(int(random.integers(0, 5)), "7")
    else:
        return b"\xff" + line.encode()
    return ",".join(fields).encode()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("block_size", [97, 5_000, 1 << 20])
def test_bulk_equals_careful_on_random_lines(tmp_path: Path, share: float, block_size: int) -> None:
    random = np.random.default_rng(int(share * 100) + block_size)
    lines = [valid_line(random).encode() for _ in range(2_000)]
    lines = [corrupted(random, x.decode()) if random.random() < share else x for x in lines]
    data = b"\n".join(lines) + b"\n"
    file = numeric_file(tmp_path / "ratings.csv", data, MOVIELENS, STRICT)
    assert bulk(file, block_size) == careful(data, file)


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_one_unusual_field_is_judged_alike_by_all_parsers(
    tmp_path: Path, text: str, position: int
) -> None:
    fields = ["1", "2", "3.5", "1000"]
    fields[position] = text
    data = f"5,6,4,99\n{','.join(fields)}\n8,9,1.0,98\n".encode()
    file = numeric_file(tmp_path / "ratings.csv", data, MOVIELENS, STRICT)
    good, bad = bulk(file, 1 << 20)
    assert (good, bad) == careful(data, file)
    assert (good[0], good[-1]) == ((5, 6, 4.0, 99, 1), (8, 9, 1.0, 98, 3))
    assert len(good) + len(bad) == 3


def free_line(random: np.random.Generator) -> str:
    times = [
        "", "1000000", "1000000.75", "1600000000123", "2020-02-03", "2020-02-03 04:05",
        "2020-02-03T04:05:06Z", "2020-02-03T04:05:06.789+02:00", "2020-02-30", "1969-12-31",
        "2999-01-01", "yesterday", "2020-02-03 04:05:06 UTC", "20-02-03", "-1", "9" * 15,
    ]  # fmt: skip
    texts = [
        "plain", '"a;b"', '"two\nlines"', '"say ""so"""', '"', "7", "", "ü", '"1;2;3\n4;5;6;7;8"',
    ]  # fmt: skip
    values = ["1", "-1.5", "10", "1e2", "x", "3,5", "0.1", "123456.789"]
    pick = [options[random.integers(0, len(options))] for options in (times, texts, values)]
    return f"{random.integers(0, 99)};{random.integers(0, 99)};{pick[0]};{pick[1]};{pick[2]}"


def test_bulk_equals_careful_where_text_columns_are_passed_over(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    data = ("\r\n".join(free_line(random) for _ in range(3_000)) + "\r\n").encode()
    file = numeric_file(tmp_path / "any.csv", data, FREE, FREE_COLUMNS)
    good, bad = bulk(file, 1 << 20)
    assert (good, bad) == careful(data, file)
    assert len(good) > 500
    assert len(bad) > 500


@pytest.mark.parametrize(
    "line", ["{},{},{},{}", '"{}","{}","{}","{}"', " {} , {}, {} ,{}", '{},"{}",{},"{}"']
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n", "\n \n"])
def test_layout_does_not_matter(tmp_path: Path, line: str, ending: str) -> None:
    rows = [(1, 2, 3.5, 10), (1, 3, 5.0, 11), (2, 2, 0.5, 12)]
    data = ending.join(line.format(*row) for row in rows).encode()
    file = numeric_file(tmp_path / "ratings.csv", b"\xef\xbb\xbf" + data, MOVIELENS, STRICT)
    good, bad = bulk(file, 1 << 20)
    assert ([row[:4] for row in good], bad) == (rows, [])
    step = ending.count("\n")
    assert [row[4] for row in good] == [1, 1 + step, 1 + 2 * step]


def test_plain_lines_need_no_line_by_line_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    plain = [valid_line(random) for _ in range(500)]
    quoted = [",".join(f'"{field}"' for field in line.split(",")) for line in plain]
    monkeypatch.setattr("recsys.ingest.reading.blocks._BlockParser._read_lines", None)
    outcomes = []
    for lines in (plain, quoted):
        data = "\r\n".join(lines).encode()
        outcomes.append(bulk(numeric_file(tmp_path / "r.csv", data, MOVIELENS, STRICT), 9_000))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][0]) == 500


def test_double_colons_are_not_mistaken_for_tabs(tmp_path: Path) -> None:
    data = b"1::2::3::4\n1\t3\t3\t4\n1::4::5::6\n1:::5::5::6\n1::::5::6\n"
    file = numeric_file(tmp_path / "ratings.dat", data, Grammar("::", 4), STRICT)
    good, bad = bulk(file, 1 << 20)
    assert (good, bad) == careful(data, file)
    assert good == [(1, 2, 3.0, 4, 1), (1, 4, 5.0, 6, 3)]
    assert bad == [
        (2, "1 column where 4 are expected"),
        (4, 'movie id ":5" is not a whole number'),
        (5, "movie id is empty"),
    ]
    only_tabs = numeric_file(tmp_path / "tabs.dat", b"1\t3\t3\t4\n", Grammar("::", 4), STRICT)
    assert bulk(only_tabs, 1 << 20) == ([], [(1, "1 column where 4 are expected")])


def test_times_are_read_in_all_their_forms() -> None:
    column = TimeField(0, NOW, flexible=True)
    forms = {
        "964982703": 964982703,
        "964982703.9": 964982703,
        "964982703123": 964982703,
        "2000-07-30": 964915200,
        "2000-07-30 18:45:03": 964982703,
        "2000-07-30T18:45:03Z": 964982703,
        "2000-07-30T20:45:03+02:00": 964982703,
        "2000-07-30 18:45:03.999999 +0000": 964982703,
        "": NO_TIME,
    }
    assert {text: column.parse(text) for text in forms} == forms
    bulk_texts = [text.encode() for text in forms if text]
    assert column.convert(bulk_texts).tolist() == [forms[text.decode()] for text in bulk_texts]


def test_a_stray_quote_costs_one_row_only(tmp_path: Path) -> None:
    data = b'1;1;;"open;2\n2;2;;fine;3\n3;3;;"also\nfine";4\n4;4;;fine;5\n'
    file = numeric_file(tmp_path / "any.csv", data, FREE, FREE_COLUMNS)
    good, bad = bulk(file, 1 << 20)
    assert [(row[0], row[4]) for row in good] == [(2, 2), (3, 3), (4, 5)]
    assert bad == [(1, "a quoted field is not closed")]


def test_contains_agrees_with_membership() -> None:
    ids = np.array([1, 4, 9], np.int32)
    assert [value for value in range(-1, 12) if numbers.contains(ids, value)] == [1, 4, 9]


@pytest.mark.parametrize("block_size", [40, 150, 1 << 20])
def test_quoted_line_breaks_survive_the_cut_into_blocks(tmp_path: Path, block_size: int) -> None:
    data = "".join(f'{i};{i};;"of\nthree\n""lines""";{i}\n' for i in range(60)).encode()
    file = numeric_file(tmp_path / "any.csv", data, FREE, FREE_COLUMNS)
    good, bad = bulk(file, block_size)
    assert bad == []
    assert [(row[0], row[4]) for row in good] == [(i, 1 + 3 * i) for i in range(60)]
