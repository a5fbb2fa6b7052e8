"""Compare the rows that the README shows with those of the database, which holds ml-latest-small.

.ci/run calls it after the demo: `python tests/docs/readme_output.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def main() -> int:
    """Return 1, and print both sides, if they differ."""
    [block] = re.findall(r"(?ms)^```sql\n(.*?)^```$", README.read_text(encoding="utf-8"))
    shown = [
        [cell.strip() for cell in line.removeprefix("--").split("|")]
        for line in block.splitlines()
        if re.match(r"-- +\d+ \|", line)
    ]
    query = " ".join(re.sub(r"(?m)^--.*$", "", block).split())
    recsys = Path(sys.executable).with_name("recsys")
    command = [str(recsys), "db", "psql", "-At", "-F", "|", "-c", query]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = [line.split("|") for line in printed.splitlines()]
    if found == shown:
        return 0
    sys.stderr.write(f"README.md shows {shown}\nthe database has {found}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
