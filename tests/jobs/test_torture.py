"""Short forms of the scripts in tests/torture."""

import importlib.util
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from recsys.config.file import ConfigFile
from recsys.config.settings import read_refresh
from recsys.jobs.ingest import ingest
from recsys.jobs.orphans import clear_orphans
from recsys.jobs.plan import plan
from recsys.jobs.publish import prune
from recsys.jobs.refresh import refresh

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[1] / "torture"


@pytest.fixture(scope="module")
def script():
    """Import one of the scripts."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up.
        pytest.MonkeyPatch().setitem(__import__("sys").modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_no_data_is_lost_by_kills_at_random(script, database, tmp_path):
    torture = script("kill_at_random")

    class Quick(torture.Place):
        """Only the killed commands are processes."""

        def run(self, *arguments):
            began = time.monotonic()
            match arguments:
                case ("ingest", path, "--edition", edition):
                    ingest(self.database, Path(path), edition=edition)
                case ("refresh", *force):
                    chosen = read_refresh(ConfigFile.read(self.folder / "recsys.toml"))
                    refresh(self.database, plan(chosen), force=force[1] if force else None)
                case ("runs", "prune"):
                    clear_orphans(self.database)
                    prune(self.database, 3)
            return time.monotonic() - began + 2 * torture.STARTING_S

    made = torture.place(database, tmp_path)
    found = torture.torture(Quick(made.database, made.environment, made.folder), kills=2, seed=3)
    assert {name: sum(outcomes.values()) for name, outcomes in found.items()} == {
        "refresh": 1, "ingest": 1,
    }  # fmt: skip


def test_readers_never_see_two_runs(script, refreshed_database):
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
