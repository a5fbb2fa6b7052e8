"""Pack recsys and the packages it needs into an archive, for executors that have none of them."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from recsys.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NOT_NEEDED = {"typer", "rich", "alembic"}
"""Required packages that executors do not import, for the command line and for migrations."""


def write_package(path: Path) -> int:
    """Write the archive; return its size in bytes. Raises InvalidArgument if it cannot be written.

    Its packages have parts in machine code: executors need the same system and Python.
    """
    if not path.name.endswith((".tar.gz", ".tgz")):
        raise InvalidArgument(f"{path.name} must end in .tar.gz")
    aside = path.with_name(f".{path.name}.part")
    try:
        with tarfile.open(aside, "w:gz", compresslevel=1) as archive:
            for file, name in sorted(set(_files())):
                archive.add(file, name, recursive=False)
        aside.replace(path)
    except OSError as exc:
        raise InvalidArgument(f"{path} cannot be written: {exc.strerror}") from exc
    finally:
        aside.unlink(missing_ok=True)
    return path.stat().st_size


def _files() -> Iterator[tuple[Path, str]]:
    """Yield each file and its name in the archive."""
    own = Path(__file__).resolve().parents[1]
    for file in own.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file, str(Path("recsys") / file.relative_to(own))
    for found in _needed("recsys"):
        for entry in found.files or ():
            path = Path(str(found.locate_file(entry)))
            # What lies outside, as programs do in bin, is not imported.
            if ".." not in entry.parts and path.is_file() and "__pycache__" not in entry.parts:
                # An editable installation has only its metadata here; versions are read from it.
                if found.name == "recsys" and ".dist-info" not in entry.parts[0]:
                    continue
                yield path, str(entry)


def _needed(root: str) -> list[Distribution]:
    """Return a distribution and all that it requires, without extras."""
    found: dict[str, Distribution] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in found or name in NOT_NEEDED:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # for another Python or system
            continue
        for line in found[name].requires or ():
            requirement, _, marker = line.partition(";")
            if "extra" not in marker and (match := _NAME.match(requirement.strip())):
                waiting.append(_extras(requirement, waiting) or match[0].lower())
    return list(found.values())


def _extras(requirement: str, waiting: list[str]) -> str | None:
    """Add the packages of `psycopg[binary]`, whose extra is a package of its own."""
    if requirement.replace(" ", "").startswith("psycopg[binary]"):
        waiting.append("psycopg-binary")
    return None
