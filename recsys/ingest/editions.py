"""Detect the format of a data set and the name of its edition."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from recsys.errors import DataError
from recsys.ingest.csv.headers import detect_csv
from recsys.ingest.movielens.dialects import MOVIELENS, DatasetLayout, Detector
from recsys.ingest.reading.characters import escaped_name
from recsys.ingest.reading.intake import Intake
from recsys.ingest.reading.sources import Folder

DETECTORS: dict[str, Detector] = {**MOVIELENS, "csv": detect_csv}

_NAMED_IN_README = re.compile(r"\((ml-[a-z0-9]+(?:-[a-z0-9]+)*)\)")
_NAMED_LIKE_MOVIELENS = re.compile(r"ml-[a-z0-9]+(?:-[a-z0-9]+)*")


def find_layout(
    folders: list[Folder], path: Path, format: str | None
) -> tuple[Folder, DatasetLayout]:
    """Return the shallowest folder with a data set, and its layout.

    Raises `DataError` if there is none, or several at the same depth.
    """
    if format is not None and format not in DETECTORS:
        raise DataError(
            f"there is no format {format!r}", hint=f"Choose one of {', '.join(DETECTORS)}."
        )
    for _, level in groupby(folders, key=lambda folder: folder.depth):
        layouts = [(folder, layout) for folder in level if (layout := _detect(folder, format))]
        if len(layouts) > 1:
            names = escaped_name(", ".join(folder.name for folder, _ in layouts))
            raise DataError(
                f"{escaped_name(str(path))} holds several data sets: {names}",
                hint="Give one of them.",
            )
        if layouts:
            return layouts[0]
    raise _nothing(folders, path, format)


def edition_of(layout: DatasetLayout, folder: Folder, path: Path, intake: Intake) -> str:
    """Return the name that identifies the data set."""
    if layout.dialect == "csv":
        return f"csv:{given_name(path)}"
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
    """Return the name of a folder, or of a file without its suffix."""
    full = path.resolve()
    return escaped_name(full.name if full.is_dir() else full.stem)


def _detect(folder: Folder, format: str | None) -> DatasetLayout | None:
    if format is not None:
        return DETECTORS[format](folder)
    # MovieLens first: its CSV editions would pass as plain CSV as well.
    return next((layout for detect in DETECTORS.values() if (layout := detect(folder))), None)


def _nothing(folders: list[Folder], path: Path, format: str | None) -> DataError:
    place = escaped_name(str(path))
    names = sorted(entry.name for folder in folders for entry in folder.files.values())
    seen = ", ".join(names[:8]) + (", …" if len(names) > 8 else "") or "nothing"
    if format is not None:
        return DataError(
            f"{place} is not of the format {format}; it holds {seen}",
            hint="Leave out --format to detect the format.",
        )
    return DataError(
        f"no ratings found in {place}; it holds {seen}",
        hint="Give a MovieLens edition as published, or a CSV file whose header names "
        "a user, a movie and a rating column.",
    )
