"""Control characters never reach the store, and other encodings and line ends are read."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recsys.domain import RejectedRow
from recsys.errors import DataError
from recsys.ingest import read_dataset
from recsys.ingest.reading.characters import escaped, escaped_name, wide_encoding, without_controls
from recsys.ingest.tmdb.dataset import read_metadata

RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,1000\n1,2,3.0,1000\n2,1,0.5,1000\n"
MOVIES = "movieId,title,genres\n1,Amélie (2001),Drama|Komödie\n2,東京物語 (1953),Drama\n"
LINKS = "movieId,imdbId,tmdbId\n1,10,20\n"
ESCAPE = "\x1b[31mRed\x1b[0m"
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"]


def folder(path: Path, **files: str) -> Path:
    for name, content in {"ratings": RATINGS, "movies": MOVIES, **files}.items():
        (path / f"{name.replace('_', '-')}.csv").write_text(content, "utf-8", newline="")
    return path


# --- control characters ---


@pytest.mark.parametrize("character", [*range(9), *range(14, 32), 127, 128, 155, 159])
def test_a_title_with_a_control_character_is_rejected(tmp_path: Path, character: int) -> None:
    bad = f"3,Re{chr(character)}d (2000),Drama"
    dataset = read_dataset(folder(tmp_path, movies=f"{MOVIES}{bad}\n"))
    reason = f"title has the control character U+{character:04X}"
    if character == 0:
        reason = "a NUL character in the row"
    content = f"3,Re\\x{character:02x}d (2000),Drama"
    assert dataset.rejected == [RejectedRow("movies.csv", 4, content, reason)]
    assert [movie.movie_id for movie in dataset.movies] == [1, 2]


def test_tabs_and_line_breaks_become_spaces(tmp_path: Path) -> None:
    movies = 'movieId,title,genres\n1,"One\tand\r\nTwo\v\x85(2001)","Dra\tma|War\n"\n2,Two,\n'
    dataset = read_dataset(folder(tmp_path, movies=movies))
    movie = dataset.movies[0]
    assert (movie.title, movie.original_title) == ("One and Two", "One and Two  (2001)")
    assert (movie.year, movie.genres, dataset.rejected) == (2001, ("Dra ma", "War"), [])


def test_no_text_of_an_edition_has_a_control_character(tmp_path: Path) -> None:
    dataset = read_dataset(
        folder(
            tmp_path,
            movies=f"{MOVIES}3,Three,{ESCAPE}\n",
            tags=f"userId,movieId,tag,timestamp\n1,1,{ESCAPE},5\n1,1,a\tb,5\n",
            genome_tags=f"tagId,tag\n1,{ESCAPE}\n2,no\tir\n",
            genome_scores="movieId,tagId,relevance\n1,2,0.5\n",
        )
    )
    shown = "\\x1b[31mRed\\x1b[0m"
    assert [(row.file, row.content, row.reason) for row in dataset.rejected] == [
        ("movies.csv", f"3,Three,{shown}", "genre has the control character U+001B"),
        ("tags.csv", f"1,1,{shown},5", "tag has the control character U+001B"),
        ("genome-tags.csv", f"1,{shown}", "tag has the control character U+001B"),
    ]
    assert dataset.tags is not None
    assert dataset.genome is not None
    assert (dataset.tags.tags, dataset.genome.names) == (["a b"], ["no ir"])


def test_no_attribute_of_a_user_has_a_control_character(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t1\t3\t5\n")
    users = f"1|24|M|art\tist|855\x0b37\n2|24|M|{ESCAPE}|1\n3|24|M|x|{ESCAPE}\n4|24|\x9b|x|1\n"
    (tmp_path / "u.user").write_text(users, "latin-1")
    dataset = read_dataset(tmp_path)
    assert [(user.occupation, user.zip_code) for user in dataset.users] == [("art ist", "855 37")]
    assert [(row.content, row.reason) for row in dataset.rejected] == [
        ("2|24|M|\\x1b[31mRed\\x1b[0m|1", "occupation has the control character U+001B"),
        ("3|24|M|x|\\x1b[31mRed\\x1b[0m", "zip code has the control character U+001B"),
        ("4|24|\\x9b|x|1", 'gender "\\x9b" is neither F nor M'),
    ]


def test_metadata_loses_control_characters_and_nothing_else(tmp_path: Path) -> None:
    keywords = (
        f"""id,keywords\n5,"[{{'id': 1, 'name': '{ESCAPE}'}}, {{'id': 2, 'name': '\x9b'}}]"\n"""
    )
    (tmp_path / "keywords.csv").write_text(keywords, "utf-8")
    header = (
        "belongs_to_collection,budget,id,imdb_id,original_language,original_title,overview,"
        "popularity,poster_path,release_date,revenue,runtime,tagline,title,vote_average,vote_count"
    )
    row = f',,5,,en\x7f,{ESCAPE},"A\x07\tplot\nof {ESCAPE}",,/p\x1b.jpg,,,,{ESCAPE},\x1b,,\n'
    (tmp_path / "movies_metadata.csv").write_text(f"{header}\n{row}", "utf-8")
    found = read_metadata(tmp_path)
    assert (found.keywords, found.rejected) == ({1: "[31mRed[0m"}, [])
    movie = found.movies[0]
    assert (movie.title, movie.overview) == ("[31mRed[0m", "A\tplot\nof [31mRed[0m")
    assert (movie.tagline, movie.original_language) == ("[31mRed[0m", "en")
    assert movie.poster_path is None


@pytest.mark.parametrize("name", ["a\x1b[31m.csv", "a\n.csv", "a\udcff.csv", "a\x9b.csv"])
def test_names_of_files_are_escaped(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    # As bytes: the name may be no valid text.
    Path(os.fsdecode(os.fsencode(path))).write_text("user,film,stars\n1,1,3\n,1,3\n")
    dataset = read_dataset(path)
    safe = {"a\x1b[31m.csv": "a\\x1b[31m.csv", "a\n.csv": "a\\x0a.csv"}
    safe |= {"a\udcff.csv": "a\\udcff.csv", "a\x9b.csv": "a\\x9b.csv"}
    assert [file.name for file in dataset.files] == [safe[name]]
    assert [row.file for row in dataset.rejected] == [safe[name]]
    assert dataset.edition == f"csv:{safe[name].removesuffix('.csv')}"
    path.write_text("nothing\n")
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert escaped_name(str(caught.value)) == str(caught.value)


def test_names_in_archives_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b[31m/rat\x1bings.csv", "user,film,stars\n1,1,3\n")
    assert [file.name for file in read_dataset(path).files] == ["rat\\x1bings.csv"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("\x1b[32m/ratings.csv", "user,film,stars\n1,1,3\n")
    with pytest.raises(DataError, match=r"holds several data sets: \\x1b\[31m, \\x1b\[32m"):
        read_dataset(path)


def test_ways_to_make_a_text_safe() -> None:
    text = "a\tb\nc\r\x00\x1b\x7f\x9bé\udc80"
    assert escaped(text) == "a\tb\nc\\x0d\\x00\\x1b\\x7f\\x9bé\\udc80"
    assert escaped_name(text) == "a\\x09b\\x0ac\\x0d\\x00\\x1b\\x7f\\x9bé\\udc80"
    assert without_controls(text) == "a\tb\ncé"


# --- encodings and line ends ---


def contents(path: Path) -> tuple[object, ...]:
    dataset = read_dataset(path)
    ratings = dataset.ratings
    columns = [ratings.user_ids, ratings.movie_ids, ratings.values, ratings.rated_at]
    return (dataset.movies, np.stack(columns).tolist(), dataset.rejected, dataset.rows_read)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_do_not_matter(tmp_path: Path, encoding: str, ending: str) -> None:
    expected = contents(folder(tmp_path, links=LINKS))
    assert len(expected[0]) == 2
    for name, content in {"ratings": RATINGS, "movies": MOVIES, "links": LINKS}.items():
        data = content.replace("\n", ending).encode(encoding)
        (tmp_path / f"{name}.csv").write_bytes(data)
        # One file beside good ones, then two, then all.
        assert contents(tmp_path) == expected
    size = (tmp_path / "links.csv").stat().st_size
    assert [file.bytes for file in read_dataset(tmp_path).files if file.name == "links.csv"] == [
        size
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_old_editions_in_other_forms(tmp_path: Path, encoding: str, ending: str) -> None:
    files = {
        "u.data": "1\t1\t3\t5\n2\t1\t4\t5\n",
        "u.item": "1|Amélie (2001)|01-Jan-2001||x" + "|0" * 18 + "|1\n",
        "u.user": "1|24|M|artist|1\n",
        "ratings.dat": "1::1::3::5\n2::1::4::5\n",
        "movies.dat": "1::Amélie (2001)::Western\n",
        "users.dat": "1::F::1::10::48067\n",
    }
    for place, names in (("100k", ("u.data", "u.item", "u.user")), ("1m", tuple(files)[3:])):
        (tmp_path / place).mkdir()
        for name in names:
            data = files[name].replace("\n", ending).encode(encoding)
            (tmp_path / place / name).write_bytes(data)
        dataset = read_dataset(tmp_path / place)
        assert (dataset.dialect, dataset.rejected) == (f"ml-{place}", [])
        assert [(m.title, m.genres) for m in dataset.movies] == [("Amélie", ("Western",))]
        assert (len(dataset.ratings), len(dataset.users)) == (2, 1)


@pytest.mark.parametrize("ending", ["\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_metadata_in_other_forms(tmp_path: Path, encoding: str, ending: str) -> None:
    text = """id,keywords\n5,"[{'id': 1, 'name': 'Zürich'}]"\n6,[]\n""".replace("\n", ending)
    (tmp_path / "keywords.csv").write_bytes(text.encode(encoding))
    found = read_metadata(tmp_path)
    assert (found.keywords, found.rows_read, found.rejected) == ({1: "Zürich"}, 2, [])


def test_half_a_character_at_the_end_spoils_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("user,film,stars\n1,1,3\n2,1,4".encode("utf-16")[:-1])
    dataset = read_dataset(path)
    assert dataset.ratings.user_ids.tolist() == [1]
    assert [(row.line, row.content, row.reason) for row in dataset.rejected] == [
        (3, "2,1,\\xff", "not valid UTF-8")
    ]


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"", None), (b"1", None), (b"user,film", None), (b"\0\0\0\0", None), (b"a\0bc", None),
        (b"1\0,\0", "utf-16-le"), (b"\x001\0,", "utf-16-be"), (b"\xff\xfe1\0", "utf-16-le"),
        (b"\xff\xfe\0\0", "utf-32-le"),
    ],
)  # fmt: skip
def test_wide_encodings_are_recognized(head: bytes, codec: str | None) -> None:
    assert wide_encoding(head) == codec


def test_a_damaged_packed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08" + b"\0" * 20)
    with pytest.raises(DataError, match=r"^ratings\.csv\.gz cannot be read: Error -3 while"):
        read_dataset(path)
