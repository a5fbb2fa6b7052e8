"""What a request may name: ids, counts, filters, bodies; what is out of bounds is a 422."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from recsys.service.async_recommender import AsyncRecommender

LARGEST_ID = 2**31 - 1
LARGEST_N = 1000
MOST_RATINGS = 10_000
# PostgreSQL's text holds no NUL.
TEXT = r"^[^\x00]*$"

Id = Annotated[int, Field(ge=0, le=LARGEST_ID)]
UserId = Annotated[int, Path(ge=0, le=LARGEST_ID, description="Id of the user.", examples=[1])]
MovieId = Annotated[int, Path(ge=0, le=LARGEST_ID, description="Id of the movie.", examples=[1])]
RunId = Annotated[int, Path(ge=0, le=LARGEST_ID, description="Number of the run.", examples=[1])]
Chart = Annotated[
    str,
    Path(pattern=TEXT, max_length=100, description="Name of the chart.", examples=["top_rated"]),
]
Title = Annotated[
    str,
    Query(pattern=TEXT, max_length=500, description="Words of the title.", examples=["matrix"]),
]
N = Annotated[int, Query(ge=0, le=LARGEST_N, description="How many rows at most.")]
Model = Annotated[
    str | None,
    Query(
        pattern=TEXT, max_length=100, description="Model to ask; the published default without it."
    ),
]
Text = Annotated[str, Field(pattern=TEXT, max_length=100)]
Genres = Annotated[
    list[Text] | None,
    Query(max_length=100, description="Movies of any of these genres, a parameter for each."),
]
Genre = Annotated[
    str | None,
    Query(pattern=TEXT, max_length=100, description="Of one genre; of all of them without it."),
]
Year = Annotated[int | None, Query(ge=0, le=9999)]


class RatingsGiven(BaseModel):
    """What somebody gave to which movies, and what to recommend; nothing of it is kept."""

    model_config = ConfigDict(extra="forbid")

    ratings: Annotated[
        dict[
            Id,
            Annotated[float, Field(allow_inf_nan=False, strict=True)],
        ],
        Field(max_length=MOST_RATINGS, description="Rating of each movie, by its id."),
    ]
    n: Annotated[int, Field(ge=0, le=LARGEST_N, description="How many rows at most.")] = 10
    model: Annotated[Text | None, Field(description="The published default without it.")] = None
    genres: Annotated[list[Text] | None, Field(max_length=100)] = None
    year_from: Annotated[int | None, Field(ge=0, le=9999)] = None
    year_to: Annotated[int | None, Field(ge=0, le=9999)] = None


class RatingGiven(BaseModel):
    """What a user gives to a movie."""

    model_config = ConfigDict(extra="forbid")

    rating: Annotated[
        float,
        Field(allow_inf_nan=False, strict=True, description="On the scale of the data."),
    ]


def _written_out(value: object) -> object:
    # As a number it would be taken for seconds, or for milliseconds where there are many.
    if isinstance(value, int | float):
        raise ValueError("a time is written as 2030-01-02T03:04:05Z")
    return value


class BlockGiven(BaseModel):
    """How long a movie is kept out of a user's recommendations."""

    model_config = ConfigDict(extra="forbid")

    until: Annotated[
        AwareDatetime | None,
        BeforeValidator(_written_out),
        Field(description="End of the block, with its zone; for good without it. Past: lifted."),
    ] = None


def asked(request: Request) -> AsyncRecommender:
    """Return whom the routes ask."""
    recommender: AsyncRecommender = request.app.state.recommender
    return recommender
