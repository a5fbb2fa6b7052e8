"""Find similar texts in a CSV file of ids and texts, without a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.domain import ComputeLimits, Int64, RankedLists
from recsys.errors import DataError, InvalidArgument
from recsys.ingest.csv.texts import TextTable, read_texts
from recsys.models.content.content_text import ContentTextConfig
from recsys.models.content.text import text_vectors
from recsys.numerics.scoring import neighbours_by_vectors
from recsys.numerics.topk import truncate

MOST_PAIRS = 50_000_000  # of 12 bytes each: 600 MB


@dataclass(frozen=True, slots=True)
class SimilarPair:
    id: str
    rank: int
    similar_id: str
    score: float


@dataclass(frozen=True, slots=True)
class SimilarText:
    rank: int
    id: str
    text: str
    score: float


def similar_pairs(
    path: Path,
    n: int,
    *,
    id_column: str | None = None,
    text_column: str | None = None,
    max_unpacked_mb: int | None = None,
) -> Iterator[SimilarPair]:
    """Yield the n most similar rows of every row of a CSV file, by `content_text`'s cosine.

    The file is read and compared before this returns. Raises DataError on a file that cannot be
    used, InvalidArgument for more pairs than fit in memory.
    """
    table = read_texts(path, id_column, text_column, max_unpacked_mb)
    if len(table.ids) * min(n, len(table.ids)) > MOST_PAIRS:
        raise InvalidArgument(
            f"{n:,} rows for each of {len(table.ids):,} are too many",
            hint="ask for fewer with -n, or for those of one row with --of ID",
        )
    return _pairs(table, _lists(table, n))


def _pairs(table: TextTable, lists: RankedLists) -> Iterator[SimilarPair]:
    for row, id_ in enumerate(table.ids):
        part = slice(lists.indptr[row], lists.indptr[row + 1])
        found = zip(lists.indices[part].tolist(), lists.scores[part].tolist(), strict=True)
        for rank, (item, score) in enumerate(found, start=1):
            yield SimilarPair(id_, rank, table.ids[item], score)


def similar_to(
    path: Path,
    of: str,
    n: int,
    *,
    id_column: str | None = None,
    text_column: str | None = None,
    max_unpacked_mb: int | None = None,
) -> list[SimilarText]:
    """Return the n rows most similar to the one with the id `of`.

    Raises DataError on a file that cannot be used or has no such id.
    """
    table = read_texts(path, id_column, text_column, max_unpacked_mb)
    if of not in table.ids:
        some = ", ".join(table.ids[:5]) + (", ..." if len(table.ids) > 5 else "")
        raise DataError(f"{table.name} has no row with the id {of!r}", hint=f"its ids: {some}")
    lists = _lists(table, n, np.array([table.ids.index(of)]))
    found = zip(lists.indices.tolist(), lists.scores.tolist(), strict=True)
    return [
        SimilarText(rank, table.ids[item], table.texts[item], score)
        for rank, (item, score) in enumerate(found, start=1)
    ]


def _lists(table: TextTable, n: int, of: Int64 | None = None) -> RankedLists:
    vectors = text_vectors(table.texts, ContentTextConfig().ngrams)
    if not vectors.nnz:
        raise DataError(
            f"{table.name} has no text with a word that tells anything",
            hint="is it the right column? --text names another one",
        )
    return truncate(neighbours_by_vectors(vectors, max(1, n), ComputeLimits(), of), n)
