"""Detect the format of a data set and the name of its edition."""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby
from pathlib import Path, PurePath

from recsys.errors import DataError, InvalidArgument
from recsys.ingest.csv.headers import columns_seen, detect_csv, without_date
from recsys.ingest.csv.jester import jester
from recsys.ingest.csv.netflix import netflix_prize
from recsys.ingest.movielens.dialects import MOVIELENS, DatasetLayout, Detector
from recsys.ingest.options import DEFAULTS, NO_COLUMNS, ColumnNames, ReadOptions
from recsys.ingest.reading.characters import escaped_name
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.sources import Folder, is_pattern
from recsys.ingest.reading.unpacking import unpacked_name

FORMATS = (*MOVIELENS, "netflix-prize", "jester", "csv")

_NAMED_IN_README = re.compile(r"\((ml-[a-z0-9]+(?:-[a-z0-9]+)*)\)")
_NAMED_LIKE_MOVIELENS = re.compile(r"ml-[a-z0-9]+(?:-[a-z0-9]+)*")


def find_layout(
    folders: list[Folder],
    path: Path,
    format: str | None,
    options: ReadOptions = DEFAULTS,
) -> tuple[Folder, DatasetLayout]:
    """Return the shallowest folder with a data set, and its layout.

    Raises `DataError` if there is none, or several at the same depth.
    """
    if format is not None and format not in FORMATS:
        raise DataError(
            f"there is no format {format!r}", hint=f"Choose one of {', '.join(FORMATS)}."
        )
    if options.implicit and options.scale is not None:
        raise InvalidArgument("interactions have no scale", hint="leave out implicit or scale")
    detectors: dict[str, Detector] = {
        **MOVIELENS,
        "netflix-prize": netflix_prize,
        "jester": jester,
        "csv": partial(detect_csv, options=options),
    }
    # Options for columns are about files of unknown origin.
    if format is not None or options.columns != NO_COLUMNS or options.implicit:
        detectors = {format or "csv": detectors[format or "csv"]}
    for _, level in groupby(folders, key=lambda folder: folder.depth):
        layouts = [(folder, layout) for folder in level if (layout := _detect(folder, detectors))]
        if len(layouts) > 1:
            names = escaped_name(", ".join(folder.name for folder, _ in layouts))
            raise DataError(
                f"{escaped_name(str(path))} holds several data sets: {names}",
                hint="Give one of them.",
            )
        if layouts:
            return layouts[0]
    raise _nothing(folders, path, format, options.columns)


def edition_of(layout: DatasetLayout, folder: Folder, path: Path, intake: Intake) -> str:
    """Return the name that identifies the data set."""
    if layout.dialect not in MOVIELENS:
        return f"{layout.dialect}:{_undated_name(layout, path)}"
    if layout.dialect != "ml-csv":
        return layout.dialect
    # The README names the edition even if the folder was renamed.
    if layout.readme is not None:
        named = _NAMED_IN_README.search(intake.read_text(layout.readme, "utf-8"))
        if named:
            return named[1]
    for name in (folder.name, given_name(path)):
        if _NAMED_LIKE_MOVIELENS.fullmatch(name.lower()):
            return name.lower()
    return layout.dialect


def given_name(path: Path) -> str:
    """Return the name of a folder, of a file without its suffix, or what a pattern begins with."""
    if is_pattern(path):
        start = re.split(r"[*?\[]", path.name)[0].rstrip("-_. ")
        return escaped_name(start or path.resolve().parent.name)
    full = path.resolve()
    return escaped_name(full.name if full.is_dir() else Path(unpacked_name(full.name)).stem)


def _undated_name(layout: DatasetLayout, path: Path) -> str:
    """Return the name of the data set without the date of the day it was written."""
    if len(layout.ratings) > 1 and not is_pattern(path):
        return without_date(PurePath(unpacked_name(layout.ratings[0].entry.name)).stem)
    return without_date(given_name(path))


def _detect(folder: Folder, detectors: dict[str, Detector]) -> DatasetLayout | None:
    """Return the data set of a folder. Raises DataError if its files are of several formats."""
    found: list[DatasetLayout] = []
    for detect in detectors.values():
        layout = detect(folder)
        # MovieLens comes first: its CSV editions would pass as plain CSV as well.
        if layout and not any(_same_files(layout, other) for other in found):
            found.append(layout)
    rated = [layout for layout in found if not layout.implicit]
    if len(rated) > 1:
        names = " and ".join(f"{each.ratings[0].entry.name} ({each.dialect})" for each in rated)
        raise DataError(
            f"{folder.name} holds ratings in several formats: {names}",
            hint="Give the file or a folder with one of them, or name its --format.",
        )
    return next(iter([*rated, *found]), None)


def _same_files(one: DatasetLayout, other: DatasetLayout) -> bool:
    names = [{file.entry.name for file in layout.ratings} for layout in (one, other)]
    return not names[0].isdisjoint(names[1])


def _nothing(
    folders: list[Folder], path: Path, format: str | None, columns: ColumnNames
) -> DataError:
    place = escaped_name(str(path))
    names = sorted(entry.name for folder in folders for entry in folder.files.values())
    seen = ", ".join(names[:8]) + (", …" if len(names) > 8 else "") or "nothing"
    if format is not None:
        return DataError(
            f"{place} is not of the format {format}; it holds {seen}",
            hint="Leave out --format to detect the format.",
        )
    found = "".join(f". {text}" for text in columns_seen(folders, columns))
    return DataError(
        f"no ratings found in {place}; it holds {seen}{found}",
        hint="Name columns with --user-column, --movie-column, --rating-column and --time-column, "
        "those of a file without a header in their order: --columns user,movie,rating,time.",
    )
