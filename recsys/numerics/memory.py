"""The memory that is available, for errors before the system kills the process."""

from __future__ import annotations

from pathlib import Path

from recsys.errors import RunError

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> float | None:
    """Return what the machine, or the container, has left; None where Linux does not tell."""
    found = []
    for line in _lines(_MEMINFO):
        if line.startswith("MemAvailable:"):
            found.append(1024.0 * int(line.split()[1]))
    limit, used = _lines(_CGROUP / "memory.max"), _lines(_CGROUP / "memory.current")
    if limit and used and limit[0].isdecimal():
        # Pages of files are dropped when memory is short.
        usage = dict(line.split() for line in _lines(_CGROUP / "memory.stat"))
        cached = sum(float(usage.get(f"{kind}_file", 0)) for kind in ("active", "inactive"))
        found.append(float(limit[0]) - float(used[0]) + cached)
    return min(found, default=None)


def require_matrices(size: int, entry_bytes: float) -> None:
    """Raise RunError if matrices of so many movies need more than is available.

    `entry_bytes` is what all of them together need for each pair of movies.
    """
    needed, available = entry_bytes * size**2, available_bytes()
    if available is not None and needed > available:
        raise RunError(
            f"matrices of {size:,} movies need {entry_bytes:g} x {size:,}² bytes "
            f"= {needed / 1e9:,.1f} GB, and {max(0.0, available) / 1e9:,.1f} GB are available",
            hint="lower max_items, or use als, which needs no such matrix",
        )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
