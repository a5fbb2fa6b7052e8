from datetime import date

import pytest
import sqlalchemy as sa

from recsys.domain import Credit, MetadataSet, MovieMetadata, Person, SourceMovie
from recsys.storage.load import catalogue, movie_metadata
from recsys.storage.load.catalogue import Counts
from recsys.storage.load.movie_metadata import MetadataCounts, merge_metadata

BY_TMDB = SourceMovie(1, "By TMDB", "By TMDB", imdb_id=11, tmdb_id=101)
BY_IMDB = SourceMovie(2, "By IMDb", "By IMDb", imdb_id=12, tmdb_id=999)
TWICE = SourceMovie(3, "By TMDB, twice", "By TMDB, twice", tmdb_id=101)
UNKNOWN = SourceMovie(4, "Unknown", "Unknown", imdb_id=14, tmdb_id=104)
FULL = MovieMetadata(
    101, 11, "A", "Plot", "Line", "1995-10-30", 81.0, "en", 7.7, 5415, 21.9, 30_000_000,
    3_735_540_330, "/poster.jpg", "Toys",
)  # fmt: skip
BARE = MovieMetadata(102, 12, "B")
FOREIGN = MovieMetadata(103, 13, "C", "Nobody's")


def metadata(movies=(FULL, BARE, FOREIGN), **parts):
    values = {"keywords": {}, "movie_keywords": [], "people": [], "credits": []} | parts
    return MetadataSet(
        movies=list(movies),
        rejected=[],
        rejected_count=0,
        rows_read=0,
        duplicates=0,
        files=(),
        **values,
    )


def rows_of(connection, query):
    return [tuple(row) for row in connection.execute(sa.text(query))]


def described(connection):
    return rows_of(connection, "SELECT * FROM recsys_store.movie_metadata ORDER BY movie_id")


def keywords_of(connection):
    return rows_of(
        connection,
        "SELECT movie_id, name FROM recsys_store.movie_keywords "
        "JOIN recsys_store.keywords USING (keyword_id) ORDER BY 1, 2",
    )


def credits_of(connection):
    return rows_of(
        connection,
        "SELECT movie_id, role, position, name, character FROM recsys_store.movie_credits "
        "JOIN recsys_store.people USING (person_id) ORDER BY 1, 2, 3",
    )


@pytest.fixture
def movies(connection):
    catalogue.merge_movies(connection, [BY_TMDB, BY_IMDB, TWICE, UNKNOWN])
    return connection


def test_movies_are_found_by_tmdb_id_else_by_imdb_id(movies):
    counts = merge_metadata(movies, metadata())
    assert counts == MetadataCounts(Counts(inserted=3), matched=3, unmatched=1)
    full = (
        "Plot", "Line", date(1995, 10, 30), 81.0, "en", 7.7, 5415, 21.9, 30_000_000,
        3_735_540_330, "/poster.jpg", "Toys",
    )  # fmt: skip
    assert described(movies) == [(1, *full), (2, *[None] * 12), (3, *full)]


def test_a_tmdb_id_wins_over_an_imdb_id(movies):
    other = MovieMetadata(500, 11, "same IMDb id, other film", "Wrong")
    merge_metadata(movies, metadata([FULL, other]))
    assert [(row[0], row[1]) for row in described(movies)] == [(1, "Plot"), (3, "Plot")]


def test_of_two_films_of_one_imdb_id_the_one_with_more_votes_is_taken(movies):
    films = [
        MovieMetadata(200, 12, "a", "none"),
        MovieMetadata(201, 12, "b", "few", vote_count=3),
        MovieMetadata(202, 12, "c", "many", vote_count=30),
    ]
    merge_metadata(movies, metadata(films))
    assert [(row[0], row[1]) for row in described(movies)] == [(2, "many")]


def test_the_same_again_is_unchanged_and_a_change_is_written(movies):
    merge_metadata(movies, metadata())
    assert merge_metadata(movies, metadata()).movies == Counts(unchanged=3)
    changed = MovieMetadata(102, 12, "B", "Now told", vote_count=0)
    assert merge_metadata(movies, metadata([changed])).movies == Counts(updated=1)
    assert [row[1] for row in described(movies)] == ["Plot", "Now told", "Plot"]


def test_keywords_of_ours_are_written_and_replaced(movies):
    first = metadata(
        keywords={7: "toy", 8: "boy", 9: "nobody's"},
        movie_keywords=[(101, 7), (101, 8), (102, 8), (103, 9)],
    )
    merge_metadata(movies, first)
    assert keywords_of(movies) == [(1, "boy"), (1, "toy"), (2, "boy"), (3, "boy"), (3, "toy")]
    second = metadata(keywords={7: "toys", 10: "new"}, movie_keywords=[(101, 7), (101, 10)])
    merge_metadata(movies, second)
    assert keywords_of(movies) == [(1, "new"), (1, "toys"), (2, "boy"), (3, "new"), (3, "toys")]
    assert rows_of(movies, "SELECT keyword_id FROM recsys_store.keywords ORDER BY 1") == [
        (7,), (8,), (10,),
    ]  # fmt: skip


def test_credits_of_ours_are_written_and_replaced(movies):
    people = [Person(31, "Tom"), Person(32, "Tim"), Person(33, "John"), Person(34, "Nobody")]
    first = metadata(
        people=people,
        credits=[
            Credit(101, 31, "cast", 0, "Woody"),
            Credit(101, 32, "cast", 1, "Buzz"),
            Credit(101, 33, "director", 0),
            Credit(103, 34, "cast", 0, "X"),
        ],
    )
    merge_metadata(movies, first)
    ours = [
        (1, "cast", 0, "Tom", "Woody"),
        (1, "cast", 1, "Tim", "Buzz"),
        (1, "director", 0, "John", None),
    ]
    assert credits_of(movies) == [*ours, *[(3, *row[1:]) for row in ours]]
    second = metadata(
        people=[Person(31, "Thomas")],
        credits=[Credit(101, 31, "cast", 0, "Sheriff")],
    )
    merge_metadata(movies, second)
    assert credits_of(movies) == [
        (1, "cast", 0, "Thomas", "Sheriff"),
        (3, "cast", 0, "Thomas", "Sheriff"),
    ]


def test_credits_alone_match_by_tmdb_id(movies):
    alone = metadata(
        [], people=[Person(31, "Tom")], credits=[Credit(104, 31, "cast", 0, "Himself")]
    )
    assert merge_metadata(movies, alone) == MetadataCounts(Counts(), matched=1, unmatched=0)
    assert credits_of(movies) == [(4, "cast", 0, "Tom", "Himself")]


def test_metadata_missing_in_the_files_stays(movies):
    merge_metadata(
        movies,
        metadata(
            keywords={7: "toy"},
            movie_keywords=[(101, 7)],
            people=[Person(31, "Tom")],
            credits=[Credit(101, 31, "cast", 0, "Woody")],
        ),
    )
    before = (described(movies), keywords_of(movies), credits_of(movies))
    merge_metadata(movies, metadata([]))
    assert (described(movies), keywords_of(movies), credits_of(movies)) == before


def test_files_without_a_known_film_are_reported(movies):
    counts = merge_metadata(movies, metadata([FOREIGN]))
    assert counts == movie_metadata.MetadataCounts(Counts(), matched=0, unmatched=1)
    assert described(movies) == []


def test_no_temporary_table_is_left(movies):
    merge_metadata(movies, metadata())
    assert rows_of(movies, "SELECT relname FROM pg_class WHERE relpersistence = 't'") == []
