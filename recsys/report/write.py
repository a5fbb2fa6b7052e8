"""Write a report: read the database, draw the plots, write the files."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from recsys.errors import InvalidArgument
from recsys.files import written_whole
from recsys.report.clouds import cloud_of_titles
from recsys.report.figures import draw
from recsys.report.page import as_png, render
from recsys.report.queries import read
from recsys.storage.server.engine import Database

logger = logging.getLogger(__name__)


def write_report(
    database: Database,
    page: Path | None = None,
    pictures: Path | None = None,
    title: str | None = None,
) -> list[Path]:
    """Write the page, the plots as PNG files, or both; return the paths of the files.

    Raises NotPublished if nothing has been ingested, InvalidArgument if a file cannot be written.
    """
    started = time.monotonic()
    findings = read(database)
    logger.info("report: %d ratings read, %.1f s", findings.ratings_count, _since(started))
    cloud = cloud_of_titles(findings.titles)
    files: dict[Path, bytes] = {}
    # Drawn once per format: saving a figure as SVG changes its layout for a later PNG.
    if page is not None:
        files[page] = render(findings, draw(findings), cloud, title).encode()
    if pictures is not None:
        _make(pictures)
        plots = draw(findings)
        files |= {pictures / f"{name}.png": as_png(plot.figure) for name, plot in plots.items()}
        files |= {pictures / "words_of_titles.png": cloud.on_white()} if cloud else {}
    # Written last, so that a plot that fails leaves the old files in place.
    for path, content in files.items():
        with written_whole(path) as file:
            file.write(content)
    logger.info("report: %d files written, %.1f s", len(files), _since(started))
    return list(files)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise InvalidArgument(f"{folder} cannot be created: {exc.strerror}") from exc


def _since(started: float) -> float:
    return time.monotonic() - started
