"""Refreshes and evaluations whose work is done by the executors of a Spark cluster."""
