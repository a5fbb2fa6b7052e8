import logging

import pytest
from rich.console import Console

from recsys import logs

LOGGERS = ("recsys", "psycopg", "psycopg.pool", "uvicorn")


@pytest.fixture(autouse=True)
def _restored():
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def written(tmp_path, *, verbose, times=1):
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(times):
            logs.set_up(Console(file=file, width=100), verbose=verbose)
        part = logging.getLogger("recsys.jobs.part")
        part.debug("a detail of %d", 1)
        part.info("a stage [bold]")
        part.warning("a warning")
        logging.getLogger("elsewhere").warning("not ours")
    return [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]


def test_warnings_only(tmp_path):
    [line] = written(tmp_path, verbose=False)
    assert line.split(maxsplit=1)[1] == "WARNING  a warning"


def test_everything_when_verbose(tmp_path):
    lines = written(tmp_path, verbose=True)
    told = [line[9:] for line in lines]
    assert told == ["DEBUG    a detail of 1", "INFO     a stage [bold]", "WARNING  a warning"]


def test_set_up_twice_says_everything_once(tmp_path):
    assert len(written(tmp_path, verbose=False, times=3)) == 1


def test_nothing_reaches_the_root_logger(tmp_path, caplog):
    written(tmp_path, verbose=True)
    assert [record.name for record in caplog.records] == ["elsewhere"]


@pytest.mark.parametrize("verbose", [False, True])
def test_what_the_pool_and_the_web_server_say_is_told_as_ours_is(tmp_path, caplog, verbose):
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8") as file:
        logs.set_up(Console(file=file, width=100), verbose=verbose)
        for name in ("psycopg.pool", "uvicorn.error"):
            logging.getLogger(name).info("all is well")
            logging.getLogger(name).warning("something is not")
    told = [line[9:].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    web_server = ["INFO     all is well"] * verbose + ["WARNING  something is not"]
    assert told == ["WARNING  something is not", *web_server]
    assert caplog.records == []
