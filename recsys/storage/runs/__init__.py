"""Runs: life cycle, results and publication."""
