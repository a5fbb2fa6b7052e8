"""Checks of the output files of a report, made before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from recsys.errors import InvalidArgument
from recsys.files import check_writable
from recsys.report.pictures import require

PAGE_SUFFIXES = (".html", ".htm")


def check_targets(page: Path | None, pictures: Path | None) -> None:
    """Raise MissingDependency without the packages, InvalidArgument for an unwritable target."""
    require("reports", "jinja2", "matplotlib", "wordcloud")
    if page is not None:
        if page.suffix.lower() not in PAGE_SUFFIXES:
            raise InvalidArgument(
                f"{page} is not an .html file",
                hint=f"use one of {', '.join(PAGE_SUFFIXES)}",
            )
        check_writable(page)
    if pictures is not None:
        _check_folder(pictures)


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        check_writable(folder)
    elif not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InvalidArgument(f"{folder} is not a writable folder")
