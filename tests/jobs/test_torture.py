"""Short forms of the scripts in tests/torture."""

import re
import subprocess
import sys

import pytest
import sqlalchemy as sa
from torture import FOLDER, script

from recsys.jobs.plan import plan
from recsys.jobs.refresh import refresh

pytestmark = pytest.mark.slow


def test_no_data_is_lost_by_kills_at_random():
    # A process of its own: it forks the commands that it kills.
    command = [sys.executable, str(FOLDER / "kill_at_random.py"), "--kills", "8", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"8 kills with seed 3 in \d+ s; \d+ commands ended before their kill; no violation",
        done.stdout.splitlines()[-1],
    )


def test_readers_wait_for_a_failover_and_no_confirmed_rating_is_lost():
    command = [sys.executable, str(FOLDER / "failover.py"), "--rounds", "1", "--clients", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    written, *_, last = done.stdout.splitlines()
    assert written == "a write on the standby: the database is read-only at present"
    assert last.startswith("1 failovers: ")
    assert last.endswith("no wrong answer, no confirmed rating lost")


def test_readers_never_see_two_runs(refreshed_database):
    torture = script("publish_under_readers")
    chosen = plan(torture.SETTINGS)
    refresh(refreshed_database, chosen)
    with refreshed_database.transaction() as connection:
        query = "SELECT DISTINCT user_id FROM recsys.recommendations ORDER BY 1 LIMIT 20"
        users = list(connection.scalars(sa.text(query)))
    seen = torture.publish_in_a_loop(refreshed_database, chosen, 1.5, 6, users)
    assert seen.wrong == []
    assert len(seen.runs) >= 1
    assert seen.reads > 100
