"""Bad files cost bounded memory and time, and a stray character costs one row."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.ingest import read_dataset
from recsys.ingest.csv.texts import read_texts
from recsys.ingest.reading import blocks, rejects
from recsys.ingest.reading.intake import BLOCK, Intake, end_of_rows
from recsys.ingest.reading.rejects import KEPT, RejectLimit
from recsys.ingest.reading.sources import open_folders
from recsys.ingest.tmdb.dataset import read_metadata

RATINGS = "userId,movieId,rating,timestamp\n"
MOVIES = "movieId,title,genres\n1,One (2001),Drama\n"
GOOD, BAD = "1,1,4.0,1000\n", "x,1,4.0,1000\n"


def folder(path: Path, ratings: str, movies: str = MOVIES) -> Path:
    path.mkdir(exist_ok=True)
    (path / "ratings.csv").write_text(RATINGS + ratings)
    (path / "movies.csv").write_text(movies)
    return path


# --- rejected rows ---


def test_the_first_rejected_rows_of_each_file_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    links = "movieId,imdbId,tmdbId\n1,1,1\n2,x,1\n"
    (folder(tmp_path, BAD * (KEPT + 500) + GOOD) / "links.csv").write_text(links)
    dataset = read_dataset(tmp_path, max_rejects=RejectLimit(share=1.0))
    assert (dataset.rejected_count, dataset.rows_read) == (KEPT + 501, KEPT + 504)
    lines = [(row.file, row.line) for row in dataset.rejected]
    expected = [("ratings.csv", line) for line in range(2, KEPT + 2)]
    assert lines == [("links.csv", 3), *expected]
    assert dataset.ratings.user_ids.tolist() == [1]


@pytest.mark.parametrize("bad", [BAD, "x\n", '"x,1,4.0,1000\n'])
def test_reading_stops_when_the_limit_cannot_be_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setattr(blocks, "PIECE", 1 << 16)
    monkeypatch.setattr(rejects, "_FAIR_CHANCE", 15_000)
    path = folder(tmp_path, bad * (3 * BLOCK // len(bad)))
    seen: list[tuple[int, int]] = []
    with pytest.raises(DataError, match=r"of the first [\d,]+ rows are bad, at most 1% are allow"):
        read_dataset(
            path,
            max_rejects=RejectLimit(share=0.01),
            progress=lambda done, total: seen.append((done, total)),
        )
    assert seen[-1] == (BLOCK, (path / "ratings.csv").stat().st_size)


def test_reading_stops_at_the_number_of_rejected_rows(tmp_path: Path) -> None:
    path = folder(tmp_path, GOOD * 20_000 + BAD * 300 + GOOD * 20_000)
    with pytest.raises(DataError, match=r"^201 of the first [\d,]+ rows are bad, at most 200 rows"):
        read_dataset(path, max_rejects=RejectLimit(rows=200))
    assert read_dataset(path, max_rejects=RejectLimit(rows=300)).rejected_count == 300


def test_bad_rows_at_the_start_do_not_stop_a_file_that_meets_the_limit(tmp_path: Path) -> None:
    path = folder(tmp_path, BAD * 12_000 + GOOD * 36_000)
    dataset = read_dataset(path, max_rejects=RejectLimit(share=0.25))
    assert (dataset.rejected_count, dataset.duplicates) == (12_000, 35_999)
    with pytest.raises(DataError, match=r"^12,000 of 48,001 rows are bad, 11,520 are allowed"):
        read_dataset(path, max_rejects=RejectLimit(share=0.24))


@pytest.mark.parametrize(
    ("limit", "rejected", "rows_read", "bytes_left", "lost"),
    [
        (RejectLimit(0.01), 9_999, 9_999, 0, False),  # read to the end all the same
        (RejectLimit(0.01), 200, 20_000, 0, False),
        (RejectLimit(0.01), 201, 20_000, 0, True),
        (RejectLimit(0.01), 201, 20_000, 400, False),
        (RejectLimit(0.01), 201, 20_000, None, False),
        (RejectLimit(0.01), 50_001, 100_000, 1 << 40, True),
        (RejectLimit(0.01), 50_000, 100_000, 1 << 40, False),
        (RejectLimit(0.6), 99_999, 100_000, 1 << 40, False),
        (RejectLimit(rows=5), 6, 10_000, 1 << 40, True),
        (RejectLimit(rows=5), 5, 10_000, 0, False),
        (RejectLimit(1.0), 10**6, 10**6, 0, False),
    ],
)
def test_a_limit_is_lost(
    limit: RejectLimit, rejected: int, rows_read: int, bytes_left: int | None, lost: bool
) -> None:
    assert limit.is_lost(rejected, rows_read, bytes_left) is lost


def test_metadata_of_another_kind_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "keywords.csv"
    path.write_text("id,keywords\n" + "0,[]\n" * 150_000)
    with pytest.raises(DataError) as caught:
        read_metadata(path)
    assert str(caught.value).startswith(
        "100,000 of the first 100,000 rows are bad, at most 50% are allowed: keywords.csv line 2: "
    )
    path.write_text("id,keywords\n" + "0,[]\n" * (KEPT + 5))
    found = read_metadata(path)
    assert (len(found.rejected), found.rejected_count) == (KEPT, KEPT + 5)


def test_a_movie_with_absurdly_many_directors_gets_the_first(tmp_path: Path) -> None:
    def crew(first: int) -> str:
        entry = "{'id': %d, 'job': 'Director', 'name': 'A'}"
        return ", ".join(entry % number for number in range(first, first + 600))

    rows = "".join(f'[],"[{crew(first)}]",5\n' for first in (1, 601))
    (tmp_path / "credits.csv").write_text(f"cast,crew,id\n{rows}")
    found = read_metadata(tmp_path)
    assert [(one.person_id, one.position) for one in found.credits] == [
        (number + 1, number) for number in range(1000)
    ]


# --- archives ---


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", RATINGS + GOOD * 1000)
        archive.writestr("movies.csv", MOVIES)
    # The header is believed, so that the test need not write so much.
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[0].file_size = 2 << 30
        archive._didModify = True  # type: ignore[attr-defined]
    for read in (read_dataset, read_metadata):
        with pytest.raises(DataError) as caught:
            read(path)
        ratio = f"{((2 << 30) + len(MOVIES)) / path.stat().st_size:,.0f}"
        assert str(caught.value) == (
            f"{path} would unpack to 2,049 MB, {ratio} times its size; 1,024 MB are allowed"
        )
        assert caught.value.hint == (
            "If the archive is what it should be, set max_unpacked_mb = 2049 under [ingest] in "
            "recsys.toml, or unpack it and give the folder."
        )
    with pytest.raises(DataError, match="would unpack to 2,049 MB"):
        read_texts(path, None, None)
    with open_folders(path, max_unpacked_mb=2049) as folders:
        assert [entry.size for entry in folders[0].files.values()] == [2 << 30, len(MOVIES)]
    # A header that says less than there is: no more is read, and the checksum does not fit.
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[0].file_size = 100
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"^ratings\.csv cannot be read: Bad CRC-32"):
        read_dataset(path)


def test_a_number_of_the_user_bounds_small_archives_too(tmp_path: Path) -> None:
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ratings.csv", RATINGS + GOOD * 100_000)
        archive.writestr("movies.csv", MOVIES)
    assert len(read_dataset(path, max_unpacked_mb=2).ratings) == 1
    with pytest.raises(DataError, match=r"would unpack to 2 MB, 1 times its size; 1 MB are allow"):
        read_dataset(path, max_unpacked_mb=1)


# --- quotes ---


def test_a_stray_quote_costs_one_row_of_a_large_file(tmp_path: Path) -> None:
    """It used to open a field that swallowed the rest, until the row was longer than allowed."""
    path = tmp_path / "reviews.csv"
    rows = [f'{user},{user % 7},{user % 5},"nice, but long"\n' for user in range(1, 60_001)]
    rows[10] = '11,4,1,"stray\n'
    rows[30_000] = '30001,6,1,"two\nlines"\n'
    path.write_text("user,film,stars,review\n" + "".join(rows))
    dataset = read_dataset(path)
    assert [(row.line, row.content, row.reason) for row in dataset.rejected] == [
        (12, '11,4,1,"stray', "a quoted field is not closed")
    ]
    assert len(dataset.ratings) == len(rows) - 1
    assert dataset.ratings.user_ids[29_998:30_001].tolist() == [30_000, 30_001, 30_002]


def test_blocks_end_in_time_after_a_stray_quote(tmp_path: Path) -> None:
    data = b'1,1,"stray\n' + b"2,2,plain\n" * 5000
    # The quote is too far for a row to reach from there to the end.
    assert end_of_rows(data + b"3,3,") == len(data)
    near = b"2,2,plain\n" * 5000 + b'1,1,"open\n'
    assert end_of_rows(near + b"and more\n") == len(near) - len(b'1,1,"open\n')
    long = b'1,1,"stray\n' + (b"2,2," + b"p" * 10_000 + b"\n") * 200
    assert end_of_rows(long) == len(long)
    path = tmp_path / "tags.csv"
    path.write_bytes(data)
    with open_folders(path) as folders:
        entry = folders[0].files["tags.csv"]
        intake = Intake(block_size=1000)
        sizes = [len(block.data) for block in intake.blocks(entry, header=False, multiline=True)]
    assert (sum(sizes), max(sizes) < 25_000) == (len(data), True)


@pytest.mark.parametrize("piece", [40, 150, 4_000])
def test_pieces_of_a_block_end_between_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(blocks, "PIECE", piece)
    rows = "".join(f'{n},{n % 7},2.5,"a\nb ""{n}"""\n' for n in range(1, 200))
    path = tmp_path / "reviews.csv"
    path.write_text("user,film,stars,review\n" + rows + ",1,1,\n")
    dataset = read_dataset(path)
    assert [(row.line, row.content) for row in dataset.rejected] == [(400, ",1,1,")]
    assert dataset.ratings.user_ids.tolist() == list(range(1, 200))
    assert np.array_equal(dataset.ratings.movie_ids, np.arange(1, 200) % 7)
