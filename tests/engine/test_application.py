"""What is told of a failure on an executor."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

from recsys.engine import application
from recsys.engine.application import error_of_task, watched

OF_PYTHON = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collect.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 4.0 failed 10
times, most recent failure: Lost task 0.9 in stage 4.0 (TID 22) (host executor 1):
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/spark/python/lib/pyspark.zip/pyspark/worker.py", line 1, in main
    process()
recsys.errors.StorageError: connection failed: fe_sendauth: no password supplied

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(PythonRunner.scala:5)
"""
OF_LOSS = """An error occurred while calling o1.collect.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 2.0 failed
ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: worker lost
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OF_PYTHON, "StorageError: connection failed: fe_sendauth: no password supplied"),
        (OF_LOSS, "Job aborted due to stage failure: Task 1 in stage 2.0 failed"),
        ("Something else\nand more", "Something else"),
    ],
)
def test_the_error_of_a_task(text: str, told: str) -> None:
    assert error_of_task(text) == told


class Context:
    """An application whose executors come and go; its driver counts as one more."""

    def __init__(self, *executors, master="spark://host:7077"):
        self.master, self.left, self.looks = master, list(executors), 0
        self.cancelled = threading.Event()
        self.done = threading.Event()
        status = SimpleNamespace(size=self.size)
        jvm = SimpleNamespace(getExecutorMemoryStatus=lambda: status)
        self._jsc = SimpleNamespace(sc=lambda: jvm)

    def size(self):
        self.looks += 1
        if len(self.left) == 1:
            self.done.set()
        return 1 + (self.left.pop(0) if len(self.left) > 1 else self.left[0])

    def cancelAllJobs(self):
        self.cancelled.set()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(application, "_SECONDS_BETWEEN_LOOKS", 0.01)


def test_lost_executors_that_come_back_are_told_once(quick, caplog):
    context = Context(2, 0, 0, 0, 1, 1, 0, 2)
    with caplog.at_level(logging.WARNING), watched(context):
        assert context.done.wait(10)
    assert not context.cancelled.is_set()
    assert [record.getMessage() for record in caplog.records] == [
        "all executors of spark://host:7077 are lost; waiting 300 s for others"
    ] * 2


def test_a_run_is_given_up_when_no_executor_comes_back(quick, caplog, monkeypatch):
    monkeypatch.setattr(application, "_SECONDS_WITHOUT_EXECUTORS", 0.05)
    context = Context(2, 0)
    with caplog.at_level(logging.ERROR), watched(context):
        assert context.cancelled.wait(10)
    [told, *_] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told == "no executor has come back in 0 s: given up"


def test_tasks_in_the_driver_have_no_executors_to_lose(quick):
    context = Context(0, 0, master="local[2]")
    with watched(context):
        threading.Event().wait(0.05)
    assert context.looks == 0
