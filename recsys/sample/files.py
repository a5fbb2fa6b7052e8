"""Write the built-in sample as MovieLens and TMDB files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from recsys.domain import Int64, Ratings
from recsys.sample.draw import Draw
from recsys.sample.movies import SampleMovie, sample_movies
from recsys.sample.ratings import sample_ratings

FIRST_FOREIGN_ID = 9_000_001
"""Unused ids of IMDb and TMDB: the sample must not be matched to real movies."""
TAGGERS = 0.35
OPINIONS = (
    "slow burn", "great ending", "rewatchable", "underrated", "overrated", "beautiful pictures",
    "good soundtrack", "twist ending", "feel-good", "dark", "funny", "predictable",
)  # fmt: skip

# TMDB's names and ids of MovieLens' genres; Film-Noir and IMAX are no genres there.
TMDB_GENRES = {
    "Action": (28, "Action"),
    "Adventure": (12, "Adventure"),
    "Animation": (16, "Animation"),
    "Children": (10751, "Family"),
    "Comedy": (35, "Comedy"),
    "Crime": (80, "Crime"),
    "Documentary": (99, "Documentary"),
    "Drama": (18, "Drama"),
    "Fantasy": (14, "Fantasy"),
    "Horror": (27, "Horror"),
    "Musical": (10402, "Music"),
    "Mystery": (9648, "Mystery"),
    "Romance": (10749, "Romance"),
    "Sci-Fi": (878, "Science Fiction"),
    "Thriller": (53, "Thriller"),
    "War": (10752, "War"),
    "Western": (37, "Western"),
}
LANGUAGES = {
    "de": "Deutsch", "en": "English", "es": "Español", "fr": "Français", "it": "Italiano",
    "ja": "日本語", "pt": "Português", "ru": "Русский", "sv": "svenska", "zh": "普通话",
}  # fmt: skip

METADATA_COLUMNS = (
    "adult", "belongs_to_collection", "budget", "genres", "homepage", "id", "imdb_id",
    "original_language", "original_title", "overview", "popularity", "poster_path",
    "production_companies", "production_countries", "release_date", "revenue", "runtime",
    "spoken_languages", "status", "tagline", "title", "video", "vote_average", "vote_count",
)  # fmt: skip

README = """\
Summary
=======

This dataset (recsys-sample) describes 5-star rating and free-text tagging activity.
It contains {ratings} ratings and {tags} tag applications across {movies} movies by {people} people.

Everything in it is fictional: the movies, their plots and figures, the people and what they
rated were made up by a program from the seed {seed}. Any likeness to real movies or people is
chance. The ids of IMDb and TMDB are placeholders.

`movies.csv`, `ratings.csv`, `tags.csv` and `links.csv` have the form of MovieLens,
`movies_metadata.csv` and `keywords.csv` that of The Movies Dataset.
The files may be used for any purpose.
"""

Row = Sequence[object]


def write_sample(folder: Path, *, seed: int = 2024) -> Path:
    """Write the sample into `folder` and return it; the same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    movies = sample_movies(seed)
    released = _release_days(movies, seed)
    ratings = sample_ratings(movies, _unix_seconds(released), seed)
    tags = list(_tags(movies, ratings, seed))
    _write(folder / "movies.csv", ("movieId", "title", "genres"), _movie_rows(movies))
    _write(
        folder / "ratings.csv", ("userId", "movieId", "rating", "timestamp"), _rating_rows(ratings)
    )
    _write(folder / "tags.csv", ("userId", "movieId", "tag", "timestamp"), tags)
    _write(folder / "links.csv", ("movieId", "imdbId", "tmdbId"), _link_rows(len(movies)))
    _write(
        folder / "movies_metadata.csv",
        METADATA_COLUMNS,
        _metadata_rows(movies, released, ratings, seed),
    )
    _write(folder / "keywords.csv", ("id", "keywords"), _keyword_rows(movies))
    readme = README.format(
        ratings=len(ratings),
        tags=len(tags),
        movies=len(movies),
        people=len(np.unique(ratings.user_ids)),
        seed=seed,
    )
    (folder / "README.txt").write_text(readme, encoding="utf-8", newline="\n")
    return folder


def _write(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # The same line ends on every system, so that checksums are equal.
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# --- MovieLens' files -----------------------------------------------------------------------------


def _movie_rows(movies: Sequence[SampleMovie]) -> Iterable[Row]:
    for movie_id, movie in enumerate(movies, start=1):
        title = _article_last(movie.title)
        if movie.title_at_home:
            title += f" ({_article_last(movie.title_at_home)})"
        yield movie_id, f"{title} ({movie.year})", "|".join(movie.genres)


def _article_last(title: str) -> str:
    """Return the title as MovieLens sorts it: `Lighthouse Keeper, The`."""
    match = re.fullmatch(r"(The|An?|Las?|Les?|El|Los|Il|D[aei][rse]|Os) (.+)", title)
    return f"{match[2]}, {match[1]}" if match else title


def _rating_rows(ratings: Ratings) -> Iterable[Row]:
    columns = (ratings.user_ids, ratings.movie_ids, ratings.values, ratings.rated_at)
    return zip(*(column.tolist() for column in columns), strict=True)


def _link_rows(count: int) -> Iterable[Row]:
    for place in range(count):
        yield place + 1, f"{FIRST_FOREIGN_ID + place:07d}", FIRST_FOREIGN_ID + place


def _tags(movies: Sequence[SampleMovie], ratings: Ratings, seed: int) -> Iterable[Row]:
    """Yield tags that some users give a few movies, minutes after rating them."""
    # Each part draws from a stream of its own: changing one leaves the others alone.
    draw = Draw(seed, 4)
    tagging = draw.uniforms(int(ratings.user_ids.max()) + 1) < TAGGERS
    noted = tagging[ratings.user_ids] & (draw.uniforms(len(ratings)) < 0.05)
    for row in np.flatnonzero(noted):
        movie_id = int(ratings.movie_ids[row])
        about = (*movies[movie_id - 1].keywords, *draw.some(OPINIONS, 3))
        for minutes, tag in enumerate(draw.some(about, draw.whole(1, 3)), start=1):
            yield (
                int(ratings.user_ids[row]), movie_id, tag, int(ratings.rated_at[row]) + 60 * minutes
            )  # fmt: skip


# --- The Movies Dataset's files -------------------------------------------------------------------


def _release_days(movies: Sequence[SampleMovie], seed: int) -> list[date]:
    draw = Draw(seed, 5)
    # Up to the 28th, a day that every month has.
    return [date(movie.year, draw.whole(1, 12), draw.whole(1, 28)) for movie in movies]


def _unix_seconds(days: Sequence[date]) -> Int64:
    midnights = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days)
    return np.array([int(midnight.timestamp()) for midnight in midnights], np.int64)


def _metadata_rows(
    movies: Sequence[SampleMovie], released: Sequence[date], ratings: Ratings, seed: int
) -> Iterable[Row]:
    draw = Draw(seed, 6)
    raters = np.bincount(ratings.movie_ids, minlength=len(movies) + 1)[1:]
    series = sorted({movie.series for movie in movies if movie.series})
    collections = {name: FIRST_FOREIGN_ID + i for i, name in enumerate(series)}
    for place, (movie, day, votes) in enumerate(zip(movies, released, raters, strict=True)):
        row = _metadata(movie, day, int(votes), draw)
        row["id"] = FIRST_FOREIGN_ID + place
        row["imdb_id"] = f"tt{FIRST_FOREIGN_ID + place:07d}"
        if movie.series:
            row["belongs_to_collection"] = {
                "id": collections[movie.series],
                "name": f"{movie.series} Collection",
                "poster_path": None,
                "backdrop_path": None,
            }
        yield [row.get(column, "") for column in METADATA_COLUMNS]


def _metadata(movie: SampleMovie, day: date, raters: int, draw: Draw) -> dict[str, Any]:
    """Return one row by column; lists and dicts are written the way Python prints them."""
    genres = [TMDB_GENRES[genre] for genre in movie.genres if genre in TMDB_GENRES]
    votes = int(raters * draw.uniform(8.0, 24.0))
    budget = int(draw.uniform(1.0, 90.0) * (movie.year - 1925) / 100) * 1_000_000
    return {
        "adult": False,
        "budget": budget,
        "genres": [{"id": id_, "name": name} for id_, name in genres],
        "original_language": movie.language,
        "original_title": movie.title_at_home or movie.title,
        "overview": movie.overview,
        "popularity": f"{0.2 + raters * draw.uniform(0.05, 0.12):.6f}",
        "production_companies": [],
        "production_countries": [],
        "release_date": day.isoformat(),
        "revenue": int(budget * draw.uniform(0.2, 1.0) * (1 + raters / 40)),
        "runtime": float(movie.runtime),
        "spoken_languages": [{"iso_639_1": movie.language, "name": LANGUAGES[movie.language]}],
        "status": "Released",
        "tagline": movie.tagline,
        "title": movie.title,
        "video": False,
        "vote_average": f"{min(9.4, max(2.0, 6.2 + 0.8 * movie.quality)) if votes else 0.0:.1f}",
        "vote_count": votes,
    }


def _keyword_rows(movies: Sequence[SampleMovie]) -> Iterable[Row]:
    names = sorted({keyword for movie in movies for keyword in movie.keywords})
    ids = {name: FIRST_FOREIGN_ID + i for i, name in enumerate(names)}
    for place, movie in enumerate(movies):
        keywords = [{"id": ids[name], "name": name} for name in movie.keywords]
        yield FIRST_FOREIGN_ID + place, keywords
