"""What is told of a failure on an executor."""

from __future__ import annotations

import pytest

from recsys.engine.application import error_of_task

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
