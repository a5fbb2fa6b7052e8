"""Parameters and bodies of requests, with their bounds; values out of bounds return 422."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from recsys.service import AsyncRecommender
from recsys.service.types import Filters
from recsys.web.api.strict import decimal, future, moment

# Ids have the type integer in PostgreSQL.
MAX_ID = 2**31 - 1
MAX_ROWS = 1000
MAX_RATINGS = 10_000
# A PostgreSQL text cannot contain NUL.
TEXT = r"^[^\x00]*$"
# What the tables accept as a key; see `recsys.domain.fault_of_key`.
KEY = r"^[^\x00-\x1f\x7f-\x9f]+$"
LONGEST_KEY = 512

# Last in its annotation, or the document would lose the bounds.
Decimal = BeforeValidator(decimal)
Id = Annotated[int, Field(ge=0, le=MAX_ID), Decimal]
UserKey = Annotated[
    str,
    Path(
        pattern=KEY,
        max_length=LONGEST_KEY,
        description="Key of the user, percent-encoded; a number that is no key is an id.",
        examples=["1"],
    ),
]
MovieKey = Annotated[
    str,
    Path(
        pattern=KEY,
        max_length=LONGEST_KEY,
        description="Key of the movie, percent-encoded; a number that is no key is an id.",
        examples=["1"],
    ),
]
MovieId = Annotated[int, Path(ge=0, le=MAX_ID, description="Id of the movie."), Decimal]
RunId = Annotated[
    int, Path(ge=0, le=MAX_ID, description="Number of the run.", examples=[1]), Decimal
]
ChartName = Annotated[
    str,
    Path(pattern=TEXT, max_length=100, description="Name of the chart.", examples=["top_rated"]),
]
Title = Annotated[
    str,
    Query(pattern=TEXT, max_length=500, description="Words of the title.", examples=["matrix"]),
]
N = Annotated[int, Query(ge=0, le=MAX_ROWS, description="Maximum number of rows."), Decimal]
Model = Annotated[
    str | None,
    Query(
        pattern=TEXT,
        max_length=100,
        description="Name of a published model. Defaults to the default model of the run.",
    ),
]
Text = Annotated[str, Field(pattern=TEXT, max_length=100)]
Key = Annotated[str, Field(pattern=KEY, max_length=LONGEST_KEY)]
Genres = Annotated[
    list[Text] | None,
    Query(
        max_length=100,
        description="Only movies of any of these genres. Repeat the parameter for each genre.",
    ),
]
Genre = Annotated[
    str | None,
    Query(pattern=TEXT, max_length=100, description="Chart of this genre. Defaults to all genres."),
]
Year = Annotated[int, Field(ge=0, le=9999), Decimal]
YearField = Annotated[int, Field(ge=0, le=9999, strict=True)]
YearFrom = Annotated[Year | None, Query(description="Only movies of this year or later.")]
YearTo = Annotated[Year | None, Query(description="Only movies of this year or earlier.")]


async def recommender(request: Request) -> AsyncRecommender:
    """Return the recommender of the app."""
    # A coroutine, because FastAPI runs plain functions in a thread.
    service: AsyncRecommender = request.app.state.recommender
    return service


async def filters(
    n: N = 10,
    model: Model = None,
    genres: Genres = None,
    year_from: YearFrom = None,
    year_to: YearTo = None,
) -> Filters:
    """Read the filters of a query string."""
    return Filters(n, model, genres, year_from, year_to)


RecommenderDep = Annotated[AsyncRecommender, Depends(recommender)]
FiltersDep = Annotated[Filters, Depends(filters)]


class RatingsBody(BaseModel):
    """Ratings by movie, and filters for the recommendations."""

    model_config = ConfigDict(extra="forbid")

    # Strict, because pydantic would read "4" and true as numbers.
    ratings: Annotated[
        dict[Key, Annotated[float, Field(allow_inf_nan=False, strict=True)]],
        Field(
            max_length=MAX_RATINGS,
            description="Ratings by key of the movie; a number that is no key is an id.",
        ),
    ]
    n: Annotated[
        int, Field(ge=0, le=MAX_ROWS, strict=True, description="Maximum number of rows.")
    ] = 10
    model: Annotated[
        Text | None, Field(description="Name of a published model. Defaults to the default model.")
    ] = None
    genres: Annotated[
        list[Text] | None, Field(max_length=100, description="Only movies of any of these genres.")
    ] = None
    year_from: Annotated[YearField | None, Field(description="First year of release.")] = None
    year_to: Annotated[YearField | None, Field(description="Last year of release.")] = None

    def filters(self) -> Filters:
        return Filters(self.n, self.model, self.genres, self.year_from, self.year_to)


class RatingBody(BaseModel):
    """The rating of a movie by a user."""

    model_config = ConfigDict(extra="forbid")

    rating: Annotated[
        float,
        Field(allow_inf_nan=False, strict=True, description="On the rating scale of the data."),
    ]


class BlockBody(BaseModel):
    """How long a movie is excluded from the recommendations of a user."""

    model_config = ConfigDict(extra="forbid")

    until: Annotated[
        AwareDatetime | None,
        BeforeValidator(moment),
        AfterValidator(future),
        Field(description="End of the block, with its offset. Without it the block has no end."),
    ] = None
